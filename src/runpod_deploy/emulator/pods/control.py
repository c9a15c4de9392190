"""Near end of the control socket: asks a pod's PID 1 to run and to signal commands."""

import asyncio
import itertools
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runpod_deploy.emulator.pods.blueprint import Blueprint
from runpod_deploy.emulator.pods.inside import wire


class PodGoneError(Exception):
    """The pod's PID 1 is not there any more, or it could not start the command."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One command to run inside.

    Attributes:
        argv: Arguments, the first being the name the program sees.
        file: What is executed, looked up on the PATH of `env` unless it has a slash.
        env: The whole environment.
        cwd: Folder inside the pod.
        terminal: Columns, rows, width and height in pixels of its terminal; None for pipes.
    """

    argv: Sequence[str]
    file: str
    env: Mapping[str, str]
    cwd: str
    terminal: Sequence[int] | None = None


class Running:
    """A command that runs; `terminal` is the master's descriptor, owned by the caller."""

    def __init__(self, control: "Control", request: int, ended: asyncio.Future[int]) -> None:
        self._control = control
        self._request = request
        self.ended = ended
        self.terminal: int | None = None

    async def signal(self, number: int) -> None:
        """Signal the command's process group; a no-op once it has ended."""
        message = {"op": "signal", "id": self._request, "signal": number}
        await self._control.send(message)


class Control:
    """Speaks to one PID 1.

    Attributes:
        closed: Resolves when the other side is gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._requests = itertools.count(1)
        self._sending = asyncio.Lock()
        self._booted = self._answer()
        self._starting: dict[int, tuple[Running, asyncio.Future[None]]] = {}
        self._running: dict[int, Running] = {}
        self._open = True
        self._loop.add_reader(sock, self._read)

    async def boot(self, blueprint: Blueprint) -> None:
        """Hand over the plan and wait until the pod stands.

        Raises:
            PodGoneError: It could not be built; the text says why.
        """
        await self.send(blueprint)
        await self._booted

    async def run(self, command: Command, descriptors: Sequence[int]) -> Running:
        """Start a command on three descriptors (none with a terminal), which stay the caller's.

        Raises:
            PodGoneError: There is no pod any more, or it has no room for the command.
        """
        request = next(self._requests)
        running = Running(self, request, self._loop.create_future())
        started = self._answer()
        self._starting[request] = (running, started)
        message = {
            "op": "run",
            "id": request,
            "argv": list(command.argv),
            "file": command.file,
            "env": dict(command.env),
            "cwd": command.cwd,
            "terminal": None if command.terminal is None else list(command.terminal),
        }
        try:
            await self.send(message, descriptors)
            await started
        finally:
            self._starting.pop(request, None)
        return running

    async def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send one message, waiting for room.

        Raises:
            PodGoneError: The other side is gone, or the message is too long.
        """
        async with self._sending:
            while self._open:
                try:
                    wire.send(self._sock, message, descriptors)
                except BlockingIOError:
                    await self._writable()
                except (BrokenPipeError, ConnectionResetError):
                    self.close()
                except OSError as error:
                    raise PodGoneError(error.strerror) from error
                else:
                    return
        raise PodGoneError("the pod is gone")

    @property
    def gone(self) -> bool:
        """Whether there is no pod any more."""
        return not self._open

    def close(self) -> None:
        """Let go of PID 1, which ends it with everything inside; idempotent."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        gone = PodGoneError("the pod is gone")
        if not self._booted.done():
            self._booted.set_exception(gone)
        for _running, started in self._starting.values():
            if not started.done():
                started.set_exception(gone)
        for running in self._running.values():
            if not running.ended.done():
                running.ended.set_result(-9)
        self._running.clear()

    def _answer(self) -> asyncio.Future[None]:
        """Make a future whose failure may go unheard: the sender may have failed before it."""
        answer: asyncio.Future[None] = self._loop.create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        return answer

    async def _writable(self) -> None:
        room: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._sock, lambda: _resolve(room))
        # Closing answers too: whoever waits for room must not wait for a pod that is gone.
        while self._open and not room.done():
            await asyncio.wait([room], timeout=0.1)
        if self._open:
            self._loop.remove_writer(self._sock)

    def _read(self) -> None:
        try:
            received = wire.receive(self._sock)
        except BlockingIOError:
            return
        except OSError:
            received = None
        if received is None:
            self.close()
            return
        self._dispatch(*received)

    def _dispatch(self, message: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        kept = False
        match message["op"]:
            case "ready":
                _resolve(self._booted)
            case "failed":
                _fail(self._booted, str(message["why"]))
            case "started":
                kept = self._on_started(message["id"], descriptors)
            case "refused" if message["id"] in self._starting:
                _fail(self._starting[message["id"]][1], str(message["why"]))
            case "ended" if message["id"] in self._running:
                running = self._running.pop(message["id"])
                if not running.ended.done():
                    running.ended.set_result(int(message["status"]))
            case _:
                pass
        if not kept:
            for fd in descriptors:
                os.close(fd)

    def _on_started(self, request: int, descriptors: Sequence[int]) -> bool:
        """Note a started command; False when nobody waits for it and its terminal."""
        if request not in self._starting:
            return False
        running, started = self._starting[request]
        self._running[request] = running
        if descriptors:
            running.terminal = descriptors[0]
        _resolve(started)
        return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], why: str) -> None:
    if not future.done():
        future.set_exception(PodGoneError(why))
