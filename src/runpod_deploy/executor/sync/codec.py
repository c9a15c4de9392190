"""Compression of what travels: by what both sides have, and only where it pays."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, Literal, Protocol

Codec = Literal["zstd", "gzip", "none"]
CODECS: tuple[Codec, ...] = ("zstd", "gzip", "none")

_GZIP_WINDOW = 31  # what makes zlib write and read gzip's format
_SHRINKS = 0.9
_SLICE = 4 * 1024
_PIECE = 1024 * 1024


def best(available: Collection[str]) -> Codec:
    """Return the best of the programs that the far side has and this side can match."""
    if "zstd" in available and _zstd() is not None:
        return "zstd"
    return "gzip" if "gzip" in available else "none"


@cache
def _zstd() -> Any:
    """Return the library; None where this machine lacks it, which costs speed and no more."""
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        return None


def pack(data: bytes, codec: Codec) -> tuple[Codec, bytes]:
    """Return `data` compressed, or as it is where it does not shrink by a tenth."""
    if codec == "none":
        return "none", data
    if codec == "zstd":
        packed: bytes = _zstd().ZstdCompressor(level=1).compress(data)
    else:
        compressor = zlib.compressobj(1, wbits=_GZIP_WINDOW)
        packed = compressor.compress(data) + compressor.flush()
    return (codec, packed) if len(packed) < len(data) * _SHRINKS else ("none", data)


class Expander(Protocol):
    """Turns a compressed stream from a machine that is not trusted back, piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` expands to, in pieces that fit the memory.

        Raises:
            ValueError: It is no such stream.
        """


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                yield self._stream.decompress(data, _PIECE)
                data = self._stream.unconsumed_tail
        except zlib.error as exc:
            raise ValueError(str(exc)) from exc


class _Zstd:
    """Fed in slices: a hostile frame expands to 32,768 times its size, and has no other bound."""

    def __init__(self) -> None:
        self._stream = _zstd().ZstdDecompressor().decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        view = memoryview(data)
        gathered: list[bytes] = []
        size = 0
        try:
            for start in range(0, len(view), _SLICE):
                if self._stream.eof:
                    break
                gathered.append(self._stream.decompress(view[start : start + _SLICE]))
                size += len(gathered[-1])
                if size >= _PIECE:
                    yield b"".join(gathered)
                    gathered, size = [], 0
        except _zstd().ZstdError as exc:
            raise ValueError(str(exc)) from exc
        if gathered:
            yield b"".join(gathered)


def expander(codec: Codec) -> Expander:
    """Return what undoes a codec."""
    if codec == "zstd":
        return _Zstd()
    return _Gzip() if codec == "gzip" else _Plain()
