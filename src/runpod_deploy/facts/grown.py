"""Files that only grew since they were planned, such as the log that this very command is piped into."""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry

_CHUNK = 2**20


def as_planned(
    source: Path, planned: Sequence[PayloadEntry], now: Sequence[PayloadEntry]
) -> tuple[PayloadEntry, ...]:
    """Return `now`, with the planned entry for each file that still begins with what was planned.

    What was planned of such a file is there, and is what will be sent.

    Args:
        source: What the paths are relative to.
    """
    known: Mapping[str, PayloadEntry] = {one.path: one for one in planned}
    return tuple(known[one.path] if _grew(source, known.get(one.path), one) else one for one in now)


def _grew(source: Path, planned: PayloadEntry | None, now: PayloadEntry) -> bool:
    if planned is None or {planned.type, now.type} != {"file"} or planned.exec != now.exec:
        return False
    if now.size <= planned.size:
        return False
    return _digest_of_beginning(source / now.path, planned.size) == planned.sha256


def _digest_of_beginning(path: Path, size: int) -> str | None:
    total, left = hashlib.sha256(), size
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        while left and (data := os.read(descriptor, min(left, _CHUNK))):
            total.update(data)
            left -= len(data)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if left else total.hexdigest()
