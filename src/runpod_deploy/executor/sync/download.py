"""Brings results home: only what was listed, each file proven by sha256 before it gets its name."""

import asyncio
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.fetch import fetch
from runpod_deploy.executor.sync.listing import Listing, list_remote
from runpod_deploy.executor.sync.local_tree import InTheWay, LocalTree
from runpod_deploy.executor.sync.names import link_leaves, ours, unsafe
from runpod_deploy.executor.sync.sending import Progress
from runpod_deploy.executor.sync.unpack import CHANGED, Unpacker
from runpod_deploy.executor.untrusted import printable

Keep = Callable[[str, bool], bool]

_PASSES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadReport:
    """What a download brought.

    Attributes:
        files: Regular files in place and proven.
        bytes: Their content.
        entries: `{path, size, sha256}` of each, sorted by the bytes of `path`; paths as they are.
        links: `{path, target}` of each symbolic link made.
        refused: `{path, why}` of what was not taken; text fit for a terminal. `why` begins with
            `changed` for a file that kept changing while it was read.
        tree_sha256: `sha256:` and hex over RFC 8785 of `entries`.
        missing: The remote path does not exist.
    """

    files: int = 0
    bytes: int = 0
    entries: tuple[Mapping[str, Any], ...] = ()
    links: tuple[Mapping[str, str], ...] = ()
    refused: tuple[Mapping[str, str], ...] = ()
    tree_sha256: str = field(default_factory=lambda: sha256([]))
    missing: bool = False


@dataclass(slots=True)
class _Wanted:
    """What of a listing is taken, and why the rest is not."""

    files: dict[str, int] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


async def download(
    transport: Transport,
    *,
    remote_path: str,
    local: Path,
    keep: Keep,
    progress: Progress,
) -> DownloadReport:
    """Fetch a file or folder of the pod to `local`.

    A folder's content lands in `local`, which is made; a file becomes `local`, or lies in it under
    its own name when `local` is a folder. A file there is replaced when the new one is proven;
    nothing is ever deleted. Files get the umask's mode with the owner's exec bit and the pod's
    modification time. Symbolic links are made only where they stay inside the artifact; no link
    below `local` is followed. A symbolic link at `remote_path` itself is followed on the pod.

    Args:
        transport: Connection to the pod, which is not trusted.
        remote_path: What to fetch.
        local: Where to.
        keep: Whether to take a path, asked with the path relative to `remote_path` and whether it
            is a folder; below a folder that is not kept nothing is asked. Not asked for a file.
        progress: Called with a name, bytes done and bytes in all.

    Raises:
        StepFailed: The far side cannot list, hash or pack, or sends what is none of that.
        TransportError: The connection failed; files already in place are whole.
        OSError: The local folder cannot be written.
    """
    listing = await list_remote(transport, remote_path)
    if listing.kind == "missing":
        return DownloadReport(missing=True)
    single = listing.kind == "file"
    if single and not await asyncio.to_thread(local.is_dir):
        root, places = local.parent, {entry.path: local.name for entry in listing.entries}
    else:
        root, places = local, {}
    base = (
        (posixpath.dirname(remote_path.rstrip("/")) or _root_of(remote_path))
        if single
        else remote_path
    )
    tree = await asyncio.to_thread(LocalTree, root)
    try:
        return await _Download(transport, remote_path, base, tree, places, keep, progress).run(
            listing
        )
    finally:
        tree.close()


def _root_of(path: str) -> str:
    return "/" if path.startswith("/") else "."


class _Download:
    """The state of one download."""

    def __init__(
        self,
        transport: Transport,
        remote_path: str,
        base: str,
        tree: LocalTree,
        places: Mapping[str, str],
        keep: Keep,
        progress: Progress,
    ) -> None:
        self._transport = transport
        self._remote_path = remote_path
        self._base = base
        self._tree = tree
        self._places = places
        self._keep = keep
        self._progress = progress
        self._done: dict[str, tuple[int, str]] = {}
        self._refused: dict[str, str] = {}
        self._links: dict[str, str] = {}

    async def run(self, listing: Listing) -> DownloadReport:
        wanted = self._choose(listing)
        changed: dict[str, str] = {}
        files = wanted.files
        for attempt in range(_PASSES):
            if attempt > 0:
                # What changed is listed anew: its size may be another now, or it may be gone.
                again = self._choose(await list_remote(self._transport, self._remote_path))
                files = {name: again.files[name] for name in changed if name in again.files}
                changed = {name: why for name, why in changed.items() if name in again.files}
            if files:
                changed = await self._fetch(files)
            if not changed:
                break
        await asyncio.to_thread(self._finish, wanted)
        for name, why in changed.items():
            self._refused[name] = f"{CHANGED}: {why}"
        return self._report()

    async def _fetch(self, files: Mapping[str, int]) -> dict[str, str]:
        unpacker = Unpacker(self._tree, files, self._places)
        await fetch(self._transport, self._base, files, unpacker, self._progress)
        self._done |= unpacker.done
        self._refused |= unpacker.refused
        return unpacker.changed

    def _choose(self, listing: Listing) -> _Wanted:
        """Sort a listing into what is taken and what is refused."""
        wanted = _Wanted()
        for complaint in listing.unreadable:
            wanted.refused[""] = f"the pod could not read all of it: {complaint}"
        if listing.kind == "special":
            wanted.refused[self._remote_path] = "it is neither a file nor a folder"
        dropped: set[str] = set()
        for entry in sorted(listing.entries, key=lambda entry: entry.path):
            parent = entry.path.rpartition("/")[0]
            if listing.kind == "folder" and (
                parent in dropped
                or ours(entry.path)
                or not self._keep(entry.path, entry.kind == "d")
            ):
                dropped.add(entry.path)
                continue
            why = unsafe(entry.path)
            if why is None and entry.kind == "l":
                why = link_leaves(entry.path, entry.target)
            if why is None and entry.kind not in {"f", "d", "l"}:
                why = "it is no file, folder or symbolic link"
            if why is not None:
                wanted.refused[entry.path] = why
            elif entry.kind == "f":
                wanted.files[entry.path] = entry.size
            elif entry.kind == "d":
                wanted.folders.append(entry.path)
            else:
                wanted.links[entry.path] = entry.target
        self._refused |= wanted.refused
        return wanted

    def _finish(self, wanted: _Wanted) -> None:
        """Make folders, which may be empty, and links, which come last so that no file crosses one."""
        for path in wanted.folders:
            try:
                self._tree.make_folder(path)
            except InTheWay as exc:
                self._refused[path] = str(exc)
        for path, target in wanted.links.items():
            try:
                self._tree.link(path, target)
            except InTheWay as exc:
                self._refused[path] = str(exc)
            else:
                self._links[path] = target

    def _report(self) -> DownloadReport:
        entries = tuple(
            {"path": name, "size": size, "sha256": digest}
            for name, (size, digest) in sorted(
                self._done.items(), key=lambda item: item[0].encode("utf-8")
            )
        )
        return DownloadReport(
            files=len(entries),
            bytes=sum(size for size, _ in self._done.values()),
            entries=entries,
            links=tuple({"path": path, "target": to} for path, to in sorted(self._links.items())),
            refused=tuple(
                {"path": printable(path), "why": printable(why)}
                for path, why in sorted(self._refused.items())
            ),
            tree_sha256=sha256(list(entries)),
        )
