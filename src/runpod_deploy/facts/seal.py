"""From found files to payload entries: every file by its digest."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.facts.digest import Digest, digest_files, same_content
from runpod_deploy.facts.digest_cache import (
    Key,
    Known,
    cache_file,
    key_of,
    now_ns,
    read_cache,
    write_cache,
)
from runpod_deploy.facts.scan import LOOKED_AT, worth_a_look
from runpod_deploy.facts.walk import Found
from runpod_deploy.frozen import frozen

_CACHE_FROM_FILES = 200
_CACHE_FROM_BYTES = 2**20
_OWNER_EXECUTES = 0o100


@frozen
class Sealed:
    """The files of a source.

    Attributes:
        entries: Those that were read, in the order they were found.
        unread: The paths of those that could not be.
        flagged: Paths of files that hold something worth a warning, and the flags of `scan`.
        steady: Whether each file was read as it was found.
    """

    entries: tuple[PayloadEntry, ...]
    unread: tuple[str, ...]
    flagged: tuple[tuple[str, int], ...] = ()
    steady: bool = True


def seal(
    source: Path,
    found: Sequence[Found],
    *,
    use_cache: bool,
    environ: Mapping[str, str],
    look: bool = False,
) -> Sealed:
    """Return the files of `source` by their digests.

    Args:
        source: The folder or file that the paths are relative to.
        found: Files and links, in the order of the result.
        use_cache: Whether digests seen before may stand in for reading; apply says no.
        environ: Says by `XDG_CACHE_HOME` where digests are kept.
        look: Whether to look for what is worth a warning, while the files are read.
    """
    files = [one for one in found if one.target is None]
    size = sum(one.status.st_size for one in files)
    wanted = worth_a_look(files) if look else frozenset[str]()
    if use_cache and (len(files) >= _CACHE_FROM_FILES or size >= _CACHE_FROM_BYTES):
        digests = _with_cache(str(source), files, cache_file(str(source), environ), wanted)
    else:
        digests = digest_files(str(source), files, wanted)
    remaining = iter(digests)
    entries: list[PayloadEntry] = []
    unread: list[str] = []
    for one in found:
        entry = _file(one.path, next(remaining)) if one.target is None else _link(one)
        if entry is None:
            unread.append(one.path)
        else:
            entries.append(entry)
    flagged = tuple(
        (one.path, digest.flags)
        for one, digest in zip(files, digests, strict=True)
        if digest.flags & ~LOOKED_AT and one.path in wanted
    )
    steady = not unread and all(
        digest.status is one.status or same_content(digest.status, one.status)
        for one, digest in zip(files, digests, strict=True)
    )
    return Sealed(entries=tuple(entries), unread=tuple(unread), flagged=flagged, steady=steady)


def _with_cache(
    root: str, files: Sequence[Found], cache: Path, wanted: frozenset[str]
) -> list[Digest]:
    known = read_cache(cache)
    keys = [key_of(one.status) for one in files]
    usable = [
        key in known and (bool(known[key][1] & LOOKED_AT) or one.path not in wanted)
        for one, key in zip(files, keys, strict=True)
    ]
    if all(usable) and len(known) == len(files):
        return [_known(known[key], one) for one, key in zip(files, keys, strict=True)]
    began = now_ns()
    missing = [one for one, known_well in zip(files, usable, strict=True) if not known_well]
    fresh = iter(digest_files(root, missing, wanted))
    digests = [
        _known(known[key], one) if known_well else next(fresh)
        for one, key, known_well in zip(files, keys, usable, strict=True)
    ]
    write_cache(cache, _records(digests), began)
    return digests


def _known(known: Known, found: Found) -> Digest:
    return Digest(known[0], found.status, known[1])


def _records(digests: Sequence[Digest]) -> Iterator[tuple[Key, Known]]:
    for digest in digests:
        if digest.sha256 is not None:
            yield key_of(digest.status), (digest.sha256, digest.flags)


def _file(path: str, digest: Digest) -> PayloadEntry | None:
    sha256, status, _ = digest
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
