"""Sums over a payload list: its identity and its size."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from runpod_deploy.compiler.canonical import CanonicalError, quote
from runpod_deploy.compiler.plan import PayloadEntry


def tree_sha256(entries: Sequence[PayloadEntry]) -> str:
    """Return `sha256:` and the hex digest over RFC 8785 of the list of `entries`.

    Raises:
        CanonicalError: A path or link target is not Unicode text.
    """
    return f"sha256:{hashlib.sha256(canonical_list(entries)).hexdigest()}"


def canonical_list(entries: Sequence[PayloadEntry]) -> bytes:
    """Return the list of `entries` as RFC 8785 JSON, whose digest is the identity of the tree.

    Written out by hand for the six known keys: payloads have tens of thousands of entries.

    Raises:
        CanonicalError: A path or link target is not Unicode text.
    """
    text = ",".join(map(_canonical_entry, entries))
    try:
        return f"[{text}]".encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("a path holds a lone surrogate and is not Unicode text") from error


def _canonical_entry(entry: PayloadEntry) -> str:
    target = "" if entry.target is None else f'"target":{quote(entry.target)},'
    return (
        f'{{"exec":{"true" if entry.exec else "false"},"path":{quote(entry.path)},'
        f'"sha256":{quote(entry.sha256)},"size":{entry.size},{target}"type":"{entry.type}"}}'
    )


def total_bytes(entries: Iterable[PayloadEntry]) -> int:
    """Return the bytes of content of all files; links count nothing."""
    return sum(entry.size for entry in entries if entry.type == "file")


def sorted_by_bytes(entries: Iterable[PayloadEntry]) -> tuple[PayloadEntry, ...]:
    """Return `entries` in the order of the UTF-8 bytes of their paths.

    Code points sort as their UTF-8 bytes do, so no path needs encoding.
    """
    return tuple(sorted(entries, key=lambda entry: entry.path))


def is_sorted(payload: Mapping[str, Sequence[PayloadEntry]]) -> bool:
    """Return whether each list is strictly ascending, so that no path occurs twice."""
    return all(
        before.path < after.path
        for entries in payload.values()
        for before, after in pairwise(entries)
    )
