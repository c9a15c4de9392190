"""Reads the log of a job on its pod, from a byte on, through losses of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Awaitable, Callable

from runpod_deploy.errors import CommandFailed, ConnectionLost, StepFailed, TransportError
from runpod_deploy.executor.ports import Clock, Transport
from runpod_deploy.executor.supervision import Report, parse_report

ANSWER_WITHIN_SEC = 60.0
FIRST_PAUSE_SEC = 0.5
LONGEST_PAUSE_SEC = 10.0

Connect = Callable[[], Awaitable[Transport]]
Sink = Callable[[bytes], None]


class RemoteLog:
    """The log of one job; connections are made as they are needed.

    Attributes:
        position: The byte of the remote log that comes next.
    """

    def __init__(self, connect: Connect, *, home: str, path: str, clock: Clock) -> None:
        """Prepare the reading.

        Args:
            connect: Opens a connection; called again after one was lost.
            home: The run's folder on the pod.
            path: Of the log on the pod.
        """
        self._connect = connect
        self._supervisor = f"{home}/bin/supervisor.sh"
        self._path = shlex.quote(path)
        self._clock = clock
        self._transport: Transport | None = None
        self.position = 0

    async def close(self) -> None:
        """Hang up; idempotent."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def size(self) -> int:
        """Return how many bytes the log has now; 0 before the job begins."""
        return await self._number(f"wc -c <{self._path} 2>/dev/null || echo 0")

    async def start_at_last(self, lines: int) -> None:
        """Begin where the last `lines` lines begin."""
        size = await self.size()
        # Both numbers are of the same bytes, whatever is printed meanwhile.
        cut = f"head -c {size} {self._path} 2>/dev/null | tail -n {max(0, lines)} | wc -c"
        self.position = size - await self._number(cut)

    async def read(self, sink: Sink) -> None:
        """Hand on what the log holds now, from `position` on.

        Raises:
            TransportError: The connection broke.
        """
        missing = await self.size() - self.position
        if missing > 0:
            await self._copy(f"tail -c +{self.position + 1} {self._path} | head -c {missing}", sink)

    async def follow(self, sink: Sink, lost: Callable[[TransportError], Awaitable[None]]) -> Report:
        """Hand on the log as it grows until the job has ended and every byte of it has come.

        Args:
            lost: Told of each lost connection before it is made again; raises to give up.

        Returns:
            How the job ended.

        Raises:
            StepFailed: The pod says nothing of the job.
        """
        pause = FIRST_PAUSE_SEC
        while True:
            before = self.position
            try:
                return await self._session(sink)
            except TransportError as error:
                await self.close()
                await lost(error)
            pause = FIRST_PAUSE_SEC if self.position > before else min(pause * 2, LONGEST_PAUSE_SEC)
            await self._clock.sleep(pause)

    async def _session(self, sink: Sink) -> Report:
        transport = await self._open()
        growing = f"exec tail -c +{self.position + 1} -F {self._path} 2>/dev/null"
        tail = asyncio.create_task(self._copy(growing, sink))
        end = asyncio.create_task(self._wait(transport))
        try:
            await asyncio.wait({tail, end}, return_when=asyncio.FIRST_COMPLETED)
            if tail.done() and not end.done():
                # Nobody reads any more, or the connection broke; a tail that merely ended is no news.
                with contextlib.suppress(CommandFailed):
                    tail.result()
            report = await end
        finally:
            for task in (tail, end):
                task.cancel()
            await asyncio.gather(tail, end, return_exceptions=True)
        await self.read(sink)
        return report

    async def _wait(self, transport: Transport) -> Report:
        done = await transport.run(shlex.join(["sh", self._supervisor, "wait"]))
        if done.exit_status < 0:
            raise ConnectionLost("What waited on the pod for the end of the job was killed.")
        return parse_report(done.stdout)

    async def _copy(self, command: str, sink: Sink) -> None:
        transport = await self._open()
        async for piece in transport.stream(command):
            self.position += len(piece)
            sink(piece)

    async def _number(self, command: str) -> int:
        transport = await self._open()
        done = await transport.run(command, timeout=ANSWER_WITHIN_SEC)
        text = done.stdout.decode("ascii", "replace").split()
        if done.exit_status != 0 or not text or not text[-1].isdigit() or len(text[-1]) > 18:
            raise StepFailed("The pod does not say how long the log is.", cause="log")
        return int(text[-1])

    async def _open(self) -> Transport:
        if self._transport is None:
            self._transport = await self._connect()
        return self._transport
