"""Reads a tar stream from a machine that is not trusted, in constant memory.

Understands what `tar --format=gnu` writes for regular files: ustar headers and long names. Whatever
else is in the stream is passed over and reported; nothing of it reaches the disk.
"""

import tarfile
from collections.abc import Generator
from typing import Protocol

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync.tar_header import BLOCK, Header, read_header
from runpod_deploy.executor.untrusted import printable

_LONGEST_NAME = 64 * 1024
_PIECE = 1024 * 1024
_LONG_NAME = b"L"
_REGULAR = {tarfile.REGTYPE, tarfile.AREGTYPE}

# Yields how much it wants next: exactly n bytes, or, when negative, anything from 1 to n bytes.
_Machine = Generator[int, memoryview, None]


class Sink(Protocol):
    """Where the files of an archive go."""

    def begin(self, name: str, size: int, *, executable: bool, mtime: float) -> bool:
        """Start a file; False passes over its content. `name` is as the archive has it."""

    def data(self, piece: memoryview) -> None:
        """Take the next piece of the file begun last."""

    def end(self) -> None:
        """The file begun last is whole."""

    def refuse(self, name: str, why: str) -> None:
        """A member that is no regular file was passed over."""


class TarReader:
    """Takes an archive piece by piece as it arrives.

    Attributes:
        finished: Whether the end of the archive was seen; what follows it is ignored.
    """

    def __init__(self, sink: Sink) -> None:
        self.finished = False
        self._sink = sink
        self._rest = b""
        self._machine = self._members()
        self._want = next(self._machine)

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            StepFailed: The stream is not such an archive (cause `bad_archive`).
            OSError: The sink could not write.
        """
        data = memoryview(self._rest + piece if self._rest else piece)
        at = 0
        while at < len(data):
            size = self._want
            if size < 0:
                size = min(-size, len(data) - at)
            elif size > len(data) - at:
                break
            taken = data[at : at + size]
            at += size
            self._want = self._machine.send(taken)
        self._rest = bytes(data[at:])

    def _members(self) -> _Machine:
        long_name: str | None = None
        while True:
            block = bytes((yield BLOCK))
            if not any(block):
                break
            member = _header(block)
            if member.kind == _LONG_NAME:
                long_name = yield from self._long_name(member)
                continue
            name = member.name if long_name is None else long_name
            long_name = None
            yield from self._member(name, member)
        self.finished = True
        while True:
            yield -_PIECE

    def _member(self, name: str, member: Header) -> _Machine:
        wanted = False
        if member.kind in _REGULAR:
            executable = bool(member.mode & 0o100)
            wanted = self._sink.begin(name, member.size, executable=executable, mtime=member.mtime)
        else:
            self._sink.refuse(name, f"it came as a member of type {member.kind!r}, not as a file")
        rest = member.size
        while rest:
            piece = yield -min(rest, _PIECE)
            rest -= len(piece)
            if wanted:
                self._sink.data(piece)
        if padding := -member.size % BLOCK:
            yield padding
        if wanted:
            self._sink.end()

    def _long_name(self, member: Header) -> Generator[int, memoryview, str]:
        if not 0 < member.size <= _LONGEST_NAME:
            raise _bad(f"a name of {member.size} bytes")
        padded = yield member.size + -member.size % BLOCK
        name = bytes(padded[: member.size]).split(b"\0", 1)[0]
        return name.decode("utf-8", "surrogateescape")


def _header(block: bytes) -> Header:
    try:
        return read_header(block)
    except ValueError as exc:
        raise _bad(str(exc)) from exc


def _bad(why: str) -> StepFailed:
    return StepFailed(
        f"the archive from the pod cannot be read: {printable(why, 200)}", cause="bad_archive"
    )
