"""Pulls a file or folder from a pod; each file appears here only once its sha256 equals the pod's."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.errors import CommandFailed, StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.digests import far_digests, name_list
from runpod_deploy.executor.sync.landing import Landing
from runpod_deploy.executor.sync.listing import Entry, Listing, list_far, objection
from runpod_deploy.executor.sync.pack import Progress
from runpod_deploy.executor.sync.untar import Member, TarReader

TRIES = 2
Keep = Callable[..., bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadReport:
    """What came, and what did not.

    Attributes:
        files: Number of files; links and folders are not counted.
        bytes: Sum of their sizes.
        entries: `{path, size, sha256}` of each file, sorted by path.
        refused: `{path, why}` of what was not written here.
        tree_sha256: `sha256:` + hex over RFC 8785 of `entries`.
        missing: Whether the remote path does not exist.
    """

    files: int = 0
    bytes: int = 0
    entries: tuple[Mapping[str, Any], ...] = ()
    refused: tuple[Mapping[str, Any], ...] = ()
    tree_sha256: str = ""
    missing: bool = False


async def download(
    transport: Transport,
    *,
    remote_path: str,
    local: Path,
    keep: Keep,
    progress: Progress,
) -> DownloadReport:
    """Pull `remote_path` to `local`: a folder into that folder, a file as that file.

    Args:
        keep: `keep(path, is_folder=…)` with a path relative to `remote_path`: whether it is wanted.
            What lies below a folder that is not wanted is not asked for.

    Raises:
        StepFailed: The pod's answers make no sense.
        TransportError: The connection broke; files that are here already are whole.
        OSError: `local` cannot be written.
    """
    listing = await list_far(transport, remote_path)
    if listing.kind == "missing":
        return DownloadReport(missing=True)
    if listing.kind == "other":
        raise StepFailed(f"{remote_path} is neither a file nor a folder.", cause="artifact_kind")
    pull = _Pull(transport, remote_path, progress)
    if listing.kind == "file":
        await pull.single(listing.entries[0], local)
    else:
        await pull.tree(_wanted(listing, keep), local)
    return pull.report()


def _wanted(listing: Listing, keep: Keep) -> list[Entry]:
    """Return the entries that are wanted and have no unwanted folder above them."""
    folders = {
        entry.path: keep(entry.path, is_folder=True)
        for entry in listing.entries
        if entry.type == "d"
    }

    def below_wanted(path: str) -> bool:
        parent = path.rpartition("/")[0]
        while parent:
            if not folders.get(parent, True):
                return False
            parent = parent.rpartition("/")[0]
        return True

    return [
        entry
        for entry in listing.entries
        if keep(entry.path, is_folder=entry.type == "d") and below_wanted(entry.path)
    ]


@dataclass(slots=True)
class _Pull:
    transport: Transport
    remote_path: str
    progress: Progress
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def report(self) -> DownloadReport:
        entries = tuple(self.entries[path] for path in sorted(self.entries))
        return DownloadReport(
            files=len(entries),
            bytes=sum(entry["size"] for entry in entries),
            entries=entries,
            refused=tuple({"path": _shown(p), "why": why} for p, why in self.refused.items()),
            tree_sha256=sha256(list(entries)),
        )

    async def single(self, entry: Entry, local: Path) -> None:
        # The same way as for a folder, under the name that the file has on the pod.
        folder, _, name = self.remote_path.rpartition("/")
        with Landing(local.parent) as landing:
            one = Entry(name, "f", entry.size, entry.executable, "")
            await self._files(landing, folder or "/", [one], {name: local.name})

    async def tree(self, wanted: Sequence[Entry], local: Path) -> None:
        files = []
        with Landing(local) as landing:
            for entry in wanted:
                why = objection(entry)
                if why is not None:
                    self.refused[entry.path] = why
                elif entry.type == "f":
                    files.append(entry)
                else:
                    self._place(landing, entry)
            await self._files(landing, self.remote_path, files, {})

    def _place(self, landing: Landing, entry: Entry) -> None:
        try:
            if entry.type == "d":
                landing.folder(entry.path)
            else:
                landing.link(entry.path, entry.target)
        except OSError as error:
            self.refused[entry.path] = _reason(error)

    async def _files(
        self, landing: Landing, folder: str, files: Sequence[Entry], names: Mapping[str, str]
    ) -> None:
        self.total = sum(entry.size for entry in files)
        open_entries = {entry.path: entry for entry in files}
        for left in reversed(range(TRIES)):
            if not open_entries:
                return
            # What changed while it was read is asked for once more.
            digests = await far_digests(self.transport, folder, list(open_entries))
            await self._receive(landing, folder, open_entries, digests, names)
            if left == 0:
                for path in open_entries:
                    self.refused.setdefault(
                        path, "it changed while it was read, or could not be read"
                    )

    async def _receive(
        self,
        landing: Landing,
        folder: str,
        open_entries: dict[str, Entry],
        digests: Mapping[str, str],
        names: Mapping[str, str],
    ) -> None:
        """Take in one archive; entries that came whole leave `open_entries`."""
        paths = [path for path in open_entries if path in digests]
        if not paths:
            return
        command = f"cd {shlex.quote(folder)} && tar -c -f - --no-recursion --null -T -"
        stream = self.transport.stream(command, stdin=name_list(paths))
        reader = TarReader(stream)
        try:
            while (member := await reader.next()) is not None:
                path = member.path.removeprefix("./")
                entry = open_entries.get(path)
                # Only what was asked for, and only once: everything else is skipped unread.
                if entry is None or not member.regular or path not in digests:
                    continue
                local_name = names.get(path, path)
                if await self._file(landing, reader, member, entry, digests[path], local_name):
                    del open_entries[path]
        except CommandFailed:
            # tar says so when a file vanished or changed; the digests tell which.
            return

    async def _file(
        self,
        landing: Landing,
        reader: TarReader,
        member: Member,
        entry: Entry,
        digest: str,
        local_name: str,
    ) -> bool:
        try:
            file = landing.open(local_name, executable=entry.executable)
        except OSError as error:
            self.refused[entry.path] = _reason(error)
            return True
        kept = False
        try:
            async for piece in reader.content():
                file.write(piece)
                self.done += len(piece)
                self.progress(entry.path, self.done, self.total)
            if file.sha256 != digest:
                return False
            kept = True
            size = file.size
            file.keep(member.mtime)
        except FileExistsError as error:
            self.refused[entry.path] = _reason(error)
            return True
        finally:
            if not kept:
                with contextlib.suppress(OSError):
                    file.discard()
        self.entries[local_name] = {"path": local_name, "size": size, "sha256": digest}
        return True


def _reason(error: OSError) -> str:
    return f"it cannot be written here: {error.strerror or error}"


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
