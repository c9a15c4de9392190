"""A relay on loopback that delays every byte: the far machine for where the kernel has no netem.

Run as a process of its own: `delay_relay.py TARGET_PORT ONE_WAY_SEC`; prints the port it listens on.
Each connection has at most `WINDOW` bytes under way in each direction, as TCP's buffers have it.
"""

import asyncio
import sys
from collections import deque

WINDOW = 6 * 1024 * 1024


class Pump(asyncio.Protocol):
    """One direction, from one socket to the other."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.peer: Pump | None = None
        self.transport: asyncio.Transport | None = None
        self.queue: deque[tuple[float, bytes | None]] = deque()
        self.held = 0
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=64 * 1024 * 1024)

    def data_received(self, data: bytes) -> None:
        """Hold what came until it is due."""
        self._hold(data)
        if self.held > WINDOW and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Let the end travel as the bytes do."""
        self._hold(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Break the other side as well."""
        if self.peer is not None and self.peer.transport is not None and exc is not None:
            self.peer.transport.abort()

    def _hold(self, data: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        self.queue.append((loop.time() + self.delay, data))
        self.held += len(data or b"")
        if self.timer is None:
            self.timer = loop.call_at(self.queue[0][0], self._deliver)

    def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        self.timer = None
        now = loop.time()
        peer = self.peer.transport if self.peer is not None else None
        while self.queue and self.queue[0][0] <= now:
            _, data = self.queue.popleft()
            if peer is None or peer.is_closing():
                continue
            if data is None:
                peer.close()
            else:
                peer.write(data)
                self.held -= len(data)
        if self.held <= WINDOW // 2 and self.transport is not None:
            self.transport.resume_reading()
        if self.queue:
            self.timer = loop.call_at(self.queue[0][0], self._deliver)


async def serve(target: int, delay: float) -> None:
    """Relay for ever."""
    loop = asyncio.get_running_loop()
    pairs = set()

    async def join(near: Pump) -> None:
        assert near.transport is not None
        near.transport.pause_reading()
        # What a handshake over the long way takes before the first byte can go.
        await asyncio.sleep(2 * delay)
        _, far = await loop.create_connection(lambda: Pump(delay), "127.0.0.1", target)
        near.peer, far.peer = far, near
        near.transport.resume_reading()

    class Accepted(Pump):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            pairs.add(task := asyncio.ensure_future(join(self)))
            task.add_done_callback(pairs.discard)

    server = await loop.create_server(lambda: Accepted(delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
