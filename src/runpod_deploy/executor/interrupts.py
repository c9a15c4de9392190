"""How a person or the system asks a run to end early; the executor reads, the command line writes."""

from __future__ import annotations

import asyncio
from enum import Enum


class Request(Enum):
    """What is asked for."""

    CANCEL = "cancel"  # end the run and undo it
    HURRY = "hurry"  # asked again while undoing: collect no more, release now
    DETACH = "detach"  # leave the job running and stop watching
    YIELD = "yield"  # another executor has taken the run: touch nothing any more


class Interrupts:
    """A mailbox of requests; safe to use from signal handlers of the event loop.

    Attributes:
        signal: Name of the signal that asked first, None when a person did.
        can_detach: Whether a job is running that could be left alone.
        decided: Not set while a person is being asked what is to be done: nothing new is begun then.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Request] = asyncio.Queue()
        self.signal: str | None = None
        self.can_detach = False
        self.undoing = False
        self.decided = asyncio.Event()
        self.decided.set()

    def ask(self, request: Request, signal: str | None = None) -> None:
        """Ask the run to end."""
        self.signal = self.signal or signal
        self._queue.put_nowait(request)

    async def next(self) -> Request:
        """Wait for the next request."""
        return await self._queue.get()
