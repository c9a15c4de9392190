"""A dialogue with a script on the pod: frames go in, and each is answered in turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from runpod_deploy.errors import CommandFailed, ConnectionLost, StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.remote import failed

_AHEAD = 2
_LONGEST_HEAD = 200
_LONGEST_ANSWER = 1 << 30
_PIECE = 256 * 1024


class Agent:
    """One channel to such a script; what is sent before an answer came is bounded.

    Args:
        transport: Connection to the pod.
        command: Starts the script.
        doing: What for, in messages.
    """

    def __init__(self, transport: Transport, command: str, doing: str) -> None:
        self._transport = transport
        self._command = command
        self._doing = doing
        self._outgoing: deque[bytes] = deque()
        self._closing = False
        self._woken = asyncio.Event()
        self._awaited: deque[asyncio.Future[tuple[str, bytes]]] = deque()
        self._moved = asyncio.Event()
        self.sent = 0
        self._task = asyncio.create_task(self._talk())

    async def send(self, head: str, body: bytes = b"") -> asyncio.Future[tuple[str, bytes]]:
        """Send a frame once the far side is not far behind; returns the answer to come.

        Raises:
            StepFailed: The script ended with an error.
            TransportError: The connection broke.
        """
        while len(self._awaited) >= _AHEAD and not self._task.done():
            self._moved.clear()
            await self._moved.wait()
        if self._task.done():
            raise self._problem()
        answer: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()
        self._awaited.append(answer)
        self._outgoing.append(f"{head} {len(body)}\n".encode() + body)
        self._woken.set()
        return answer

    async def ask(self, head: str, body: bytes = b"") -> tuple[str, bytes]:
        """Send a frame and wait for its answer; raises as `send` does."""
        return await (await self.send(head, body))

    def close(self) -> None:
        """End the far side's input; what was sent is still answered."""
        self._closing = True
        self._woken.set()

    async def finish(self) -> None:
        """Let the far side come to its end; raises as `send` does."""
        self.close()
        await asyncio.wait({self._task})
        problem = self._task.exception()
        if problem is not None:
            raise problem

    async def abandon(self) -> None:
        """End the far side at once."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def goodbye(self) -> None:
        """End the far side's input and do not wait: it has nothing left to say."""
        self.close()
        _leaving.add(self._task)
        self._task.add_done_callback(_left)

    async def _talk(self) -> None:
        stream = self._transport.stream(self._command, stdin=self._stdin())
        try:
            await self._listen(_Answers(stream))
        except CommandFailed as exc:
            problem: BaseException = failed(exc, self._doing)
            self._fail(problem)
            raise problem from exc
        except BaseException as exc:
            self._fail(exc)
            raise
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        self._fail(ConnectionLost(f"the pod ended {self._doing} early"))

    async def _listen(self, answers: _Answers) -> None:
        while (answer := await answers.next()) is not None:
            if not self._awaited:
                raise StepFailed("the pod answered what nobody asked", cause="bad_answer")
            future = self._awaited.popleft()
            if not future.done():
                future.set_result(answer)
            self._moved.set()

    async def _stdin(self) -> AsyncGenerator[bytes, None]:
        while True:
            while self._outgoing:
                frame = self._outgoing.popleft()
                self.sent += len(frame)
                for start in range(0, len(frame), _PIECE):
                    yield frame[start : start + _PIECE]
            if self._closing:
                return
            self._woken.clear()
            await self._woken.wait()

    def _fail(self, problem: BaseException) -> None:
        for future in self._awaited:
            if not future.done():
                future.set_exception(problem)
                future.exception()  # told to whoever asks; nobody has to
        self._awaited.clear()
        self._moved.set()

    def _problem(self) -> BaseException:
        if self._task.cancelled():
            return asyncio.CancelledError()
        return self._task.exception() or ConnectionLost(f"the pod ended {self._doing} early")


_leaving: set[asyncio.Task[None]] = set()


def _left(task: asyncio.Task[None]) -> None:
    _leaving.discard(task)
    if not task.cancelled():
        with contextlib.suppress(Exception):
            task.exception()


class _Answers:
    """Cuts a stream into answers: a line `WORD LENGTH`, and as many bytes."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._rest = bytearray()

    async def next(self) -> tuple[str, bytes] | None:
        """Return the next answer, None at the end.

        Raises:
            StepFailed: The stream is none of answers (cause `bad_answer`).
        """
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > _LONGEST_HEAD:
                raise _bad()
            if not await self._more():
                if self._rest:
                    raise _bad()
                return None
        word, _, length = bytes(self._rest[:end]).decode("ascii", "replace").partition(" ")
        if not length.isdigit() or len(length) > 12 or int(length) > _LONGEST_ANSWER:
            raise _bad()
        whole = end + 1 + int(length)
        while len(self._rest) < whole:
            if not await self._more():
                raise _bad()
        body = bytes(self._rest[end + 1 : whole])
        del self._rest[:whole]
        return word, body

    async def _more(self) -> bool:
        async for chunk in self._stream:
            self._rest += chunk
            return True
        return False


def _bad() -> StepFailed:
    return StepFailed("the pod sent no proper answer", cause="bad_answer")
