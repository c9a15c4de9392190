"""One pod's container: pull, start, keep alive, kill; with the faults that belong to it."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from runpod_deploy.emulator.faults import Fault, FaultBoard
from runpod_deploy.emulator.lifecycle import Boot
from runpod_deploy.emulator.logs import LogBook
from runpod_deploy.emulator.ports import PodHost, PodProcess, PodSpec

RESTART_DELAY_SECONDS = 1.0
PULL_RETRY_SECONDS = 5.0
SSH_PORT = "22/tcp"

OnEnd = Callable[[str], Awaitable[None]]
"""Called when the container ends a pod by itself, with "exited", "error" or "gone"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """What one start of a container needs.

    Attributes:
        image: Named in the system log.
        spec: Handed to the pod host.
        shows_ssh: Whether `22/tcp` is mapped.
        context: What faults match on.
        has_volume: Whether a network volume is attached, which RunPod keeps from an empty account.
        first: The start of a create call; otherwise of `start` or `restart`.
    """

    image: str
    spec: PodSpec
    shows_ssh: bool
    context: dict[str, str]
    first: bool
    has_volume: bool = False


@dataclass(slots=True)
class Container:
    """The container of a pod that is on; a new one for each start."""

    host: PodHost
    board: FaultBoard
    logs: LogBook
    launch: Launch
    on_end: OnEnd
    old_port: int | None = None
    ssh_port: int | None = None
    polls: int = 0
    process: PodProcess | None = None
    _held_back: bool = False
    _begun: float = field(default_factory=time.monotonic)
    _up_since: float | None = None
    _starting: "asyncio.Task[PodProcess] | None" = None
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list)

    def begin(self) -> None:
        """Start in the background."""
        self._held_back = self.board.take("never-ready", **self.launch.context) is not None
        if self.old_port and not self.board.take("stale-port", **self.launch.context):
            self.old_port = None
        self._tasks.append(asyncio.create_task(self._run()))

    def boot(self) -> Boot:
        """Say how far the start has come."""
        return Boot(
            up=self._up_since is not None,
            held_back=self._held_back,
            polls=self.polls,
            seconds=time.monotonic() - self._begun,
        )

    def shown_port(self, ready_polls: int) -> int | None:
        """Give the SSH port the API shows; a stale one at the first poll that shows any."""
        if self.old_port and self.polls <= ready_polls + 1:
            return self.old_port
        return self.ssh_port

    def uptime(self) -> int:
        """Give the seconds since the processes came up."""
        return 0 if self._up_since is None else int(time.monotonic() - self._up_since)

    async def halt(self) -> None:
        """Kill everything; returns when it is gone."""
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._starting is not None:
            # A start that is under way cannot be cut: what it makes would be nobody's.
            with contextlib.suppress(Exception):
                self.process = await self._starting
        if self.process is not None:
            await self.process.stop()
        self._up_since = None

    async def _run(self) -> None:
        self._note(f"create container {self.launch.image}")
        await self._pull()
        while True:
            try:
                await self._start()
            except Exception as exc:  # noqa: BLE001 - whatever stops a pod host is the pod's ERROR
                self._note(f"error creating container: {exc}")
                await self.on_end("error")
                return
            process = self.process
            if process is None:
                return
            timers = self._timers(process)
            self._tasks += timers
            status = await process.wait()
            self._up_since = None
            for timer in timers:
                timer.cancel()
                self._tasks.remove(timer)
            await process.stop()
            self._note(f"container exited with status {status}, restarting")
            await asyncio.sleep(RESTART_DELAY_SECONDS)

    async def _pull(self) -> None:
        context, image = self.launch.context, self.launch.image
        slow = self.board.take("slow-pull", **context)
        self._note(f"{image} Pulling from docker.io")
        if slow:
            await asyncio.sleep(slow.number("seconds"))
        while self.board.take("pull-fails", **context):
            self._note(f"error creating container: image pull: {image}: pending")
            await asyncio.sleep(PULL_RETRY_SECONDS)
        self._note(f"Status: Image is up to date for {image}")

    async def _start(self) -> None:
        self._note(f"start container for {self.launch.image}: begin")
        self._starting = asyncio.create_task(self.host.start(self.launch.spec, self.logs.write))
        self.process = await asyncio.shield(self._starting)
        self._starting = None
        self._up_since = time.monotonic()
        if self.launch.shows_ssh:
            self.ssh_port = self.process.ssh_port or closed_port()

    async def _reopen(self, process: PodProcess, *, new_port: bool, new_key: bool) -> None:
        await process.reopen_ssh(new_port=new_port, new_key=new_key)
        if self.launch.shows_ssh and process.ssh_port:
            self.ssh_port = process.ssh_port

    def _timers(self, process: PodProcess) -> "list[asyncio.Task[None]]":
        context = self.launch.context
        timers = []
        if drop := self.board.take("ssh-drop", **context):
            timers.append(_after(drop, process.drop_connections))
        if killed := self.board.take("pod-killed", **context):
            then = str(killed.params["then"])
            timers.append(_after(killed, lambda: self.on_end(then)))
        if moved := self.board.take("port-change", **context):
            timers.append(
                _after(moved, lambda: self._reopen(process, new_port=True, new_key=False))
            )
        if other := self.board.take("host-key-change", **context):
            timers.append(
                _after(other, lambda: self._reopen(process, new_port=False, new_key=True))
            )
        if empty := self.board.take("balance-gone", **context):
            how = "exited" if self.launch.has_volume else "gone"
            timers.append(_after(empty, lambda: self.on_end(how)))
        if failed := self.board.take("error-state", **context):
            timers.append(_after(failed, lambda: self.on_end("error")))
        return timers

    def _note(self, line: str) -> None:
        self.logs.write("system", line)


def closed_port() -> int:
    """Give a loopback port on which nothing listens: the mapped port of an image without sshd."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _after(fault: Fault, act: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
    async def wait_and_act() -> None:
        await asyncio.sleep(fault.number("seconds"))
        await act()

    return asyncio.create_task(wait_and_act())
