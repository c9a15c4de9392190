"""Ports of this machine that lead to ports of the pod, over the run's own SSH connection.

They are bound before anything else is done, so that one that is taken costs nothing, and on the
loopback address alone: whatever listens on the pod was not made to be seen by a whole network.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from runpod_deploy.compiler.plan import PlanForward
from runpod_deploy.errors import InvalidInput, RunpodDeployError
from runpod_deploy.executor.ports import Reader, Writer

HERE = "127.0.0.1"
_CHUNK = 64 * 1024


Dial = Callable[[int], Awaitable[tuple[Reader, Writer]]]
"""Opens a connection to a port of the pod; raises a `RunpodDeployError` where that cannot be."""


class ForwardedPorts:
    """Listeners on this machine; until `dial` is set, whoever connects is turned away."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.dial: Dial | None = None
        self._say = say
        self._said: set[str] = set()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def bound(
        cls, forwards: Iterable[PlanForward], say: Callable[[str], None]
    ) -> ForwardedPorts:
        """Take the ports, all of them or none.

        Args:
            say: Takes sentences for whoever watches.

        Raises:
            InvalidInput: One of them is taken, or not for us to take.
        """
        ports = cls(say)
        try:
            for one in dict.fromkeys(forwards):
                taking = asyncio.start_server(partial(ports._begin, one), HERE, one.local)
                ports._servers.append(await _taken(taking, one))
        except BaseException:
            await ports.close()
            raise
        for one in dict.fromkeys(forwards):
            say(f"{HERE}:{one.local} leads to port {one.pod} of the pod.")
        return ports

    async def close(self) -> None:
        """Let the ports go, and everything that goes over them; idempotent."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _begin(
        self, one: PlanForward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is None:  # the stream server makes one for each connection
            return
        self._tasks.add(task)
        try:
            await self._carry(one, reader, writer)
        except asyncio.CancelledError:
            pass  # the ports were closed
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _carry(
        self, one: PlanForward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.dial is None:
            self._tell(one, "No connection to the pod is open yet.")
            return
        try:
            far_reader, far_writer = await self.dial(one.pod)
        except (RunpodDeployError, TimeoutError, OSError) as error:
            self._tell(one, str(error))
            return
        self._said.clear()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer))
                group.create_task(_pump(far_reader, writer))
        finally:
            far_writer.close()

    def _tell(self, one: PlanForward, why: str) -> None:
        """Say once why nobody answers; browsers ask again and again."""
        text = f"{HERE}:{one.local}: {why}"
        if text not in self._said:
            self._said.add(text)
            self._say(text)


async def _taken(taking: Awaitable[asyncio.Server], one: PlanForward) -> asyncio.Server:
    try:
        return await taking
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"port {one.local} of this machine is taken by another program"
        elif error.errno == errno.EACCES:
            why = f"port {one.local} of this machine is not for ordinary users"
        else:
            why = f"port {one.local} of this machine cannot be used: {error.strerror or error}"
        raise InvalidInput(
            why,
            help=f"Choose another port here; in the job file, or for `attach`:\n"
            f"  --forward {_another(one.local)}:{one.pod}",
        ) from error


def _another(port: int) -> int:
    return port + 10_000 if port < 50_000 else port - 10_000


async def _pump(reader: Reader, writer: Writer) -> None:
    """Carry bytes until one side ends; a side that breaks off ends the other in order."""
    # asyncssh's errors of a broken channel are no OSError; whatever it is, this direction is over.
    with contextlib.suppress(Exception):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(Exception):
        writer.write_eof()
