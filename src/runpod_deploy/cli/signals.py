"""What Ctrl-C and the other signals mean while a run works."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from runpod_deploy.executor.interrupts import Interrupts, Request

Ask = Callable[[bool], Awaitable[str]]


class SignalDesk:
    """Turns signals into requests to the executor; on a terminal it asks first.

    Without anybody to ask: the first SIGINT or SIGTERM cancels, every further one hurries; SIGHUP
    detaches where a job could be left alone, else it cancels. With somebody: SIGINT asks whether to
    detach, cancel or go on, and a second one while the question is open cancels.
    """

    def __init__(self, interrupts: Interrupts, ask: Ask | None) -> None:
        """Prepare the desk.

        Args:
            ask: Asks a person; is told whether detaching is possible and returns `d`, `c` or `g`.
        """
        self._interrupts = interrupts
        self._ask = ask
        self._question: asyncio.Task[None] | None = None
        self._ending = False

    @contextmanager
    def installed(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Listen for as long as the context is open."""
        names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        for one in names:
            loop.add_signal_handler(one, self.received, one.name)
        try:
            yield
        finally:
            for one in names:
                loop.remove_signal_handler(one)
            if self._question is not None:
                self._question.cancel()

    def received(self, name: str) -> None:
        """Act on the signal `name`."""
        if self._ending or self._interrupts.undoing:
            self._interrupts.ask(Request.HURRY, name)
        elif name == "SIGHUP" and self._interrupts.can_detach:
            self._end(Request.DETACH, name)
        elif name == "SIGINT" and self._ask is not None and self._question is None:
            self._question = asyncio.get_running_loop().create_task(self._put(self._ask))
        else:
            self._end(Request.CANCEL, name)

    async def _put(self, ask: Ask) -> None:
        self._interrupts.decided.clear()
        try:
            answer = await ask(self._interrupts.can_detach)
            self._question = None
            if answer == "c":
                self._end(Request.CANCEL, "SIGINT")
            elif answer == "d" and self._interrupts.can_detach:
                self._end(Request.DETACH, None)
        finally:
            self._question = None
            self._interrupts.decided.set()

    def _end(self, request: Request, name: str | None) -> None:
        self._ending = request is Request.CANCEL
        if self._question is not None and self._question is not asyncio.current_task():
            self._question.cancel()
        self._interrupts.ask(request, name)


async def read_line(fd: int) -> str:
    """Wait for a line on a terminal without blocking the loop; empty at its end."""
    import os  # noqa: PLC0415 - a name that is used once

    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def readable() -> None:
        data = b""
        with suppress(OSError):
            data = os.read(fd, 4096)
        if not line.done():
            line.set_result(data.decode("utf-8", "replace").strip())

    loop.add_reader(fd, readable)
    try:
        return await line
    finally:
        loop.remove_reader(fd)
