"""What of a pod's listing is taken, and why the rest is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from runpod_deploy.executor.sync.listing import Listing, RemoteEntry
from runpod_deploy.executor.sync.names import link_leaves, ours, unsafe

Keep = Callable[[str, bool], bool]

MOST_REFUSED = 1000
"""How many refusals are named; the rest is counted, so that a manifest stays one."""


@dataclass(slots=True)
class Wanted:
    """A listing, sorted out: files to what was said of them, folders, links to targets, refusals."""

    files: dict[str, RemoteEntry] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def choose(listing: Listing, remote_path: str, keep: Keep) -> Wanted:
    """Sort a listing into what is taken and what is refused."""
    wanted = Wanted()
    more = 0
    if listing.kind == "special":
        wanted.refused[remote_path] = "it is neither a file nor a folder"
    dropped: set[str] = set()
    for entry in sorted(listing.entries, key=lambda entry: entry.path):
        parent = entry.path.rpartition("/")[0]
        if listing.kind == "folder" and (
            parent in dropped or ours(entry.path) or not keep(entry.path, entry.kind == "d")
        ):
            dropped.add(entry.path)
            continue
        why = _objection(entry)
        if why is not None:
            if len(wanted.refused) < MOST_REFUSED:
                wanted.refused[entry.path] = why
            else:
                more += 1
        elif entry.kind == "f":
            wanted.files[entry.path] = entry
        elif entry.kind == "d":
            wanted.folders.append(entry.path)
        else:
            wanted.links[entry.path] = entry.target
    about_all = _about_all(listing, more)
    if about_all:
        wanted.refused[""] = about_all
    return wanted


def _about_all(listing: Listing, more: int) -> str:
    words = []
    if listing.unreadable:
        words.append(f"the pod could not read all of it: {'; '.join(listing.unreadable)}")
    if more:
        words.append(f"{more} more entries were refused")
    return "; ".join(words)


def _objection(entry: RemoteEntry) -> str | None:
    why = unsafe(entry.path)
    if why is None and entry.kind == "l":
        why = link_leaves(entry.path, entry.target)
    if why is None and entry.kind not in {"f", "d", "l"}:
        why = "it is no file, folder or symbolic link"
    return why
