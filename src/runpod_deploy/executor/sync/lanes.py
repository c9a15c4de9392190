"""The connections of a transfer: one carries the talk, and bulk is spread over as many as help."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from runpod_deploy.errors import TransportError
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.worker import Workers

MOST = 8
_FAR_SEC = 0.015
_FIRST_WHEN_FAR = 4
_WORTH_BYTES = 4 * 1024 * 1024
_WORTH_SEC = 0.7
_LOOK_EVERY_SEC = 0.1
_JUDGE_AFTER_SEC = 0.4
_GAIN = 1.15
_BUSY = 0.6
_BUSY_WHEN_NEAR = 0.35
_FILING_SEC = 1.0


class Load(Protocol):
    """A transfer that can be worked at over several connections at a time."""

    async def work(self, transport: Transport) -> None:
        """Do parts of it over one connection until none is left; a part that got lost goes back."""

    def done(self) -> int:
        """Return the bytes that went over so far."""

    def left(self) -> int:
        """Return about how many bytes nobody works at yet."""


class Lanes:
    """Opens further connections to a pod while they make a transfer faster, and keeps them.

    One connection is bound by its window; where that is the limit, several multiply it. How many
    is found out by measuring: they double for as long as that makes the whole faster.

    Args:
        more: Opens one more connection; None: there is only the one.
        most: How many at a time, the first included.

    Attributes:
        most: How many at a time, the first included.
        workers: The scripts that run over these connections and over the first.
    """

    def __init__(
        self, more: Callable[[], Awaitable[Transport]] | None = None, most: int = MOST
    ) -> None:
        self._more = more
        self._idle: list[Transport] = []
        self.most = most if more is not None else 1
        self.workers = Workers()

    async def spread(self, control: Transport, load: Load) -> None:
        """Work at `load` over `control` and others until all of it is done.

        Raises:
            TransportError: `control` broke; the others alone are not relied upon.
            StepFailed: What the load raises.
        """
        while True:
            await _Spread(control, load, self).run()
            if load.left() <= 0:
                return

    async def another(self) -> Transport:
        """Return a further connection: one that is open and idle, or a new one.

        Raises:
            TransportError: It could not be opened.
        """
        if self._idle:
            return self._idle.pop()
        assert self._more is not None  # noqa: S101 - else `most` is one
        return await self._more()

    def keep(self, transport: Transport) -> None:
        """Take back a further connection that is idle."""
        self._idle.append(transport)

    async def close(self) -> None:
        """Close the further connections, and let the scripts over all of them end."""
        self.workers.close()
        idle, self._idle[:] = list(self._idle), []
        await asyncio.gather(*(one.close() for one in idle), return_exceptions=True)


class _Spread:
    """One load under way."""

    def __init__(self, control: Transport, load: Load, lanes: Lanes) -> None:
        self._control = control
        self._load = load
        self._lanes = lanes
        self._tasks: dict[asyncio.Task[None], bool] = {}
        self._rate = _Rate()
        self._settled = False

    async def run(self) -> None:
        self._start(self._load.work(self._control), ours=True)
        try:
            while self._tasks:
                self._grow()
                done, _ = await asyncio.wait(
                    self._tasks,
                    timeout=None if self._settled else _LOOK_EVERY_SEC,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    self._ended(task)
        except TransportError:
            # Where all broke at once, the others still file what had come: it need not come again.
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_FILING_SEC)
            raise
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        ours = self._tasks.pop(task)
        error = task.exception()
        # A further connection that breaks is no loss: its parts went back.
        if error is not None and (ours or not isinstance(error, TransportError)):
            raise error
        if ours:
            self._settled = True

    def _grow(self) -> None:
        if self._settled or self._load.left() < _WORTH_BYTES:
            return
        count = len(self._tasks)
        room = self._lanes.most - count
        if room <= 0:
            self._settled = True
            return
        wanted = self._rate.wanted(
            count, self._load.done(), self._load.left(), far=self._control.latency() >= _FAR_SEC
        )
        if wanted is None:
            self._settled = True
        else:
            for _ in range(min(wanted, room)):
                self._start(self._lane())

    async def _lane(self) -> None:
        transport = await self._lanes.another()
        try:
            await self._load.work(transport)
        except BaseException:
            self._lanes.workers.dismiss(transport)
            await transport.close()
            raise
        self._lanes.keep(transport)

    def _start(self, work: Awaitable[None], *, ours: bool = False) -> None:
        self._tasks[asyncio.ensure_future(work)] = ours


class _Rate:
    """Tells from what was moved whether more connections help.

    Where this process has no time left, they do not: it is what the transfer waits for.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._worked = self._before = 0.0
        self._done = 0

    def wanted(self, count: int, done: int, left: int, *, far: bool) -> int | None:
        """Return how many connections to add now, None when it is enough for good."""
        now, worked = time.monotonic(), time.process_time()
        if self._since is None:
            self._since, self._worked, self._done = now, worked, done
            return _FIRST_WHEN_FAR - count if far and count < _FIRST_WHEN_FAR else 0
        seconds = now - self._since
        if seconds < _JUDGE_AFTER_SEC or done == self._done:
            return 0
        rate = (done - self._done) / seconds
        busy = seconds * (_BUSY if far else _BUSY_WHEN_NEAR)
        if rate < self._before * _GAIN or worked - self._worked > busy:
            return None
        if left / rate < _WORTH_SEC:
            return 0
        self._since, self._worked, self._done, self._before = now, worked, done, rate
        return count
