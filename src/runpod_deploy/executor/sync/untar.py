"""Reads a tar stream from a pod in constant memory, believing nothing that it says about itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from runpod_deploy.errors import StepFailed

BLOCK = 512
LONGEST_NAME = 64 * 1024
LONGEST_PAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """A member's header; `regular` is False for everything but files with content of their own."""

    path: str
    size: int
    mtime: int
    regular: bool


class TarReader:
    """Pulls members and their content out of a byte stream, one after the other.

    Use: `while (member := await reader.next()) is not None:`, then `async for piece in
    reader.content()`; content that is not read is skipped.
    """

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._buffer = b""
        self._left = 0
        self._padding = 0

    async def next(self) -> Member | None:
        """Return the next member, None at the end of the archive.

        Raises:
            StepFailed: The stream is no tar archive or ends in the middle of one (cause `archive`).
        """
        await self._skip(self._left + self._padding)
        name: bytes | None = None
        while True:
            block = await self._exactly(BLOCK, end_allowed=True)
            if not block or not block.strip(b"\0"):
                return None
            _check(block)
            size = _number(block[124:136])
            kind = block[156:157]
            if kind in {b"L", b"K", b"x", b"g"}:
                # A long name, or extended headers: read only as far as a name needs.
                limit = LONGEST_NAME if kind in {b"L", b"K"} else LONGEST_PAX
                if size > limit:
                    raise _broken("an extended header is too large")
                body = await self._exactly(size + -size % BLOCK)
                if kind == b"L":
                    name = body[:size].rstrip(b"\0")
                elif kind == b"x":
                    name = _pax_path(body[:size]) or name
                continue
            self._left, self._padding = size, -size % BLOCK
            return Member(
                path=(name or _name(block)).decode("utf-8", "surrogateescape"),
                size=size,
                mtime=_number(block[136:148]),
                regular=kind in {b"0", b"\0", b"7"},
            )

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the content of the member that `next` returned last."""
        while self._left:
            if not self._buffer:
                await self._fill()
            piece = self._buffer[: self._left]
            self._buffer = self._buffer[len(piece) :]
            self._left -= len(piece)
            yield piece

    async def _skip(self, count: int) -> None:
        self._left = self._padding = 0
        while count:
            if not self._buffer:
                await self._fill()
            taken = min(count, len(self._buffer))
            self._buffer = self._buffer[taken:]
            count -= taken

    async def _exactly(self, count: int, *, end_allowed: bool = False) -> bytes:
        while len(self._buffer) < count:
            try:
                self._buffer += await anext(self._stream)
            except StopAsyncIteration:
                if end_allowed and not self._buffer:
                    return b""
                raise _broken("it ends in the middle") from None
        block, self._buffer = self._buffer[:count], self._buffer[count:]
        return block

    async def _fill(self) -> None:
        try:
            self._buffer = await anext(self._stream)
        except StopAsyncIteration:
            raise _broken("it ends in the middle") from None


def _check(block: bytes) -> None:
    said = _number(block[148:156])
    if said != sum(block[:148]) + 8 * ord(" ") + sum(block[156:]):
        raise _broken("a header's checksum is wrong")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        # GNU's base-256 form, for files of 8 GiB and more; negative numbers have no use here.
        return int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    try:
        return int(digits, 8)
    except ValueError:
        raise _broken("a header holds no number where one must be") from None


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _pax_path(body: bytes) -> bytes | None:
    """Return the `path` record of an extended header: `<length> path=<value>` and a newline."""
    while body:
        length, _, rest = body.partition(b" ")
        if not length.isdigit() or int(length) <= len(length) + 1:
            raise _broken("an extended header is malformed")
        record = rest[: int(length) - len(length) - 2]
        key, _, value = record.partition(b"=")
        if key == b"path":
            return value
        body = body[int(length) :]
    return None


def _broken(why: str) -> StepFailed:
    return StepFailed(f"The pod's archive cannot be read: {why}.", cause="archive")
