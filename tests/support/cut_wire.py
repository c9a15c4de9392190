"""Connections to a server that break when so many bytes went over them, and count what did."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from runpod_deploy.errors import TransportError
from runpod_deploy.executor.ports import Completed, Reader, Writer
from runpod_deploy.executor.ssh.transport import AsyncsshTransport
from runpod_deploy.executor.sync.lanes import Lanes


@dataclass
class Wire:
    """Every connection that is opened through it; again and again all of them break.

    Attributes:
        opened: Opens one connection.
        cuts: After how many bytes the next break comes, and after how many more the one after it.
        broken: How often they broke.
        carried: Bytes of standard input and output that went over all connections so far.
    """

    opened: Callable[[], Awaitable[AsyncsshTransport]]
    cuts: list[int] = field(default_factory=list)
    broken: int = 0
    carried: int = 0
    _open: list[AsyncsshTransport] = field(default_factory=list)

    async def connect(self) -> CountedTransport:
        """Open one more connection."""
        transport = await self.opened()
        self._open.append(transport)
        return CountedTransport(transport, self)

    def carry(self, count: int) -> None:
        """Count bytes, and break everything when it is time."""
        self.carried += count
        if not self.cuts:
            return
        self.cuts[0] -= count
        if self.cuts[0] <= 0:
            self.cuts.pop(0)
            self.broken += 1
            for transport in self._open:
                transport._connection.abort()
            self._open.clear()


class CountedTransport:
    """A transport whose streams are counted."""

    def __init__(self, transport: AsyncsshTransport, wire: Wire) -> None:
        self._transport = transport
        self._wire = wire

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | AsyncIterator[bytes] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run a command."""
        return await self._transport.run(command, stdin=stdin, timeout=timeout)

    async def stream(
        self, command: str, *, stdin: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[bytes]:
        """Stream a command, counted."""

        async def counted(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for chunk in source:
                self._wire.carry(len(chunk))
                yield chunk

        given = counted(stdin) if isinstance(stdin, AsyncIterator) else stdin
        async for chunk in self._transport.stream(command, stdin=given):
            self._wire.carry(len(chunk))
            yield chunk

    async def dial(self, port: int) -> tuple[Reader, Writer]:
        """Open a connection to a port."""
        return await self._transport.dial(port)

    def host_key(self) -> str:
        """Return the server's key."""
        return self._transport.host_key()

    def latency(self) -> float:
        """Return how long an answer takes."""
        return self._transport.latency()

    async def close(self) -> None:
        """Close."""
        await self._transport.close()


async def despite_cuts(
    wire: Wire,
    total: int,
    count: int,
    work: Callable[[CountedTransport, Lanes], Awaitable[None]],
) -> None:
    """Do something again and again while the wire breaks `count` times.

    All breaks come before the last of `total` bytes: together they wait for less than there is to carry.
    """
    rng = random.Random(5)
    wire.cuts = [rng.randrange(1, total // count) for _ in range(count)]
    while True:
        control = await wire.connect()
        lanes = Lanes(wire.connect)
        try:
            await work(control, lanes)
        except TransportError:
            continue
        else:
            return
        finally:
            await lanes.close()
            await control.close()
