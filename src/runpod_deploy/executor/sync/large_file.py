"""A large file on its way here: written in ranges to a hidden file, which is what a cut leaves."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence

from runpod_deploy.executor.sync.listing import RemoteEntry
from runpod_deploy.executor.sync.local_tree import InTheWay, LocalTree

BLOCK_BYTES = 1024 * 1024
RANGE_BYTES = 32 * 1024 * 1024
LARGE_FROM = 8 * 1024 * 1024
_LATEST = 2**33


class LargeFile:
    """One such file; its methods may be called from several threads.

    Args:
        tree: Where it goes.
        place: Its path there.
        entry: What the pod said of it.

    Attributes:
        ranges: What is missing: (start, end), in order.
        resumable: Whether something is here that may be of it.

    Raises:
        InTheWay: The name is not possible here.
        OSError: The disk refused.
    """

    def __init__(self, tree: LocalTree, place: str, entry: RemoteEntry) -> None:
        self.entry = entry
        self.ranges: list[tuple[int, int]] = list(_cut(0, entry.size))
        self._tree = tree
        self._place = place
        self._handle, self._draft = tree.kept_draft(place, executable=entry.executable)
        self._old = tree.open_old(place)
        there = os.fstat(self._handle).st_size
        self.resumable = there > 0 or (
            self._old is not None and os.fstat(self._old).st_size >= BLOCK_BYTES
        )
        os.ftruncate(self._handle, entry.size)
        self._turn = threading.Lock()
        self._digest = hashlib.sha256()
        self._hashed = 0

    def keep(self, blocks: Sequence[str]) -> int:
        """Keep what equals the pod's blocks, here or in the file's old form; returns its bytes."""
        missing: list[tuple[int, int]] = []
        kept = 0
        for number, start in enumerate(range(0, self.entry.size, BLOCK_BYTES)):
            end = min(start + BLOCK_BYTES, self.entry.size)
            if number < len(blocks) and self._have(start, end, blocks[number]):
                kept += end - start
            elif missing and missing[-1][1] == start:
                missing[-1] = (missing[-1][0], end)
            else:
                missing.append((start, end))
        self.ranges = [piece for start, end in missing for piece in _cut(start, end)]
        return kept

    def _have(self, start: int, end: int, digest: str) -> bool:
        if _sha256(os.pread(self._handle, end - start, start)) == digest:
            return True
        if self._old is None:
            return False
        block = os.pread(self._old, end - start, start)
        if len(block) != end - start or _sha256(block) != digest:
            return False
        self._write(start, block)
        return True

    def write(self, start: int, piece: bytes) -> None:
        """Write a piece; in passing it is hashed when all before it was."""
        self._write(start, piece)
        with self._turn:
            if start < self._hashed:
                # What was hashed is not what lies here any more.
                self._digest, self._hashed = hashlib.sha256(), 0
            if start == self._hashed:
                self._digest.update(piece)
                self._hashed += len(piece)

    def _write(self, start: int, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            written = os.pwrite(self._handle, view, start)
            start += written
            view = view[written:]

    def settle(self, told: str | None) -> str | None:
        """Let the file in when its content is what the pod said; returns why it was not.

        Raises:
            InTheWay: A folder bears the name.
            OSError: The disk refused.
        """
        if told is None:
            return "the pod could not tell its sha256"
        if self.sha256() != told:
            return "its content changed while it was read"
        stamp = int(min(max(self.entry.mtime, 0), _LATEST)) * 1_000_000_000
        os.utime(self._handle, ns=(stamp, stamp))
        # A draft that was kept may have been made for another mode.
        mode = os.fstat(self._handle).st_mode
        readers = (mode & 0o444) >> 2
        os.fchmod(self._handle, mode | readers if self.entry.executable else mode & ~0o111)
        self._tree.place(self._draft, self._place)
        return None

    def sha256(self) -> str:
        """Return the digest of what lies here."""
        while block := os.pread(self._handle, BLOCK_BYTES, self._hashed):
            self._digest.update(block)
            self._hashed += len(block)
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the handles; what is here stays."""
        os.close(self._handle)
        if self._old is not None:
            os.close(self._old)

    def drop(self) -> None:
        """Remove what is here of a file that will not come."""
        with contextlib.suppress(OSError, InTheWay):
            self._tree.drop(self._draft)


def _cut(start: int, end: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, RANGE_BYTES):
        yield at, min(at + RANGE_BYTES, end)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
