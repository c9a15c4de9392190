"""From found files to payload entries: every file by its digest."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.facts.digest import Digest, digest_files
from runpod_deploy.facts.digest_cache import cache_file, key_of, now_ns, read_cache, write_cache
from runpod_deploy.facts.walk import Found

_CACHE_FROM_FILES = 200
_CACHE_FROM_BYTES = 2**20
_OWNER_EXECUTES = 0o100


def seal(
    source: Path, found: Sequence[Found], *, use_cache: bool, environ: Mapping[str, str]
) -> tuple[tuple[PayloadEntry, ...], tuple[str, ...]]:
    """Return the entries of `found`, and the paths of files that could not be read.

    Args:
        source: The folder or file that the paths are relative to.
        found: Files and links, in the order of the result.
        use_cache: Whether digests seen before may stand in for reading; apply says no.
        environ: Says by `XDG_CACHE_HOME` where digests are kept.
    """
    files = [one for one in found if one.target is None]
    size = sum(one.status.st_size for one in files)
    if use_cache and (len(files) >= _CACHE_FROM_FILES or size >= _CACHE_FROM_BYTES):
        digests = _with_cache(str(source), files, cache_file(str(source), environ))
    else:
        digests = digest_files(str(source), files)
    remaining = iter(digests)
    entries: list[PayloadEntry] = []
    unread: list[str] = []
    for one in found:
        entry = _file(one.path, next(remaining)) if one.target is None else _link(one)
        if entry is None:
            unread.append(one.path)
        else:
            entries.append(entry)
    return tuple(entries), tuple(unread)


def _with_cache(root: str, files: Sequence[Found], cache: Path) -> list[Digest]:
    known = read_cache(cache)
    keys = [key_of(one.status) for one in files]
    missing = [one for one, key in zip(files, keys, strict=True) if key not in known]
    if not missing and len(known) == len(files):
        return [Digest(known[key], one.status) for one, key in zip(files, keys, strict=True)]
    began = now_ns()
    fresh = iter(digest_files(root, missing))
    digests = [
        Digest(known[key], one.status) if key in known else next(fresh)
        for one, key in zip(files, keys, strict=True)
    ]
    write_cache(cache, _records(digests), began)
    return digests


def _records(digests: Sequence[Digest]) -> Iterator[tuple[tuple[int, int, int, int, int], bytes]]:
    for digest in digests:
        if digest.sha256 is not None:
            yield key_of(digest.status), digest.sha256


def _file(path: str, digest: Digest) -> PayloadEntry | None:
    sha256, status = digest
    if sha256 is None:
        return None
    return PayloadEntry(
        path=path,
        type="file",
        size=status.st_size,
        exec=bool(status.st_mode & _OWNER_EXECUTES),
        sha256=sha256.hex(),
    )


def _link(found: Found) -> PayloadEntry:
    target = (found.target or "").encode()
    return PayloadEntry(
        path=found.path,
        type="link",
        size=len(target),
        exec=False,
        sha256=hashlib.sha256(target).hexdigest(),
        target=found.target,
    )
