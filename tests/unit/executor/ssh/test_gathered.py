"""Writes that go out together, and reads that come in pieces."""

import asyncio

import pytest

from runpod_deploy.executor.ssh.gathered import Gathered, _Pieces


class Below(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def close(self) -> None:
        """Note it."""
        self.closed = "closed"

    def abort(self) -> None:
        """Note it."""
        self.closed = "aborted"

    def get_write_buffer_size(self) -> int:
        """Return something."""
        return 7


def test_small_writes_go_out_as_one() -> None:
    """What is written in one turn of the loop is one write; a full load does not wait for its end."""
    below = Below()

    async def work() -> None:
        gathered = Gathered(below)
        gathered.write(b"a")
        gathered.write(b"b")
        assert below.written == []
        assert gathered.get_write_buffer_size() == 9
        await asyncio.sleep(0)
        assert below.written == [b"ab"]
        gathered.write(bytes(300_000))
        assert [len(piece) for piece in below.written] == [2, 300_000]
        await asyncio.sleep(0)
        assert len(below.written) == 2

    asyncio.run(work())


@pytest.mark.parametrize(("how", "written"), [("close", [b"last"]), ("abort", [])])
def test_the_end_sends_what_is_held_unless_it_is_abrupt(how: str, written: list[bytes]) -> None:
    """Closing sends the rest first; aborting drops it."""
    below = Below()

    async def work() -> None:
        gathered = Gathered(below)
        gathered.write(b"last")
        getattr(gathered, how)()
        await asyncio.sleep(0)

    asyncio.run(work())
    assert below.written == written
    assert below.closed == f"{how}ed".replace("closeed", "closed")


def test_what_comes_is_handed_on_in_pieces() -> None:
    """A protocol gets the bytes that came, and a transport that gathers its writes."""
    seen: list[object] = []

    class Above(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append(type(transport))

        def data_received(self, data: bytes) -> None:
            seen.append(data)

        def connection_lost(self, exc: Exception | None) -> None:
            seen.append(exc)

    pieces = _Pieces(Above())
    pieces.connection_made(Below())
    buffer = pieces.get_buffer(-1)
    buffer[:5] = b"bytes"
    pieces.buffer_updated(5)
    pieces.connection_lost(None)
    assert seen == [Gathered, b"bytes", None]
