"""A lock beside a file: whoever changes the file holds it, so that no change is lost to another."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

LOCK_WITHIN_SEC = 10.0
_PAUSE_SEC = 0.02


class FileBusy(OSError):
    """Another process has held a file's lock for too long."""


@contextlib.contextmanager
def locked(file: Path, lock: Path, *, folder_mode: int = 0o777) -> Iterator[None]:
    """Hold `lock`, which guards `file`, until the block ends; its folder is made.

    Raises:
        FileBusy: Somebody else has had the lock for `LOCK_WITHIN_SEC`.
        OSError: The folder cannot be written.
    """
    lock.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(fd, file)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, file: Path) -> None:
    give_up = time.monotonic() + LOCK_WITHIN_SEC
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise FileBusy(f"{file} has been locked by another process for too long") from None
            time.sleep(_PAUSE_SEC)
        else:
            return
