"""Cuts what a script on the pod says into answers: a line `WORD LENGTH`, and as many bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from runpod_deploy.errors import StepFailed

_LONGEST_HEAD = 200
_LONGEST_ANSWER = 1 << 30
SHORT = 1 << 16
"""The longest answer, in bytes, that is taken whole where nothing else is expected."""


class Answers:
    """The answers of a stream, one after the other; each is taken whole or piece by piece.

    Args:
        stream: What the script writes.
    """

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._rest = b""
        self._left = 0

    async def head(self) -> str | None:
        """Return the word of the next answer, None at the end; the body is to be taken then.

        Raises:
            StepFailed: The stream is none of answers (cause `bad_answer`).
        """
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > _LONGEST_HEAD:
                raise _bad()
            if not (more := await self._more()):
                if self._rest:
                    raise _bad()
                return None
            self._rest += more
        word, _, length = self._rest[:end].decode("ascii", "replace").partition(" ")
        if not length.isdigit() or len(length) > 12 or int(length) > _LONGEST_ANSWER:
            raise _bad()
        self._rest = self._rest[end + 1 :]
        self._left = int(length)
        return word

    async def body(self, most: int = SHORT) -> bytes:
        """Return the body of the answer, of `most` bytes; raises as `head` does."""
        if self._left > most:
            raise _bad()
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the body as it comes; raises as `head` does."""
        while self._left:
            piece = self._rest or await self._more()
            if not piece:
                raise _bad()
            self._rest = piece[self._left :]
            piece = piece[: self._left]
            self._left -= len(piece)
            yield piece

    async def _more(self) -> bytes:
        async for chunk in self._stream:
            if chunk:
                return chunk
        return b""


def _bad() -> StepFailed:
    return StepFailed("the pod sent no proper answer", cause="bad_answer")
