"""The connections of a transfer: one carries the talk, and bulk is spread over as many as help."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from runpod_deploy.errors import TransportError
from runpod_deploy.executor.ports import Transport

MOST = 8
_FAR_SEC = 0.015
_FIRST_WHEN_FAR = 4
_WORTH_BYTES = 4 * 1024 * 1024
_WORTH_SEC = 0.7
_LOOK_EVERY_SEC = 0.1
_JUDGE_AFTER_SEC = 0.4
_GAIN = 1.15


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
    """

    def __init__(
        self, more: Callable[[], Awaitable[Transport]] | None = None, most: int = MOST
    ) -> None:
        self._more = more
        self._most = most if more is not None else 1
        self._idle: list[Transport] = []

    async def spread(self, control: Transport, load: Load) -> None:
        """Work at `load` over `control` and others until all of it is done.

        Raises:
            TransportError: `control` broke; the others alone are not relied upon.
            StepFailed: What the load raises.
        """
        while True:
            await _Spread(control, load, self._idle, self._more, self._most).run()
            if load.left() <= 0:
                return

    async def close(self) -> None:
        """Close the further connections."""
        idle, self._idle[:] = list(self._idle), []
        await asyncio.gather(*(one.close() for one in idle), return_exceptions=True)


class _Spread:
    """One load under way."""

    def __init__(
        self,
        control: Transport,
        load: Load,
        idle: list[Transport],
        more: Callable[[], Awaitable[Transport]] | None,
        most: int,
    ) -> None:
        self._control = control
        self._load = load
        self._idle = idle
        self._more = more
        self._most = most
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
        room = self._most - count
        while self._idle and room > 0:
            self._start(self._lane(self._idle.pop()))
            room -= 1
            count += 1
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
                self._start(self._lane(None))

    async def _lane(self, transport: Transport | None) -> None:
        if transport is None:
            assert self._more is not None  # noqa: S101 - else there is no room for one
            transport = await self._more()
        try:
            await self._load.work(transport)
        except BaseException:
            await transport.close()
            raise
        self._idle.append(transport)

    def _start(self, work: Awaitable[None], *, ours: bool = False) -> None:
        self._tasks[asyncio.ensure_future(work)] = ours


class _Rate:
    """Tells from what was moved whether more connections help."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._done = 0
        self._before = 0.0

    def wanted(self, count: int, done: int, left: int, *, far: bool) -> int | None:
        """Return how many connections to add now, None when it is enough for good."""
        now = time.monotonic()
        if self._since is None:
            self._since, self._done = now, done
            return _FIRST_WHEN_FAR - count if far and count < _FIRST_WHEN_FAR else 0
        seconds = now - self._since
        if seconds < _JUDGE_AFTER_SEC or done == self._done:
            return 0
        rate = (done - self._done) / seconds
        if rate < self._before * _GAIN:
            return None
        if left / rate < _WORTH_SEC:
            return 0
        self._since, self._done, self._before = now, done, rate
        return count
