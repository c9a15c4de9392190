"""What lies under given names: kind, exec bit and sha256 of each, by all the cores there are."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys

if sys.version_info >= (3, 9):
    from collections.abc import Callable, Sequence
else:
    from typing import Callable, Sequence

MISSING = bytes(34)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_AT_ONCE = 256 * 1024
_BLOCK = 1024 * 1024
_MOST = 8


def cores() -> int:
    """Return how many processes are worth it here."""
    return min(len(os.sched_getaffinity(0)), _MOST)


def state(name: bytes) -> bytes:
    """Return 34 bytes: `f` or `l`, `x` or `-`, and the sha256 of the content or of the target."""
    try:
        handle = os.open(name, _FILE)
    except OSError as error:
        if error.errno != errno.ELOOP:
            return MISSING
        try:
            return b"l-" + hashlib.sha256(os.readlink(name)).digest()
        except OSError:
            return MISSING
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return MISSING
        kind = b"fx" if status.st_mode & 0o100 else b"f-"
        return kind + digest(handle, status.st_size)
    except OSError:
        return MISSING
    finally:
        os.close(handle)


def digest(handle: int, size: int) -> bytes:
    """Return the sha256 of an open file of about `size` bytes, from where it stands."""
    if size < _AT_ONCE:
        content = os.read(handle, size + 1)
        if len(content) == size:
            return hashlib.sha256(content).digest()
        found = hashlib.sha256(content)
    else:
        found = hashlib.sha256()
    while True:
        block = os.read(handle, _BLOCK)
        if not block:
            return found.digest()
        found.update(block)


def spread(
    work: Callable[[Sequence[bytes]], bytes], items: Sequence[bytes], least: int
) -> list[bytes]:
    """Return what `work` says of the items, in pieces in their order, done by several processes.

    Args:
        work: Says something of items that follow each other; must have no other effect.
        items: What is to be done.
        least: How many are worth a process.
    """
    count = max(1, min(cores(), len(items) // least))
    step = -(-len(items) // count) if items else 1
    parts = [items[at : at + step] for at in range(0, len(items), step)]
    helpers = [_helper(work, part) for part in parts[1:]]
    results = [work(part) for part in parts[:1]]
    for part, (process, pipe) in zip(parts[1:], helpers):
        with open(pipe, "rb") as answer:
            said = answer.read()
        _, status = os.waitpid(process, 0)
        results.append(said if status == 0 else work(part))
    return results


def _helper(work: Callable[[Sequence[bytes]], bytes], part: Sequence[bytes]) -> tuple[int, int]:
    mine, theirs = os.pipe()
    process = os.fork()
    if process:
        os.close(theirs)
        return process, mine
    status = 1
    try:
        with open(theirs, "wb") as answer:
            answer.write(work(part))
        status = 0
    finally:
        os._exit(status)
