"""Headers of tar members, written and read without the standard library's detours.

A payload of ten thousand small files is mostly headers: here one costs a tenth of what `tarfile`
takes for it. What does not fit a plain ustar header is left to `tarfile`.
"""

import tarfile
from dataclasses import dataclass

BLOCK = 512

_PLAIN_NAME = 100
_PLAIN_SIZE = 8**11
_OCTAL = frozenset(b"01234567")


@dataclass(frozen=True, slots=True)
class Header:
    """What a member says about itself; `kind` is its type byte."""

    name: str
    kind: bytes
    size: int
    mode: int
    mtime: int


def write_header(
    name: str, *, size: int, mode: int, mtime: int, target: str | None = None
) -> bytes:
    """Return the header of a regular file, or of a symbolic link to `target`, owned by nobody.

    Long names, names beyond ASCII and sizes from 8 GiB on get a PAX header before it.
    """
    kind = tarfile.REGTYPE if target is None else tarfile.SYMTYPE
    plain = name.isascii() and len(name) <= _PLAIN_NAME and size < _PLAIN_SIZE
    if target is not None or not plain:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target or ""
        info.size, info.mode, info.mtime = size, mode, mtime
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    before = b"%b%07o\0000000000\0000000000\0%011o\0%011o\0" % (
        name.encode("ascii").ljust(_PLAIN_NAME, b"\0"),
        mode,
        size,
        mtime,
    )
    after = (kind + bytes(100) + b"ustar\00000").ljust(BLOCK - 156, b"\0")
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return b"%b%06o\0 %b" % (before, checksum, after)


def read_header(block: bytes) -> Header:
    """Read a header of the ustar or GNU format.

    Raises:
        ValueError: It is none: the checksum or a number is wrong.
    """
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ValueError("a checksum is wrong")
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].split(b"\0", 1)[0]):
        name = prefix + b"/" + name
    return Header(
        name=name.decode("utf-8", "surrogateescape"),
        kind=block[156:157],
        size=_number(block[124:136]),
        mode=_number(block[100:108]),
        mtime=_number(block[136:148]),
    )


def _number(field: bytes) -> int:
    if field[0] == 0x80:
        # GNU's form for what octal cannot hold; the negative one, 0xff, has no use here.
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not _OCTAL.issuperset(digits):
        raise ValueError("a number is malformed")
    return int(digits, 8) if digits else 0
