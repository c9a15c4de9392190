"""What of a payload is on the pod already: in its destination, and left over from a broken upload."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync.agent import Agent

LOOK_BYTES = 1 << 20
PER_NAME = 1024
"""Together, with what a name itself takes, the longest answer about so many names, in bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a payload stands on the pod, by the names it has there.

    Attributes:
        programs: What the pod can expand: `zstd`, `gzip`.
        there: The destination exists as a folder.
        in_place: Names that are as they should be.
        staged: Names that lie ready in our hidden folder.
        partial: Large files that broke off: sha256 to the bytes there are, possibly with holes.
    """

    programs: frozenset[str] = frozenset()
    there: bool = False
    in_place: frozenset[str] = frozenset()
    staged: frozenset[str] = frozenset()
    partial: Mapping[str, int] = field(default_factory=dict)


async def look(agent: Agent, named: Mapping[str, PayloadEntry]) -> Standing:
    """Ask the pod for `named`: the name each entry has there to what should be there.

    The digest of the answer that we hope for travels with the question: where it is right, the
    pod says so in a word.

    Raises:
        StepFailed: The pod cannot tell, or told nonsense (cause `bad_answer`).
        TransportError: The connection broke.
    """
    names = "".join(f"./{name}\0" for name in named).encode()
    expected = hashlib.sha256(_as_hoped(named)).hexdigest()
    word, answer = await agent.ask(
        f"have {expected}", names, most=LOOK_BYTES + 4 * len(names) + PER_NAME * len(named)
    )
    if word != "have":
        raise nonsense()
    try:
        return _read(iter(answer.split(b"\0")), named)
    except (StopIteration, ValueError) as exc:
        raise nonsense() from exc


def _as_hoped(named: Mapping[str, PayloadEntry]) -> bytes:
    stats, digests = [], []
    for name, entry in named.items():
        if entry.type == "link":
            stats.append(f"l\0777\0{entry.target}\0./{name}\0")
        else:
            stats.append(f"f\0{755 if entry.exec else 644}\0\0./{name}\0")
            digests.append(f"{entry.sha256}  ./{name}\0")
    return "".join([*stats, "\0", *digests, "\0"]).encode()


def _read(fields: Iterator[bytes], named: Mapping[str, PayloadEntry]) -> Standing:
    programs = frozenset(next(fields).decode("ascii", "replace").split())
    kind = next(fields)
    same = next(fields) == b"same"
    in_place = frozenset(named) if same else _right(fields, named)
    staged = _right(fields, named)
    partial = {}
    for line in next(fields).decode("ascii", "replace").splitlines():
        digest, _, size = line.partition(" ")
        partial[digest] = int(size)
    return Standing(
        programs=programs,
        there=kind == b"d",
        in_place=in_place,
        staged=staged - in_place,
        partial=partial,
    )


def _right(fields: Iterator[bytes], named: Mapping[str, PayloadEntry]) -> frozenset[str]:
    """Read one folder's section; return the names that are there as they should be."""
    right: set[str] = set()
    likely: set[bytes] = set()
    while kind := next(fields):
        mode, target, raw = next(fields), next(fields), next(fields)
        name = raw[2:].decode("utf-8", "surrogateescape")
        entry = named.get(name)
        if entry is None:
            continue
        if entry.type == "link":
            if kind == b"l" and target.decode("utf-8", "surrogateescape") == entry.target:
                right.add(name)
        elif kind == b"f" and bool(int(mode, 8) & 0o100) == entry.exec:
            likely.add(raw)
    while line := next(fields):
        if line[66:] in likely:
            name = line[68:].decode("utf-8", "surrogateescape")
            if line[:64].decode("ascii", "replace") == named[name].sha256:
                right.add(name)
    return frozenset(right)


def nonsense() -> StepFailed:
    """Return the error for an answer that cannot be read."""
    return StepFailed("the pod did not say what lies there", cause="bad_answer")
