"""Digests of files seen before, so that planning the same tree again does not read it again.

One file of fixed records for each source. A record counts only for a file whose inode, size and
both time stamps are the same to the nanosecond. A file that was changed less than two seconds
before it was read gets no record: a second change in the same tick of the clock would not show.
"""

import hashlib
import os
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from runpod_deploy.facts.kept_file import kept_folder, read_kept, write_kept

MAGIC = b"runpod-deploy digests 2\n"
YOUNG_NS = 2 * 10**9
_RECORD = struct.Struct("<QQQqq32sB")

Key = tuple[int, int, int, int, int]
Known = tuple[bytes, int]
"""A digest, and the flags of what was seen in the file."""


def key_of(status: os.stat_result) -> Key:
    """Return what a digest is remembered by: device, inode, size, mtime and ctime."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def cache_file(source: str, environ: Mapping[str, str]) -> Path:
    """Return where the digests of the files below `source`, an absolute path, are kept."""
    name = hashlib.sha256(os.fsencode(source)).hexdigest()[:32]
    return kept_folder(environ) / "digests" / f"{name}.bin"


def read_cache(file: Path) -> dict[Key, Known]:
    """Return what `file` remembers; nothing when it is missing or not whole."""
    body = read_kept(file, MAGIC)
    if body is None or len(body) % _RECORD.size:
        return {}
    return {record[:5]: record[5:] for record in _RECORD.iter_unpack(body)}


def write_cache(file: Path, digests: Iterable[tuple[Key, Known]], began_ns: int) -> None:
    """Replace `file` by `digests`, leaving out those of files younger than `began_ns` allows.

    A cache that cannot be written is done without.
    """
    old = began_ns - YOUNG_NS
    with suppress(struct.error):
        body = b"".join(
            _RECORD.pack(*key, *known) for key, known in digests if max(key[3], key[4]) < old
        )
        write_kept(file, MAGIC, body)


def now_ns() -> int:
    """Return the clock that file time stamps are compared with, in nanoseconds."""
    return time.time_ns()
