"""A large file on its way here: written in ranges to a hidden file, which is what a cut leaves."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Sequence

from runpod_deploy.executor.sync.listing import RemoteEntry
from runpod_deploy.executor.sync.local_tree import InTheWay, LocalTree

BLOCK_BYTES = 1024 * 1024
RANGE_BYTES = 32 * 1024 * 1024
LARGE_FROM = 8 * 1024 * 1024
_LATEST = 2**33
_TOO_LARGE = {errno.EFBIG, errno.EINVAL, errno.EOVERFLOW}


class LargeFile:
    """One such file; its methods may be called from several threads.

    Args:
        tree: Where it goes.
        place: Its path there.
        entry: What the pod said of it.

    Attributes:
        missing: Bytes that are not here yet.
        worth_asking: Bytes from the beginning whose digests on the pod are worth to know, since
            something is here that may be of it.

    Raises:
        InTheWay: The name, or a file of that size, is not possible here.
        OSError: The disk refused.
    """

    def __init__(self, tree: LocalTree, place: str, entry: RemoteEntry) -> None:
        self.entry = entry
        self.missing = entry.size
        self._runs: list[tuple[int, int]] = [(0, entry.size)]
        self._tree = tree
        self._place = place
        self._handle, self._draft = tree.kept_draft(place, executable=entry.executable)
        self._old = tree.open_old(place)
        there = os.fstat(self._handle).st_size
        if self._old is not None:
            there = max(there, os.fstat(self._old).st_size)
        self.worth_asking = min(there, entry.size) if there >= BLOCK_BYTES else 0
        try:
            os.ftruncate(self._handle, entry.size)
        except (OSError, OverflowError) as exc:
            self.close()
            self.drop()
            if isinstance(exc, OSError) and exc.errno not in _TOO_LARGE:
                raise
            raise InTheWay("a file of that size is not possible on this file system") from exc
        self._turn = threading.Lock()
        self._digest = hashlib.sha256()
        self._hashed = 0

    def keep(self, blocks: Sequence[str]) -> int:
        """Keep what equals the pod's blocks, here or in the file's old form; returns its bytes."""
        known = min(len(blocks) * BLOCK_BYTES, self.entry.size)
        runs: list[tuple[int, int]] = []
        for number, digest in enumerate(blocks):
            start = number * BLOCK_BYTES
            end = min(start + BLOCK_BYTES, known)
            if start < end and not self._have(start, end, digest):
                _extend(runs, start, end)
        if known < self.entry.size:
            _extend(runs, known, self.entry.size)
        self._runs = runs
        self.missing = sum(end - start for start, end in runs)
        return self.entry.size - self.missing

    def next_range(self) -> tuple[int, int] | None:
        """Return the next range to fetch, which is then no longer given out; None when there is none."""
        if not self._runs:
            return None
        start, end = self._runs.pop(0)
        cut = min(start + RANGE_BYTES, end)
        if cut < end:
            self._runs.insert(0, (cut, end))
        return start, cut

    def put_back(self, start: int, end: int) -> None:
        """Take back a range that did not come."""
        if start < end:
            self._runs.insert(0, (start, end))

    def give_up(self) -> None:
        """Fetch no more of it."""
        self._runs.clear()

    @property
    def left(self) -> int:
        """Bytes of the ranges that were not given out yet."""
        return sum(end - start for start, end in self._runs)

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


def _extend(runs: list[tuple[int, int]], start: int, end: int) -> None:
    if runs and runs[-1][1] == start:
        runs[-1] = (runs[-1][0], end)
    else:
        runs.append((start, end))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
