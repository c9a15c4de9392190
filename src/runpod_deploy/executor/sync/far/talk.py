"""Frames from one side, answers to it: a line of words that ends with a length, and as many bytes."""

from __future__ import annotations

import os

_READ = 256 * 1024
_LONGEST_LINE = 64 * 1024


class Failed(Exception):
    """What was asked for cannot be done; the script ends with `status`, and `words` on stderr."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class Talk:
    """The channel to whoever asks.

    Args:
        source: Handle that frames are read from.
        sink: Handle that answers are written to.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._rest = b""

    def line(self) -> list[str] | None:
        """Return the words of the next frame's line, None at the end."""
        while b"\n" not in self._rest:
            block = os.read(self._source, _READ)
            if not block or len(self._rest) > _LONGEST_LINE:
                return None
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("ascii", "replace").split()

    def take(self, size: int) -> bytearray:
        """Return exactly the next `size` bytes.

        Raises:
            EOFError: The other side is gone.
        """
        taken = bytearray(size)
        view = memoryview(taken)
        at = 0
        while at < size:
            at += self.read_into(view[at:])
        return taken

    def read_into(self, view: memoryview) -> int:
        """Read what is there, at most what fits; return how much it was, never 0.

        Raises:
            EOFError: The other side is gone.
        """
        if self._rest:
            size = min(len(view), len(self._rest))
            view[:size] = self._rest[:size]
            self._rest = self._rest[size:]
            return size
        size = os.readv(self._source, [view])
        if not size:
            raise EOFError
        return size

    def answer(self, word: str, body: bytes | bytearray | memoryview = b"") -> None:
        """Send an answer."""
        head = b"%s %d\n" % (word.encode(), len(body))
        written = os.writev(self._sink, [head, body])
        if written < len(head):
            _write(self._sink, head[written:])
            written = len(head)
        _write(self._sink, memoryview(body)[written - len(head) :])

    def copy(self, word: str, handle: int, start: int, size: int) -> None:
        """Send `size` bytes of a file as an answer; zeros stand for what is no longer there."""
        _write(self._sink, b"%s %d\n" % (word.encode(), size))
        while size:
            sent = os.sendfile(self._sink, handle, start, size)
            if not sent:
                _write(self._sink, bytes(size))
                return
            start += sent
            size -= sent


def _write(sink: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]
