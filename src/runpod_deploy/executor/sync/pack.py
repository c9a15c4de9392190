"""A payload as one tar stream, each byte held against the plan while it is read."""

import asyncio
import errno
import hashlib
import os
import shlex
import stat
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from pathlib import Path
from posixpath import dirname

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync.tar_header import BLOCK, write_header
from runpod_deploy.executor.untrusted import printable

Progress = Callable[[str, int, int], None]

_READ = 256 * 1024
_BATCH = 1024 * 1024
_MOVE_BYTES = 60_000
_CHANGED = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}


class Packer:
    """Reads files off the disk and writes the archive that the pod unpacks.

    The archive holds `tree/…`, then `names` and `expected` for the check on the far side, `move`
    for putting the files into place, and last of all `complete`: without it nothing is moved.

    Args:
        root: Folder that the entries are relative to, or the file itself for the entry `""`.
        entries: What travels.
        progress: Told the path, bytes done and bytes in all, after each batch.
    """

    def __init__(self, root: Path, entries: Sequence[PayloadEntry], progress: Progress) -> None:
        self._root = root
        self._entries = entries
        self._progress = progress
        self._label = ""
        self._done = 0
        self._total = sum(entry.size for entry in entries if entry.type == "file")
        self._pieces = self._archive()
        self.sent = 0

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the archive in batches; the next one is read while this one travels.

        Raises:
            StepFailed: A file is not what the plan says (cause `payload_changed`), or cannot be
                read (cause `payload_unreadable`).
        """
        batch = asyncio.create_task(asyncio.to_thread(self._batch))
        try:
            while piece := await batch:
                self.sent += len(piece)
                self._progress(self._label, self._done, self._total)
                batch = asyncio.create_task(asyncio.to_thread(self._batch))
                yield piece
        finally:
            # The thread may be inside a file; it ends by itself within one batch.
            await asyncio.gather(batch, return_exceptions=True)
            self._pieces.close()

    def _batch(self) -> bytes:
        pieces = []
        size = 0
        for piece in self._pieces:
            pieces.append(piece)
            size += len(piece)
            if size >= _BATCH:
                break
        return b"".join(pieces)

    def _archive(self) -> Generator[bytes, None, None]:
        for entry in self._entries:
            self._label = entry.path or self._root.name
            yield from self._link(entry) if entry.type == "link" else self._file(entry)
        named = [(member_name(entry), entry) for entry in self._entries]
        files = [(f"./{name}", entry.sha256) for name, entry in named if entry.type == "file"]
        yield from _extra("names", "".join(f"{name}\0" for name, _ in files))
        yield from _extra("expected", "".join(f"{digest}  {name}\0" for name, digest in files))
        yield from _extra("move", move_script([name for name, _ in named]))
        yield from _extra("complete", "")
        yield bytes(2 * BLOCK)

    def _link(self, entry: PayloadEntry) -> Iterator[bytes]:
        path = self._local(entry)
        try:
            target = os.readlink(path)  # noqa: PTH115 - a Path would tidy the text up
        except OSError as exc:
            raise _changed(path, "it is no symbolic link any more") from exc
        if target != entry.target:
            raise _changed(path, "the symbolic link leads elsewhere")
        yield write_header(
            f"tree/{member_name(entry)}",
            size=0,
            mode=0o777,
            mtime=max(0, int(path.lstat().st_mtime)),
            target=target,
        )

    def _file(self, entry: PayloadEntry) -> Iterator[bytes]:
        path = self._local(entry)
        handle = self._open(path, entry)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise _changed(path, "it is no regular file any more")
            if status.st_size != entry.size:
                raise _changed(path, f"{status.st_size} bytes now, {entry.size} planned")
            yield write_header(
                f"tree/{member_name(entry)}",
                size=entry.size,
                mode=0o755 if entry.exec else 0o644,
                mtime=max(0, int(status.st_mtime)),
            )
            yield from self._content(path, handle, entry)
        finally:
            os.close(handle)
        yield bytes(-entry.size % BLOCK)

    def _content(self, path: Path, handle: int, entry: PayloadEntry) -> Iterator[bytes]:
        digest = hashlib.sha256()
        rest = entry.size
        while rest:
            block = os.read(handle, min(rest, _READ))
            if not block:
                raise _changed(path, f"{entry.size - rest} bytes now, {entry.size} planned")
            rest -= len(block)
            self._done += len(block)
            digest.update(block)
            yield block
        if os.read(handle, 1):
            raise _changed(path, f"more than the planned {entry.size} bytes now")
        if digest.hexdigest() != entry.sha256:
            raise _changed(path, "other content of the same size")

    def _open(self, path: Path, entry: PayloadEntry) -> int:
        # A source that is named itself may be a link; inside a tree, links travel as links.
        follow = 0 if entry.path == "" else os.O_NOFOLLOW
        try:
            # O_NONBLOCK: a pipe put in the file's place must not hold us for ever.
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow)
        except OSError as exc:
            if exc.errno in _CHANGED:
                raise _changed(path, exc.strerror or "it cannot be opened") from exc
            raise StepFailed(
                f"{printable(str(path))} cannot be read: {exc.strerror}", cause="payload_unreadable"
            ) from exc

    def _local(self, entry: PayloadEntry) -> Path:
        return self._root / entry.path if entry.path else self._root


def member_name(entry: PayloadEntry) -> str:
    """Return the entry's name below `tree/`; a source that is itself a file has the name `file`."""
    return entry.path or "file"


def move_script(names: Sequence[str]) -> str:
    """Return `at FOLDER FILE…` lines for each folder and its files, parents first.

    What `at` does is for the caller of the script to say: it runs twice, to look and to move.
    """
    folders: dict[str, list[str]] = {".": []}
    for name in names:
        folder = dirname(name)
        parts = folder.split("/") if folder else []
        for depth in range(1, len(parts) + 1):
            folders.setdefault("/".join(parts[:depth]), [])
        folders[folder or "."].append(name[len(folder) + 1 :] if folder else name)
    return "".join(
        f"at {shlex.quote(f'./{folder}')} {group}\n"
        for folder, files in folders.items()
        for group in _groups([shlex.quote(f"./{file}") for file in files]) or [""]
    )


def _groups(words: Sequence[str]) -> list[str]:
    """Return the words joined in lines that are short enough for one command."""
    groups: list[list[str]] = []
    size = _MOVE_BYTES
    for word in words:
        size += len(word.encode()) + 1
        if size > _MOVE_BYTES:
            groups.append([])
            size = len(word.encode())
        groups[-1].append(word)
    return [" ".join(group) for group in groups]


def _extra(name: str, text: str) -> Iterator[bytes]:
    content = text.encode("utf-8")
    yield write_header(name, size=len(content), mode=0o600, mtime=0)
    yield content
    yield bytes(-len(content) % BLOCK)


def _changed(path: Path, why: str) -> StepFailed:
    return StepFailed(
        f"{printable(str(path))} changed since the plan was made: {why}",
        cause="payload_changed",
        help="Make a new plan and apply that.",
    )
