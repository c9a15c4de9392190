"""Digests of files seen before, so that planning the same tree again does not read it again.

One file for each source: fixed records, sealed by a digest of their own, replaced as a whole. A
damaged, foreign or half-written file is no file. A record counts only for a file whose inode, size
and both time stamps are the same to the nanosecond. A file that was changed less than two seconds
before it was read gets no record: a second change in the same tick of the clock would not show.
"""

import hashlib
import os
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

MAGIC = b"runpod-deploy digests 2\n"
YOUNG_NS = 2 * 10**9
_RECORD = struct.Struct("<QQQqq32sB")
_SEAL = hashlib.sha256().digest_size

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
    base = environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the XDG specification.
    folder = Path(base) if base.startswith("/") else Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(source)).hexdigest()[:32]
    return folder / "runpod-deploy" / "digests" / f"{name}.bin"


def read_cache(file: Path) -> dict[Key, Known]:
    """Return what `file` remembers; nothing when it is missing or not whole."""
    try:
        content = file.read_bytes()
    except OSError:
        return {}
    body, seal = content[len(MAGIC) : -_SEAL], content[-_SEAL:]
    whole = content.startswith(MAGIC) and len(body) % _RECORD.size == 0
    if not whole or hashlib.sha256(body).digest() != seal:
        return {}
    return {record[:5]: record[5:] for record in _RECORD.iter_unpack(body)}


def write_cache(file: Path, digests: Iterable[tuple[Key, Known]], began_ns: int) -> None:
    """Replace `file` by `digests`, leaving out those of files younger than `began_ns` allows.

    A cache that cannot be written is done without.
    """
    old = began_ns - YOUNG_NS
    new = file.with_name(f".new-{os.getpid()}-{os.urandom(4).hex()}")
    with suppress(OSError, struct.error):
        body = b"".join(
            _RECORD.pack(*key, *known) for key, known in digests if max(key[3], key[4]) < old
        )
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with new.open("xb") as stream:
                stream.write(MAGIC + body + hashlib.sha256(body).digest())
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)


def now_ns() -> int:
    """Return the clock that file time stamps are compared with, in nanoseconds."""
    return time.time_ns()
