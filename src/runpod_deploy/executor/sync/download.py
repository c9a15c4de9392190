"""Brings results home: only what was listed, each file proven by sha256 before it gets its name."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.codec import best
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.listing import Listing, RemoteEntry, list_remote
from runpod_deploy.executor.sync.local_files import (
    LocalFile,
    PullMemory,
    digests_here,
    local_file,
    local_files,
)
from runpod_deploy.executor.sync.local_tree import InTheWay, LocalTree
from runpod_deploy.executor.sync.receiving import Received, Receiving
from runpod_deploy.executor.sync.sending import Progress
from runpod_deploy.executor.sync.unpack import CHANGED
from runpod_deploy.executor.sync.wanted import Keep, Wanted, choose
from runpod_deploy.executor.untrusted import printable

_PASSES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadReport:
    """What a download brought.

    Attributes:
        files: Regular files in place and proven.
        bytes: Their content.
        fetched: How many of them were not here already, and
        fetched_bytes: their content.
        entries: `{path, size, sha256}` of each, sorted by the bytes of `path`; paths as they are.
        links: `{path, target}` of each symbolic link made.
        deleted: Files that were removed here because `delete` was asked for.
        refused: `{path, why}` of what was not taken; text fit for a terminal. `why` begins with
            `changed` for a file that kept changing while it was read.
        tree_sha256: `sha256:` and hex over RFC 8785 of `entries`.
        missing: The remote path does not exist.
        single: The remote path is a file.
    """

    files: int = 0
    bytes: int = 0
    fetched: int = 0
    fetched_bytes: int = 0
    entries: tuple[Mapping[str, Any], ...] = ()
    links: tuple[Mapping[str, str], ...] = ()
    deleted: tuple[str, ...] = ()
    refused: tuple[Mapping[str, str], ...] = ()
    tree_sha256: str = field(default_factory=lambda: sha256([]))
    missing: bool = False
    single: bool = False


async def download(  # noqa: PLR0913 - each is a choice of the caller's
    transport: Transport,
    *,
    remote_path: str,
    local: Path,
    keep: Keep,
    progress: Progress,
    lanes: Lanes | None = None,
    memory: PullMemory | None = None,
    final: bool = True,
    delete: bool = False,
) -> DownloadReport:
    """Bring a file or folder of the pod to `local`; what is here already does not travel.

    A folder's content lands in `local`, which is made; a file becomes `local`, or lies in it under
    its own name when `local` is a folder. A file there is replaced when the new one is proven.
    Files get the umask's mode with the owner's exec bit and the pod's modification time. Symbolic
    links are made only where they stay inside the artifact; no link below `local` is followed. A
    symbolic link at `remote_path` itself is followed on the pod.

    Args:
        transport: Connection to the pod, which is not trusted.
        remote_path: What to fetch.
        local: Where to.
        keep: Whether to take a path, asked with the path relative to `remote_path` and whether it
            is a folder; below a folder that is not kept nothing is asked. Not asked for a file.
        progress: Called with a name, bytes done and bytes in all, of what has to travel.
        lanes: Further connections to the same pod, for what is worth it.
        memory: Filled with what was proven.
        final: Whether every file is held against the pod's digest; else one that looks on both
            sides as `memory` has it is taken to be so.
        delete: Whether files of the folder `local`, which must be ours, are removed that are not in
            a whole list of the pod's and would be taken if they were.

    Raises:
        StepFailed: The far side cannot list, hash or pack, or sends what is none of that.
        TransportError: The connection failed; files already in place are whole, and what is here
            of a large one is gone on with the next time.
        OSError: The local folder cannot be written.
    """
    memory = PullMemory() if memory is None else memory
    here, asked = await asyncio.to_thread(_here, local, remote_path, memory, final=final)
    ways = lanes or Lanes()
    try:
        listing = await list_remote(transport, remote_path, asked, ways.workers)
        if listing.kind == "missing":
            return DownloadReport(missing=True)
        places: dict[str, str] = {}
        root, base = local, remote_path
        if listing.kind == "file":
            base = posixpath.dirname(remote_path.rstrip("/")) or _root_of(remote_path)
            if not await asyncio.to_thread(local.is_dir):
                root, places = local.parent, {entry.path: local.name for entry in listing.entries}
        tree = await asyncio.to_thread(LocalTree, root)
        try:
            pulling = _Download(transport, remote_path, base, tree, places, keep, progress)
            report = await pulling.run(listing, here, memory, ways, final=final)
            report = replace(report, single=listing.kind == "file")
            if delete and listing.kind == "folder" and not listing.unreadable:
                deleted = await asyncio.to_thread(_remove_others, tree, listing, here, keep)
                report = replace(report, deleted=deleted)
            return report
        finally:
            tree.close()
    finally:
        if lanes is None:
            ways.workers.close()


def _here(
    local: Path, remote_path: str, memory: PullMemory, *, final: bool
) -> tuple[dict[str, LocalFile], dict[str, int]]:
    """Return the files that are here, by their names on the pod, and those whose digest to ask for."""
    if local.is_dir():
        here = local_files(local)
    else:
        single = local_file(local)
        name = posixpath.basename(remote_path.rstrip("/"))
        here = {} if single is None else {name: single}
    trusted = set() if final else memory.unwritten(here)
    return here, {name: file.size for name, file in here.items() if name not in trusted}


def _remove_others(
    tree: LocalTree, listing: Listing, here: Iterable[str], keep: Keep
) -> tuple[str, ...]:
    """Remove the files that were here before and are not over there; those not kept are left alone."""
    there = {entry.path for entry in listing.entries}
    return tuple(
        name
        for name in sorted(here)
        if name not in there and _would_be_taken(name, keep) and tree.remove(name)
    )


def _would_be_taken(name: str, keep: Keep) -> bool:
    folders = [name[:at] for at, char in enumerate(name) if char == "/"]
    return all(keep(folder, True) for folder in folders) and keep(name, False)


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

    async def run(
        self,
        listing: Listing,
        here: Mapping[str, LocalFile],
        memory: PullMemory,
        lanes: Lanes,
        *,
        final: bool,
    ) -> DownloadReport:
        wanted = self._choose(listing)
        same = await asyncio.to_thread(self._same, wanted, listing, here, memory, final=final)
        self._done |= same
        files = {name: entry for name, entry in wanted.files.items() if name not in same}
        changed: dict[str, str] = {}
        stamps = {name: entry.stamp for name, entry in wanted.files.items()}
        for attempt in range(_PASSES):
            if attempt > 0:
                # What changed is listed anew: its size may be another now, or it may be gone.
                again = self._choose(
                    await list_remote(self._transport, self._remote_path, None, lanes.workers)
                )
                files = {name: again.files[name] for name in changed if name in again.files}
                stamps |= {name: entry.stamp for name, entry in files.items()}
                changed = {name: why for name, why in changed.items() if name in again.files}
            if files:
                changed = await self._fetch(files, listing.programs, lanes)
            if not changed:
                break
        await asyncio.to_thread(self._finish, wanted, final=final)
        await asyncio.to_thread(self._remember, stamps, memory)
        for name, why in changed.items():
            self._refused[name] = f"{CHANGED}: {why}"
        return self._report(same)

    def _same(
        self,
        wanted: Wanted,
        listing: Listing,
        here: Mapping[str, LocalFile],
        memory: PullMemory,
        *,
        final: bool,
    ) -> dict[str, tuple[int, str]]:
        """Return the files that are here as they are over there: name to size and digest."""
        alike = {
            name: entry
            for name, entry in wanted.files.items()
            if name in here and here[name][:2] == (entry.size, entry.executable)
        }
        same: dict[str, tuple[int, str]] = {}
        if not final:
            for name in memory.unwritten(here) & alike.keys():
                known = memory.sha256(alike[name])
                if known is not None:
                    same[name] = (alike[name].size, known)
        asked = [name for name in alike if name in listing.digests and name not in same]
        paths = {self._places.get(name, name): name for name in asked}
        for path, digest in digests_here(self._tree.root, paths).items():
            name = paths[path]
            if listing.digests[name] == digest:
                same[name] = (alike[name].size, digest)
        return same

    async def _fetch(
        self, files: Mapping[str, RemoteEntry], programs: frozenset[str], lanes: Lanes
    ) -> dict[str, str]:
        total = sum(entry.size for entry in files.values())
        receiving = Receiving(
            self._base,
            self._tree,
            self._places,
            files,
            best(programs),
            lambda name: self._progress(name, min(receiving.done(), total), total),
            lanes.workers,
        )
        try:
            await lanes.spread(self._transport, receiving)
        finally:
            receiving.close()
        got: Received = receiving.result
        self._done |= got.done
        self._refused |= got.refused
        return got.changed

    def _choose(self, listing: Listing) -> Wanted:
        wanted = choose(listing, self._remote_path, self._keep)
        self._refused |= wanted.refused
        return wanted

    def _finish(self, wanted: Wanted, *, final: bool) -> None:
        """Make folders, which may be empty, and links, which come last so that no file crosses one."""
        for path in ("", *wanted.folders) if final else ():
            self._tree.sweep(path)
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

    def _remember(self, stamps: Mapping[str, str], memory: PullMemory) -> None:
        for name, (_, digest) in self._done.items():
            file = local_file(self._tree.root / self._places.get(name, name))
            if file is not None:
                memory.remember(name, stamps.get(name, ""), file, digest)

    def _report(self, same: Mapping[str, object]) -> DownloadReport:
        entries = tuple(
            {"path": name, "size": size, "sha256": digest}
            for name, (size, digest) in sorted(
                self._done.items(), key=lambda item: item[0].encode("utf-8")
            )
        )
        return DownloadReport(
            files=len(entries),
            bytes=sum(size for size, _ in self._done.values()),
            fetched=len(entries) - len(same),
            fetched_bytes=sum(size for name, (size, _) in self._done.items() if name not in same),
            entries=entries,
            links=tuple({"path": path, "target": to} for path, to in sorted(self._links.items())),
            refused=tuple(
                {"path": printable(path), "why": printable(why)}
                for path, why in sorted(self._refused.items())
            ),
            tree_sha256=sha256(list(entries)),
        )
