"""The inside of a pod in memory, behind the ports `Connector` and `Transport`."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runpod_deploy.errors import CommandFailed, ConnectFailed, ConnectionLost, TransportError
from runpod_deploy.executor.ports import Completed, Endpoint, Reader, Writer

if TYPE_CHECKING:
    from support.fake_cloud import FakeCloud
    from support.virtual_time import Gate

PROBE = (
    b"NVIDIA L4, 23034, 570.1\n--runpod-deploy--\nCUDA Version: 12.8\n--runpod-deploy--\n"
    b"overlay 100000000 10 90000000 1% /\n"
)

Reply = Completed | Exception | bytes


@dataclass
class FakeJob:
    """What the run on a pod does once it is started.

    Attributes:
        chunks: `(seconds after the start, bytes)` of the log, in order.
        lasts: Seconds until it ends by itself.
        exit_code: Its exit code; None: the supervisor dies and leaves none.
    """

    chunks: list[tuple[float, bytes]] = field(default_factory=lambda: [(1.0, b"hello\n")])
    lasts: float = 5.0
    exit_code: int | None = 0
    starts: int = 0
    started_at: float | None = None
    stopped_at: float | None = None
    ended_by: str = "-"
    limit: tuple[int, str] = (0, "")

    def log(self, now: float) -> bytes:
        """Return the log as it is at a moment."""
        if self.started_at is None:
            return b""
        end = min(now, self.ends_at()) - self.started_at
        return b"".join(piece for at, piece in self.chunks if at <= end)

    def ends_at(self) -> float:
        """Return the moment of the end; infinity before the start."""
        if self.started_at is None:
            return float("inf")
        by_itself = self.started_at + self.lasts
        return by_itself if self.stopped_at is None else min(by_itself, self.stopped_at)

    def start(self, now: float, seconds: int, reason: str) -> None:
        """Begin once, however often it is asked."""
        self.starts += 1
        if self.started_at is not None:
            return
        self.started_at = now
        self.limit = (seconds, reason)
        if seconds and seconds < self.lasts:
            self.lasts, self.exit_code, self.ended_by = float(seconds), 143, reason

    def stop(self, now: float, reason: str) -> None:
        """End it as the supervisor would."""
        if self.started_at is not None and now < self.ends_at():
            self.stopped_at, self.exit_code, self.ended_by = now, 143, reason

    def report(self, now: float) -> bytes:
        """Return the supervisor's answer."""
        size = len(self.log(now))
        if self.started_at is None or (now >= self.ends_at() and self.exit_code is None):
            return f"lost - {size} -\n".encode()
        if now < self.ends_at():
            return f"running - {size} -\n".encode()
        return f"exited {self.exit_code} {size} {self.ended_by}\n".encode()


@dataclass
class FakeMachine:
    """One pod's inside.

    Attributes:
        replies: Pattern to what a matching command answers, before anything built in; a list is
            used up one by one.
        hangs: Patterns of commands that never end.
        commands: Every command line that came.
        inputs: Standard input of the commands that had one, by command line.
        connections: Open connections.
    """

    job: FakeJob = field(default_factory=FakeJob)
    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    inputs: dict[str, bytes] = field(default_factory=dict)
    connections: list[FakeTransport] = field(default_factory=list)
    probe: bytes = PROBE
    chunk: int = 1 << 20
    dead: bool = False

    def kill(self) -> None:
        """Power off."""
        self.dead = True
        self.drop()

    def drop(self) -> None:
        """Break every connection; the job goes on."""
        for connection in self.connections:
            connection.lost.set()

    def scripted(self, command: str) -> Reply | None:
        """Return the test's reply to a command."""
        for pattern, reply in self.replies.items():
            if re.search(pattern, command):
                if isinstance(reply, list):
                    return reply.pop(0) if reply else None
                return reply
        return None


