"""A dialogue with a script on the pod: frames go in, and each is answered in turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator

from runpod_deploy.errors import CommandFailed, ConnectionLost, StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.answers import SHORT, Answers
from runpod_deploy.executor.sync.flow import Flow
from runpod_deploy.executor.sync.remote import failed

_AHEAD_BYTES = 4 * 1024 * 1024
_AHEAD = 64
_PIECE = 256 * 1024


class Agent:
    """One channel to such a script; what is sent before an answer came is bounded.

    Args:
        transport: Connection to the pod.
        command: Starts the script.
        doing: What for, in messages.

    Attributes:
        doing: The same; may be changed with what is done.
        sent: Bytes that were sent.
    """

    def __init__(self, transport: Transport, command: str, doing: str) -> None:
        self._transport = transport
        self._command = command
        self.doing = doing
        self._outgoing: deque[bytes] = deque()
        self._closing = False
        self._woken = asyncio.Event()
        self._awaited: deque[asyncio.Future[tuple[str, bytes]] | Flow] = deque()
        self._sizes: deque[int] = deque()
        self._most: deque[int] = deque()
        self._moved = asyncio.Event()
        self.sent = 0
        self._task = asyncio.create_task(self._talk())
        # Whoever asks is told what went wrong; where nobody asks any more, nobody has to know.
        self._task.add_done_callback(_left)

    async def send(
        self, head: str, body: bytes = b"", *, most: int = SHORT
    ) -> asyncio.Future[tuple[str, bytes]]:
        """Send a frame once the far side is not far behind; returns the answer to come.

        Args:
            head: The frame's words.
            body: What follows them.
            most: How many bytes the answer can have.

        Raises:
            StepFailed: The script ended with an error.
            TransportError: The connection broke.
        """
        answer: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()
        await self._put(head, body, answer, most)
        return answer

    async def _put(
        self,
        head: str,
        body: bytes,
        answer: asyncio.Future[tuple[str, bytes]] | Flow,
        most: int = SHORT,
    ) -> None:
        while self._far_behind() and not self._task.done():
            self._moved.clear()
            await self._moved.wait()
        if self._task.done():
            raise self._problem()
        self._expect(answer, len(body), most)
        self._outgoing += (f"{head} {len(body)}\n".encode(), body)
        self._woken.set()

    def _expect(
        self, answer: asyncio.Future[tuple[str, bytes]] | Flow, size: int, most: int = SHORT
    ) -> None:
        self._awaited.append(answer)
        self._sizes.append(size)
        self._most.append(most)

    def _far_behind(self) -> bool:
        return len(self._sizes) >= _AHEAD or sum(self._sizes) >= _AHEAD_BYTES

    async def expect(self) -> tuple[str, bytes]:
        """Wait for an answer that nobody asked for; raises as `send` does."""
        answer: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()
        if self._task.done():
            raise self._problem()
        self._expect(answer, 0)
        return await answer

    async def flow(self, head: str, body: bytes = b"") -> AsyncGenerator[tuple[str, bytes]]:
        """Send a frame that is answered by many answers; yields their words and pieces.

        A piece of an answer that comes in several is yielded under its word each time, and an empty
        one at the end of each. What is not taken to the end leaves the script unfit for more.

        Raises:
            StepFailed: As `send`.
            TransportError: As `send`.
        """
        flow = Flow()
        await self._put(head, body, flow)
        try:
            while (item := await flow.get()) is not None:
                yield item
        finally:
            if not flow.ended:
                await self.abandon()

    @property
    def ended(self) -> bool:
        """Whether the script is gone, or was told to go."""
        return self._closing or self._task.done()

    async def ask(self, head: str, body: bytes = b"", *, most: int = SHORT) -> tuple[str, bytes]:
        """Send a frame and wait for its answer of `most` bytes; raises as `send` does."""
        return await (await self.send(head, body, most=most))

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

    async def _talk(self) -> None:
        stream = self._transport.stream(self._command, stdin=self._stdin())
        try:
            await self._listen(Answers(stream))
        except CommandFailed as exc:
            problem: BaseException = failed(exc, self.doing)
            self._fail(problem)
            raise problem from exc
        except BaseException as exc:
            self._fail(exc)
            raise
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        self._fail(ConnectionLost(f"the pod ended {self.doing} early"))

    async def _listen(self, answers: Answers) -> None:
        while (word := await answers.head()) is not None:
            if not self._awaited:
                raise StepFailed("the pod answered what nobody asked", cause="bad_answer")
            waiting = self._awaited[0]
            if isinstance(waiting, Flow) and word != "end":
                async for piece in answers.pieces():
                    await waiting.put((word, piece))
                await waiting.put((word, b""))
                continue
            body = await answers.body(self._most[0])
            self._awaited.popleft()
            self._sizes.popleft()
            self._most.popleft()
            if isinstance(waiting, Flow):
                await waiting.put(None)
            elif not waiting.done():
                waiting.set_result((word, body))
            self._moved.set()

    async def _stdin(self) -> AsyncGenerator[bytes, None]:
        while True:
            while self._outgoing:
                frame = self._outgoing.popleft()
                self.sent += len(frame)
                view = memoryview(frame)
                for start in range(0, len(frame), _PIECE):
                    yield bytes(view[start : start + _PIECE])
            if self._closing:
                return
            self._woken.clear()
            await self._woken.wait()

    def _fail(self, problem: BaseException) -> None:
        for waiting in self._awaited:
            if isinstance(waiting, Flow):
                waiting.fail(problem)
            elif not waiting.done():
                waiting.set_exception(problem)
                waiting.exception()  # told to whoever asks; nobody has to
        self._awaited.clear()
        self._sizes.clear()
        self._most.clear()
        self._moved.set()

    def _problem(self) -> BaseException:
        if self._task.cancelled():
            return asyncio.CancelledError()
        return self._task.exception() or ConnectionLost(f"the pod ended {self.doing} early")


_leaving: set[asyncio.Task[None]] = set()


def _left(task: asyncio.Task[None]) -> None:
    _leaving.discard(task)
    if not task.cancelled():
        with contextlib.suppress(Exception):
            task.exception()
