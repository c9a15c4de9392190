"""Says while a run is carried on that somebody is here, and hears what other processes ask for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from runpod_deploy.executor.interrupts import Interrupts, Request
from runpod_deploy.executor.ports import Clock
from runpod_deploy.record.run_lock import BEAT_EVERY_SEC, RunLock
from runpod_deploy.record.run_request import answered, asked

LOOK_EVERY_SEC = 0.5


@contextlib.asynccontextmanager
async def attending(lock: RunLock, interrupts: Interrupts, clock: Clock) -> AsyncIterator[None]:
    """Keep the lock alive and the mailbox open for as long as the block runs; then give both up."""
    heard: list[str] = []
    task = asyncio.create_task(_attend(lock, interrupts, clock, heard))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(_leave, lock, heard)


def _leave(lock: RunLock, heard: list[str]) -> None:
    # What came too late to be heard is for whoever carries the run on.
    if heard and asked(lock.folder) == heard[-1]:
        answered(lock.folder)
    lock.release()


async def _attend(lock: RunLock, interrupts: Interrupts, clock: Clock, heard: list[str]) -> None:
    passed_on: set[Request] = set()
    beaten = clock.monotonic()
    while True:
        what = await asyncio.to_thread(asked, lock.folder)
        request = _meant(what, interrupts)
        if what is not None and request is not None and request not in passed_on:
            passed_on.add(request)
            heard.append(what)
            interrupts.ask(request)
        if clock.monotonic() - beaten >= BEAT_EVERY_SEC:
            beaten = clock.monotonic()
            if not await asyncio.to_thread(lock.beat, clock.now()):
                interrupts.ask(Request.YIELD)
                return
        await clock.sleep(LOOK_EVERY_SEC)


def _meant(what: str | None, interrupts: Interrupts) -> Request | None:
    """Return what a request means at this moment; None while it means nothing, and waits."""
    if what == "detach":
        return Request.DETACH if interrupts.can_detach and not interrupts.undoing else None
    if what == "hurry" and interrupts.undoing:
        return Request.HURRY
    # A run that is being undone already is not hurried by being asked once to end.
    return Request.CANCEL if what in {"cancel", "hurry"} and not interrupts.undoing else None
