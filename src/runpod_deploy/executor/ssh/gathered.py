"""A TCP connection whose small writes go out together, and whose bytes come in pieces that fit.

asyncssh writes each packet by itself, with a tiny one before it, and cuts what came anew for each
packet in it: a system call and a wake-up of the server for every few bytes out, and eight copies of
every byte in.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

_AT_ONCE = 256 * 1024
_PIECE = 64 * 1024


class _Landing(threading.local):
    """Where bytes land before they are handed on: one for all connections of a thread's event loop.

    The loop asks for it, fills it and tells so without letting anything else run in between. One for
    each of hundreds of connections would be most of what a connection takes.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_PIECE))


_LANDING = _Landing()


class GatheredTcp:
    """What asyncssh calls a tunnel: opens the connection that it then speaks SSH over."""

    async def create_connection(
        self, session_factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect to `host:port`; returns the transport and the protocol that it serves.

        Raises:
            OSError: Nobody answers there.
        """
        loop = asyncio.get_running_loop()
        protocol = session_factory()
        transport, _ = await loop.create_connection(lambda: _Pieces(protocol), host, port)
        return transport, protocol


class _Pieces(asyncio.BufferedProtocol):
    """Hands what comes to a protocol, a few packets at a time."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP's are
        self._protocol.connection_made(Gathered(transport))

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the signature is asyncio's
        return _LANDING.view

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(_LANDING.view[:nbytes]))

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()


class Gathered(asyncio.Transport):
    """Holds writes back until the event loop has run what is due, then sends them as one.

    Args:
        transport: Sends.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._held: list[bytes | bytearray | memoryview] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send soon."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            self._transport.write(b"".join(held))

    def close(self) -> None:
        """Close when all is sent."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._held = []
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport below knows."""
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return the bytes that are not sent yet."""
        return self._size + self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()
