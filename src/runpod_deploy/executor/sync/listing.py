"""What lies under a path on the pod, as far as a hostile pod can be believed: names are checked here."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass
from typing import Literal

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.ports import Transport

Kind = Literal["folder", "file", "missing", "other"]
MOST_BYTES = 256 * 1024 * 1024
MOST_ENTRIES = 1_000_000
_KINDS: dict[bytes, Kind] = {b"D": "folder", b"F": "file", b"N": "missing", b"X": "other"}
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One name on the pod.

    Attributes:
        type: find's letter: `f` file, `d` folder, `l` link; anything else never travels.
        target: Of a link, as written.
    """

    path: str
    type: str
    size: int
    executable: bool
    target: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a remote path is, and its entries; for a single file one entry with the path `""`."""

    kind: Kind
    entries: tuple[Entry, ...]


async def list_far(transport: Transport, remote_path: str) -> Listing:
    """List `remote_path`, following it if it is a link itself, and no link below it.

    Raises:
        StepFailed: The pod's answer is no listing, or holds more than a million names.
        TransportError: The connection broke.
    """
    path = shlex.quote(remote_path)
    # find's -printf ends each field with NUL, the one byte that no name can hold.
    command = (
        f"if [ -d {path} ]; then printf 'D\\0'; "
        f"find {path}/. -mindepth 1 -printf '%y\\0%s\\0%m\\0%l\\0%P\\0'; "
        f"elif [ -f {path} ]; then printf 'F\\0'; "
        f"find -L {path} -maxdepth 0 -printf 'f\\0%s\\0%m\\0\\0\\0'; "
        f"elif [ -e {path} ]; then printf 'X\\0'; else printf 'N\\0'; fi"
    )
    output = bytearray()
    async for piece in transport.stream(command):
        output += piece
        if len(output) > MOST_BYTES:
            raise _refused(remote_path, "its list of names is larger than 256 MiB")
    return parse_listing(bytes(output), remote_path)


def parse_listing(output: bytes, remote_path: str) -> Listing:
    """Read the answer of the listing command; pure.

    Raises:
        StepFailed: It is not one.
    """
    head, *fields = output.split(b"\0")
    kind = _KINDS.get(head)
    if kind is None or not fields or fields.pop() != b"" or len(fields) % _FIELDS:
        raise _refused(remote_path, "the pod's answer is no list of names")
    if len(fields) > MOST_ENTRIES * _FIELDS:
        raise _refused(remote_path, "it holds more than a million names")
    entries = [
        _entry(fields[at : at + _FIELDS], remote_path) for at in range(0, len(fields), _FIELDS)
    ]
    if kind == "file" and [entry.path for entry in entries] != [""]:
        raise _refused(remote_path, "the pod's answer is no single file")
    return Listing(kind, tuple(entries))


def _entry(fields: list[bytes], remote_path: str) -> Entry:
    letter, size, mode, target, name = fields
    if not size.isdigit() or not mode.isdigit() or len(letter) != 1:
        raise _refused(remote_path, "the pod's answer is no list of names")
    return Entry(
        path=name.decode("utf-8", "surrogateescape"),
        type=letter.decode("ascii", "replace"),
        size=int(size),
        executable=bool(int(mode, 8) & 0o100) if set(mode) <= set(b"01234567") else False,
        target=target.decode("utf-8", "surrogateescape"),
    )


def objection(entry: Entry) -> str | None:
    """Return why an entry may not be written here, None when it may."""
    if entry.type not in {"f", "d", "l"}:
        return "neither file, folder nor link"
    parts = entry.path.split("/")
    if entry.path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return "its name leads elsewhere"
    try:
        entry.path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if entry.type == "l" and not _stays_inside(entry):
        return "a link that leads out of the artifact"
    return None


def _stays_inside(entry: Entry) -> bool:
    if not entry.target or entry.target.startswith("/"):
        return False
    where = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.target))
    return where != ".." and not where.startswith("../")


def _refused(remote_path: str, why: str) -> StepFailed:
    return StepFailed(f"{remote_path} cannot be pulled: {why}.", cause="listing")
