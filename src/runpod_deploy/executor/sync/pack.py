"""The payload as one tar stream, each byte held against the plan while it is read."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import StepFailed

CHUNK = 256 * 1024
SINGLE = "file"
Progress = Callable[[str, int, int], None]


async def pack(
    root: Path, entries: Sequence[PayloadEntry], progress: Progress
) -> AsyncIterator[bytes]:
    """Yield the tar stream of `entries` below `root` in pieces of about 256 KiB.

    A source that is a single file (`path` is empty) is called `file` in the stream.

    Raises:
        StepFailed: A file is not what the plan says any more (cause `payload_changed`).
    """
    pieces = _pieces(root, entries)
    total = sum(entry.size for entry in entries if entry.type == "file")
    while True:
        # Reading and hashing go on in a thread, so that other runs and the log are not held up.
        found = await asyncio.to_thread(next, pieces, None)
        if found is None:
            return
        piece, name, done = found
        progress(name, done, total)
        yield piece


def _pieces(root: Path, entries: Sequence[PayloadEntry]) -> Iterator[tuple[bytes, str, int]]:
    buffer = bytearray()
    done = 0
    for entry in entries:
        name = entry.path or SINGLE
        for piece in _member(root / entry.path if entry.path else root, entry, name):
            buffer += piece
            if len(buffer) >= CHUNK:
                yield bytes(buffer), name, done
                buffer.clear()
        if entry.type == "file":
            done += entry.size
    buffer += bytes(2 * tarfile.BLOCKSIZE)
    yield bytes(buffer), "", done


def _member(path: Path, entry: PayloadEntry, name: str) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    try:
        header.mtime = int(path.lstat().st_mtime)
        if entry.type == "link":
            header.type = tarfile.SYMTYPE
            header.linkname = str(path.readlink())
            header.mode = 0o777
            if header.linkname != entry.target:
                raise _changed(entry)
            yield header.tobuf(tarfile.PAX_FORMAT)
            return
        header.size = entry.size
        header.mode = 0o755 if entry.exec else 0o644
        yield header.tobuf(tarfile.PAX_FORMAT)
        yield from _content(path, entry)
    except OSError as error:
        raise _changed(entry, f": {error.strerror}") from error


def _content(path: Path, entry: PayloadEntry) -> Iterator[bytes]:
    digest = hashlib.sha256()
    left = entry.size
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with io.FileIO(fd) as file:
        while left:
            piece = file.read(min(CHUNK, left))
            if not piece:
                raise _changed(entry, ": it is shorter now")
            digest.update(piece)
            left -= len(piece)
            yield piece
        if file.read(1):
            raise _changed(entry, ": it is longer now")
    if digest.hexdigest() != entry.sha256:
        raise _changed(entry)
    yield bytes(-entry.size % tarfile.BLOCKSIZE)


def _changed(entry: PayloadEntry, why: str = "") -> StepFailed:
    return StepFailed(
        f"Staged file {entry.path or 'source'!r} is not what the plan says any more{why}.",
        cause="payload_changed",
        help="Make a new plan; files must not change between plan and staging.",
    )
