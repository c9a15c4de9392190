"""Ports of this machine that lead to the pod's, over real sockets, and over a real OpenSSH server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PlanForward
from runpod_deploy.errors import InvalidInput, TransportError
from runpod_deploy.executor.forwarding import HERE, ForwardedPorts
from runpod_deploy.executor.ports import Endpoint, Reader, Writer
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import derive_key, public_line
from support.openssh import SSHD, OpenSshServer, openssh_server

pytestmark = pytest.mark.interop
KEY = derive_key("an api key", bytes(32))
BIG = bytes(range(256)) * 4096


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        port: int = sock.getsockname()[1]
        return port


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what came, once all of it has come."""
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


def beside_a_program(work: Callable[[int], Awaitable[None]]) -> None:
    """Do something while a program on the pod echoes on a port."""

    async def body() -> None:
        async with await asyncio.start_server(echo, HERE, 0) as server:
            await asyncio.wait_for(work(server.sockets[0].getsockname()[1]), 60)

    asyncio.run(body())


async def asked(port: int, text: bytes) -> bytes:
    """Send a text to a port of this machine, end it, and return the whole answer."""
    reader, writer = await asyncio.open_connection(HERE, port)
    writer.write(text)
    writer.write_eof()
    return await rest(reader, writer)


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return what comes until the other side ends."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""  # turned away with something unread
    finally:
        writer.close()


def test_bytes_go_both_ways_until_the_ports_are_closed() -> None:
    """Many at a time and large ones; an end in one direction leaves the other open."""

    async def work(port: int) -> None:
        said: list[str] = []
        one = PlanForward(local=free_port(), pod=7)

        async def dial(wanted: int) -> tuple[Reader, Writer]:
            assert wanted == 7
            return await asyncio.open_connection(HERE, port)

        ports = await ForwardedPorts.bound([one, one], said.append)
        assert await asked(one.local, b"early") == b""
        ports.dial = dial
        texts = [BIG, b"", *(b"%d" % number for number in range(20))]
        assert await asyncio.gather(*(asked(one.local, text) for text in texts)) == texts
        reader, writer = await asyncio.open_connection(HERE, one.local)
        writer.write(b"open")
        await ports.close()
        assert await rest(reader, writer) == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HERE, one.local)
        assert said == [
            f"127.0.0.1:{one.local} leads to port 7 of the pod.",
            f"127.0.0.1:{one.local}: No connection to the pod is open yet.",
        ]

    beside_a_program(work)


def test_a_port_that_is_taken_is_told_and_the_others_are_let_go() -> None:
    """Nothing is bound when one cannot be; the advice is a line to copy."""

    async def work(port: int) -> None:
        free = free_port()
        with pytest.raises(InvalidInput, match=f"port {port} of this machine is taken") as raised:
            await ForwardedPorts.bound(
                [PlanForward(local=free, pod=1), PlanForward(local=port, pod=8888)], print
            )
        assert ":8888" in (raised.value.help or "")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HERE, free)

    beside_a_program(work)


def test_nobody_there_is_told_once_until_somebody_was() -> None:
    """A page that asks again and again fills no screen."""

    async def work(port: int) -> None:
        said: list[str] = []
        one = PlanForward(local=free_port(), pod=7)
        there = False

        async def dial(_port: int) -> tuple[Reader, Writer]:
            if not there:
                raise TransportError("nobody listens on port 7 of the pod")
            return await asyncio.open_connection(HERE, port)

        ports = await ForwardedPorts.bound([one], said.append)
        ports.dial = dial
        said.clear()
        for _ in range(3):
            assert await asked(one.local, b"") == b""
        assert len(said) == 1
        there = True
        assert await asked(one.local, b"x") == b"x"
        there = False
        await asked(one.local, b"")
        assert said == [f"127.0.0.1:{one.local}: nobody listens on port 7 of the pod"] * 2
        await ports.close()

    beside_a_program(work)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenSshServer]:
    """Return a server of this test alone that accepts `KEY`."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with openssh_server(folder, public_line(KEY)) as running:
        yield running


@pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's sshd on this machine")
def test_openssh_carries_it_over_the_connection_that_there_is(server: OpenSshServer) -> None:
    """Beside commands, on channels of their own; a port where nobody listens is told as such."""

    async def work(port: int) -> None:
        connector = AsyncsshConnector(KEY, server.folder / "known_hosts")
        at = Endpoint(host=HERE, port=server.port, username=server.user)
        transport = await connector.connect(at, "pod1", timeout=60)
        one = PlanForward(local=free_port(), pod=port)
        ports = await ForwardedPorts.bound([one], lambda _text: None)
        ports.dial = transport.dial
        try:
            answers = await asyncio.gather(
                asked(one.local, BIG), asked(one.local, b"x"), transport.run("echo beside")
            )
            assert (BIG, b"x", b"beside\n") == (*answers[:2], answers[2].stdout)
            with pytest.raises(TransportError, match="nobody listens on port"):
                await transport.dial(free_port())
            assert not transport.broken
        finally:
            await ports.close()
            await transport.close()
        assert transport.broken
        with pytest.raises(TransportError, match="is broken"):
            await transport.dial(port)

    beside_a_program(work)
