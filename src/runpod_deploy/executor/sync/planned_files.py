"""Reads what a plan lists, each byte held against the plan while it is read."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync.source_folder import SourceFolder
from runpod_deploy.executor.sync.tar_header import BLOCK, write_header
from runpod_deploy.executor.untrusted import printable

_CHANGED = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}


def tar_of(root: Path, named: Iterable[tuple[str, PayloadEntry]]) -> bytes:
    """Return an archive of links and small files under the names given.

    Raises:
        StepFailed: An entry is not what the plan says (cause `payload_changed`), or cannot be read
            (cause `payload_unreadable`).
    """
    pieces: list[bytes] = []
    # Paths as text: for ten thousand small files, making `Path`s would cost a fifth of it all.
    top, source = str(root), SourceFolder(root)
    try:
        for name, entry in named:
            if entry.type == "link":
                pieces += _link(f"{top}/{entry.path}" if entry.path else top, name, entry)
            else:
                pieces += _file(source, name, entry)
    finally:
        source.close()
    pieces.append(bytes(2 * BLOCK))
    return b"".join(pieces)


def bundle_of(root: Path, named: Iterable[tuple[str, PayloadEntry]]) -> bytes:
    """Return links and small files for the script of `far/`: a head, and the contents behind it.

    The head's length comes first, in 4 bytes; it has five fields for each entry, NUL-ended: `f`,
    `x` or `l`, mtime, size, name, and sha256 or target. Raises as `tar_of`.
    """
    heads: list[str] = []
    contents: list[bytes] = []
    top, source = str(root), SourceFolder(root)
    try:
        for name, entry in named:
            path = f"{top}/{entry.path}" if entry.path else top
            if entry.type == "link":
                heads.append(f"l\0{_link_mtime(path, entry)}\0\0{name}\0{entry.target}\0")
                continue
            mtime, content = _content(source, path, entry)
            kind = "x" if entry.exec else "f"
            heads.append(f"{kind}\0{mtime}\0{entry.size}\0{name}\0{entry.sha256}\0")
            contents.append(content)
    finally:
        source.close()
    head = "".join(heads).encode("utf-8", "surrogateescape")
    return b"".join((len(head).to_bytes(4, "big"), head, *contents))


def tar_member(name: str, text: str) -> bytes:
    """Return a member of our own book-keeping."""
    content = text.encode("utf-8")
    head = write_header(name, size=len(content), mode=0o600, mtime=0)
    return head + content + bytes(-len(content) % BLOCK)


class PlannedFile:
    """A file of the plan, read from its beginning to its planned end in blocks.

    One that grew meanwhile, as a log does, is sent as it was planned.

    Raises:
        StepFailed: As `tar_of`, here and in every method.
    """

    def __init__(self, source: SourceFolder, entry: PayloadEntry) -> None:
        path = f"{source.root}/{entry.path}" if entry.path else str(source.root)
        self._path = path
        self._entry = entry
        self._handle = _open(source, path, entry)
        self._digest = hashlib.sha256()
        self._at = 0
        try:
            status = os.fstat(self._handle)
            if not stat.S_ISREG(status.st_mode):
                raise _changed(path, "it is no regular file any more")
            if status.st_size < entry.size:
                raise _changed(path, f"{status.st_size} bytes now, {entry.size} planned")
            self.mtime = max(0, int(status.st_mtime))
        except BaseException:
            self.close()
            raise

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self._entry.size - self._at

    def read(self, most: int) -> tuple[int, bytes]:
        """Return the next block with its offset; an empty one when all is read and as planned."""
        offset = self._at
        wanted = min(most, self._entry.size - offset)
        pieces: list[bytes] = []
        while wanted:
            piece = os.read(self._handle, wanted)
            if not piece:
                raise _changed(self._path, f"{self._at} bytes now, {self._entry.size} planned")
            self._digest.update(piece)
            self._at += len(piece)
            wanted -= len(piece)
            pieces.append(piece)
        if not pieces:
            self._judge()
        return offset, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _judge(self) -> None:
        if self._digest.hexdigest() != self._entry.sha256:
            raise _changed(self._path, "other content than planned")


def _link_mtime(path: str, entry: PayloadEntry) -> int:
    try:
        target = os.readlink(path)  # noqa: PTH115 - a Path would tidy the text up
    except OSError as exc:
        raise _changed(path, "it is no symbolic link any more") from exc
    if target != entry.target:
        raise _changed(path, "the symbolic link leads elsewhere")
    return max(0, int(os.lstat(path).st_mtime))


def _link(path: str, name: str, entry: PayloadEntry) -> Iterator[bytes]:
    mtime = _link_mtime(path, entry)
    yield write_header(name, size=0, mode=0o777, mtime=mtime, target=entry.target)


def _file(source: SourceFolder, name: str, entry: PayloadEntry) -> Iterator[bytes]:
    path = f"{source.root}/{entry.path}" if entry.path else str(source.root)
    mtime, content = _content(source, path, entry)
    mode = 0o755 if entry.exec else 0o644
    yield write_header(name, size=entry.size, mode=mode, mtime=mtime)
    yield content
    yield bytes(-entry.size % BLOCK)


def _content(source: SourceFolder, path: str, entry: PayloadEntry) -> tuple[int, bytes]:
    """Return the mtime and content of a small file, held against the plan."""
    handle = _open(source, path, entry)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise _changed(path, "it is no regular file any more")
        content = os.read(handle, entry.size)
        while len(content) < entry.size and (more := os.read(handle, entry.size - len(content))):
            content += more
    finally:
        os.close(handle)
    if len(content) != entry.size:
        raise _changed(path, f"{len(content)} bytes now, {entry.size} planned")
    if entry.size and hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _changed(path, "other content than planned")
    return max(0, int(status.st_mtime)), content


def _open(source: SourceFolder, path: str, entry: PayloadEntry) -> int:
    try:
        return source.open(entry.path)
    except OSError as exc:
        if exc.errno in _CHANGED:
            raise _changed(path, exc.strerror or "it cannot be opened") from exc
        raise StepFailed(
            f"{printable(path)} cannot be read: {exc.strerror}", cause="payload_unreadable"
        ) from exc


def _changed(path: str, why: str) -> StepFailed:
    return StepFailed(
        f"{printable(path)} changed since the plan was made: {why}",
        cause="payload_changed",
        help="Make a new plan and apply that.",
    )