class FakeTransport:
    """One connection to one machine."""

    def __init__(self, machine: FakeMachine, gate: Gate) -> None:
        self.machine = machine
        self.gate = gate
        self.lost = asyncio.Event()
        self.closed = False
        machine.connections.append(self)

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | AsyncIterator[bytes] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Answer a command as the machine's script says, else as a pod would."""
        async with asyncio.timeout(timeout):
            await self._begin(command, stdin)
            await self.gate.through("run")
            self._check()
            if any(re.search(pattern, command) for pattern in self.machine.hangs):
                await self._until(None)
            done = await self._answer(command)
            await self.gate.through("run-answer")
            self._check()
            return done

    async def stream(
        self, command: str, *, stdin: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[bytes]:
        """Yield what a command prints."""
        await self._begin(command, stdin)
        await self.gate.through("stream")
        self._check()
        following = re.search(r"tail -c \+(\d+) -F", command)
        rest = re.search(r"tail -c \+(\d+) .* head -c (\d+)", command)
        reply = self.machine.scripted(command)
        if isinstance(reply, Exception):
            raise reply
        if reply is None and following:
            async for piece in self._follow(int(following[1]) - 1):
                yield piece
            return
        if any(re.search(pattern, command) for pattern in self.machine.hangs):
            for piece in self._cut(_output(reply)):
                yield piece
            await self._until(None)
        text = _output(reply)
        if reply is None and rest:
            start = int(rest[1]) - 1
            text = self.machine.job.log(self._now())[start : start + int(rest[2])]
        for piece in self._cut(text):
            yield piece
            await self.gate.through("chunk")
            self._check()
        if isinstance(reply, Completed) and reply.exit_status != 0:
            raise CommandFailed(
                f"ended with status {reply.exit_status}", exit_status=reply.exit_status
            )

    async def dial(self, port: int) -> tuple[Reader, Writer]:
        """Open a connection to a port."""
        raise TransportError(f"nobody listens on port {port} of the pod")

    def host_key(self) -> str:
        """Return a host key."""
        return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2qzv1g2m2b3xq0"

    def latency(self) -> float:
        """Return nothing."""
        return 0.0

    async def close(self) -> None:
        """Close."""
        self.closed = True
        self.lost.set()
        await self.gate.through("close")

    async def _begin(self, command: str, stdin: bytes | AsyncIterator[bytes] | None) -> None:
        self._check()
        self.machine.commands.append(command)
        if isinstance(stdin, bytes):
            self.machine.inputs[command] = stdin
        elif stdin is not None:
            self.machine.inputs[command] = b"".join([piece async for piece in stdin])

    async def _answer(self, command: str) -> Completed:
        reply = self.machine.scripted(command)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completed):
            return reply
        if reply is None and "supervisor.sh" in command:
            return _printed(await self._supervise(command))
        if reply is None and "nvidia-smi" in command:
            return _printed(self.machine.probe)
        return _printed(reply or b"")

    async def _supervise(self, command: str) -> bytes:
        job = self.machine.job
        words = command.split()
        verb = words[2]
        if verb == "start":
            job.start(self._now(), int(words[3]), words[4])
        elif verb == "stop":
            job.stop(self._now(), words[3])
        elif verb == "wait" and job.started_at is not None:
            await self._until(job.ends_at())
        return job.report(self._now())

    async def _follow(self, sent: int) -> AsyncIterator[bytes]:
        job = self.machine.job
        while True:
            fresh = job.log(self._now())[sent:]
            for piece in self._cut(fresh):
                sent += len(piece)
                yield piece
                await self.gate.through("chunk")
                self._check()
            if not fresh:
                await self._until(self._next_change())

    def _next_change(self) -> float | None:
        job = self.machine.job
        if job.started_at is None:
            return None
        moments = [job.started_at + at for at, _ in job.chunks]
        later = [moment for moment in moments if self._now() < moment <= job.ends_at()]
        return min(later, default=None)

    async def _until(self, moment: float | None) -> None:
        """Wait for a moment, None: for ever, unless the connection breaks first."""
        try:
            async with asyncio.timeout_at(moment):
                await self.lost.wait()
        except TimeoutError:
            if moment is None or self._now() < moment - 1e-6:
                raise
            return
        self._check()

    def _cut(self, text: bytes) -> list[bytes]:
        size = self.machine.chunk
        return [text[start : start + size] for start in range(0, len(text), size)]

    def _check(self) -> None:
        if self.lost.is_set() or self.machine.dead:
            raise ConnectionLost("the connection is broken")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _printed(text: bytes) -> Completed:
    return Completed(exit_status=0, stdout=text, stderr=b"")


def _output(reply: Reply | None) -> bytes:
    if isinstance(reply, Completed):
        return reply.stdout
    return reply if isinstance(reply, bytes) else b""


@dataclass
class FakeConnector:
    """Opens connections to the pods of a `FakeCloud`.

    Attributes:
        faults: What the next calls do: None connects, an exception is raised.
        always: Raised by every call.
        on_connect: Called with each new connection.
    """

    cloud: FakeCloud
    faults: deque[Exception | None] = field(default_factory=deque)
    always: Exception | None = None
    on_connect: Callable[[FakeTransport], None] = lambda _transport: None
    public_key: str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPublicHalf"
    opened: list[FakeTransport] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def forget(self, pod_id: str) -> None:
        """Remember that it was asked for."""
        self.forgotten.append(pod_id)

    async def connect(self, endpoint: Endpoint, pod_id: str, *, timeout: float) -> FakeTransport:  # noqa: ARG002 - the port's
        """Connect as the script says."""
        gate = self.cloud.clock.gate
        await gate.through("connect")
        if self.always is not None:
            raise self.always
        what = self.faults.popleft() if self.faults else None
        if what is not None:
            raise what
        machine = self.cloud.at(endpoint)
        if machine is None or machine.dead:
            raise ConnectFailed(f"nobody answers at {endpoint.host}:{endpoint.port}")
        transport = FakeTransport(machine, gate)
        self.opened.append(transport)
        self.on_connect(transport)
        return transport
