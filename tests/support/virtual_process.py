"""A process that can be killed, as a part of ours: from one moment on, nothing of it happens any more.

A `Process` is everything that is done in the context of one coroutine: its tasks, timers and callbacks.
Killed, it is not cancelled, which would let it clean up: its loop never calls it again. What it does
between the kill and its next wait, which a kill would have cut off, reaches no file.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from support.virtual_time import EPOCH, VirtualLoop

T = TypeVar("T")
_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class WasKilled(Exception):
    """The process came to no end of its own."""


@dataclass(eq=False)
class Process:
    """What can be killed.

    Attributes:
        lines: Lines of the journal that it wrote.
        calls: Calls to the world that it made: API, pod, before each and after each.
        at_line: Killed after so many lines; 0: never.
        at_call: Killed at so many calls; 0: never.
        closing: Called at the kill, as the system closes what a process had open.
    """

    at_line: int = 0
    at_call: int = 0
    lines: int = 0
    calls: int = 0
    dead: bool = False
    falling: bool = False
    closing: list[Callable[[], None]] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something as this process.

        Raises:
            WasKilled: It was.
        """
        context = contextvars.Context()
        context.run(_PROCESS.set, self)
        loop = asyncio.get_running_loop()
        task = loop.create_task(work, context=context)
        over = loop.create_task(self._over.wait(), context=contextvars.Context())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        if self.dead:
            raise WasKilled
        over.cancel()
        return await task

    def wrote_line(self) -> None:
        """Note a line of the journal; the last one is where it is killed."""
        self.lines += 1
        if self.lines == self.at_line:
            self.kill()

    async def passes(self) -> None:
        """Note a call to the world; it is killed at one, and does nothing from then on."""
        self.calls += 1
        if self.calls == self.at_call:
            self.kill()
        if self.dead:
            await asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        """Do what SIGKILL does."""
        self.dead = self.falling = True
        self._over.set()

    def landed(self) -> None:
        """The step that was cut off has come to its wait: what it had open is closed."""
        self.falling = False
        for close in self.closing:
            close()
        self.closing.clear()


KEPT: list[Any] = []
"""Tasks that will never go on: collecting them would let them clean up."""


def process() -> Process | None:
    """Return the process that this is done by; None for the world's own doing."""
    return _PROCESS.get()


class CampaignLoop(VirtualLoop):
    """The virtual loop, deaf to what belongs to killed processes."""

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(_kept)

    def call_soon(
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call, if whoever asked still lives then."""
        whose = _PROCESS.get() if context is None else context.get(_PROCESS)
        if whose is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(_of_the_living, whose, callback, args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call later, if whoever asked still lives then."""
        whose = _PROCESS.get() if context is None else context.get(_PROCESS)
        if whose is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, _of_the_living, whose, callback, args, context=context)


def _kept(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, **options)
    KEPT.append(task)
    return task


def _of_the_living(whose: Process, callback: Any, args: tuple[Any, ...]) -> None:
    if whose.dead:
        return
    callback(*args)
    if whose.falling:
        whose.landed()


def rule_the_world() -> None:
    """Let this process live in virtual time while a campaign's loop runs, and its dead touch no file.

    Before anything else is imported: who keeps `time.time` must keep this one.
    """
    _virtual("time", EPOCH)
    _virtual("monotonic", 0.0)
    _for_the_living("write", lambda _fd, data: len(data))
    for name in ("replace", "rename", "unlink", "link", "fsync", "mkdir", "open"):
        _for_the_living(name, None)
    os.fsync = lambda _fd: None  # what a killed process wrote is there; this is no power cut


def _virtual(name: str, offset: float) -> None:
    real = getattr(time, name)

    def now() -> float:
        loop = asyncio._get_running_loop()
        return offset + loop.time() if isinstance(loop, CampaignLoop) else real()

    setattr(time, name, now)


def _for_the_living(name: str, instead: Callable[..., Any] | None) -> None:
    real = getattr(os, name)

    def call(*args: Any, **options: Any) -> Any:
        whose = _PROCESS.get()
        if whose is None or not whose.falling:
            return real(*args, **options)
        if instead is None:
            raise OSError(5, "the process is dead")
        return instead(*args, **options)

    setattr(os, name, call)


def run_campaign(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, and the processes that it begins, in virtual time; those that died stay dead."""
    loop = CampaignLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        asyncio.set_event_loop(None)
        KEPT.append(loop)
