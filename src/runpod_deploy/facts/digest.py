"""sha256 of many files: read in big pieces, by several threads when there is enough to do."""

import hashlib
import os
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from runpod_deploy.facts.scan import flags_of
from runpod_deploy.facts.walk import Found

_CHUNK = 2**20
_ATTEMPTS = 3
# Below this mean size a thread waits for the interpreter longer than for the disk or the hash.
_THREADS_FROM_MEAN_BYTES = 2**17
_MAX_THREADS = 8


class Digest(NamedTuple):
    """One file's digest, the status of the file that was read, and what was seen in it.

    The digest is None when the file could not be read; the flags are those of `scan`.
    """

    sha256: bytes | None
    status: os.stat_result
    flags: int = 0


def digest_files(
    root: str, files: Sequence[Found], looked_into: Container[str] = ()
) -> list[Digest]:
    """Return the digest of each of `files`, in their order.

    Args:
        root: What their paths are relative to.
        files: What to read.
        looked_into: The paths of those whose content is looked at as well.
    """
    total = sum(found.status.st_size for found in files)
    workers = min(os.cpu_count() or 1, _MAX_THREADS, len(files))
    if workers < 2 or total < _THREADS_FROM_MEAN_BYTES * len(files):
        return list(_digest_run(root, files, looked_into))
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for large trees only

    runs = list(_runs(files, total / (workers * 4)))
    with ThreadPoolExecutor(workers) as pool:
        return [
            one
            for run in pool.map(lambda run: list(_digest_run(root, run, looked_into)), runs)
            for one in run
        ]


def _runs(files: Sequence[Found], enough: float) -> Iterator[Sequence[Found]]:
    """Cut `files` into runs of about `enough` bytes."""
    begin, size = 0, 0
    for index, found in enumerate(files):
        size += found.status.st_size + 4096
        if size >= enough:
            yield files[begin : index + 1]
            begin, size = index + 1, 0
    if begin < len(files):
        yield files[begin:]


def _digest_run(root: str, files: Sequence[Found], looked_into: Container[str]) -> Iterator[Digest]:
    for found in files:
        path = f"{root}/{found.path}" if found.path else root
        yield _digest(path, found.status, look=found.path in looked_into)


def _digest(path: str, status: os.stat_result, *, look: bool) -> Digest:
    """Digest one file; one that changes while it is read is read again."""
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return Digest(None, status)
        try:
            sha256, flags = _read(descriptor, status.st_size, look=look)
            after = os.fstat(descriptor)
        except OSError:
            return Digest(None, status)
        finally:
            os.close(descriptor)
        if sha256 is not None and same_content(status, after):
            return Digest(sha256, after, flags)
        if os.path.realpath(path) != path:
            break  # a folder became a link meanwhile: what lies there was not chosen
        status = after
    return Digest(None, status)


def _read(descriptor: int, size: int, *, look: bool) -> tuple[bytes | None, int]:
    """Return the digest of exactly `size` bytes, None when the file has more or fewer; and flags."""
    data = os.read(descriptor, min(size, _CHUNK) + 1)
    flags = flags_of(data) if look else 0
    if len(data) == size:
        return hashlib.sha256(data).digest(), flags
    total = hashlib.sha256()
    read = 0
    while data:
        total.update(data)
        read += len(data)
        data = os.read(descriptor, _CHUNK)
    return (total.digest() if read == size else None), flags


def same_content(one: os.stat_result, other: os.stat_result) -> bool:
    """Return whether two statuses are of the same file, unchanged."""
    return (
        one.st_ino == other.st_ino
        and one.st_size == other.st_size
        and one.st_mtime_ns == other.st_mtime_ns
        and one.st_ctime_ns == other.st_ctime_ns
    )
