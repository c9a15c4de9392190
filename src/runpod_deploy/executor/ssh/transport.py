"""One SSH connection to one pod: the port `Transport`."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator

import asyncssh

from runpod_deploy.errors import CommandFailed, ConnectionLost, TransportError
from runpod_deploy.executor.ports import Completed
from runpod_deploy.executor.ssh.process_group import announced
from runpod_deploy.executor.ssh.session import Session
from runpod_deploy.executor.untrusted import first_lines, printable

OUTPUT_LIMIT = 16 * 1024 * 1024

_STDERR_KEPT = 64 * 1024
_CLOSE_SECONDS = 5.0


class AsyncsshTransport:
    """Commands over one connection, each on a channel of its own.

    Args:
        connection: Logged in.
        where: `host:port`, for messages.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection, where: str) -> None:
        self._connection = connection
        self._where = where
        self._latency = 0.0

    def __repr__(self) -> str:
        return f"AsyncsshTransport({self._where!r})"

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | AsyncIterator[bytes] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run `command` in the remote user's shell and collect its output (at most 16 MiB each).

        Raises:
            TimeoutError: `timeout` seconds passed; the remote command was sent SIGTERM.
            ConnectionLost: The connection broke before the exit status arrived.
            StepFailed: It wrote more than 16 MiB (cause `remote_output`) and was sent SIGTERM.
        """
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                return await self._run(command, stdin)
        except TimeoutError as exc:
            if not scope.expired():
                raise
            msg = f"a command on {self._where} did not end within {timeout:g} seconds"
            raise TimeoutError(msg) from exc

    async def _run(self, command: str, stdin: bytes | AsyncIterator[bytes] | None) -> Completed:
        token = secrets.token_hex(8)
        process = await self._open(announced(command, token))
        session = Session(
            process, stdin, token=token, where=self._where, stderr_limit=OUTPUT_LIMIT, strict=True
        )
        try:
            stdout = await session.collect_stdout(OUTPUT_LIMIT)
            status, stderr = await session.finish()
        except ConnectionLost:
            if (cause := session.failure()) is not None:
                raise cause from None
            raise
        finally:
            await session.end()
        return Completed(exit_status=status, stdout=stdout, stderr=stderr)

    async def stream(
        self, command: str, *, stdin: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield stdout in chunks as it comes; closing the iterator ends the remote command.

        Raises:
            ConnectionLost: The connection broke.
            CommandFailed: The command ended with a non-zero status.
        """
        token = secrets.token_hex(8)
        process = await self._open(announced(command, token))
        session = Session(
            process, stdin, token=token, where=self._where, stderr_limit=_STDERR_KEPT, strict=False
        )
        try:
            async for chunk in session.stdout():
                yield chunk
            status, stderr = await session.finish()
        except ConnectionLost:
            if (cause := session.failure()) is not None:
                raise cause from None
            raise
        finally:
            await session.end()
        if status != 0:
            raise CommandFailed(
                f"a command on {self._where} ended with status {status}: "
                f"{first_lines(stderr) or 'it wrote no error message'}",
                exit_status=status,
            )

    async def dial(
        self, port: int
    ) -> "tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]":
        """Open a connection to a port of the pod's own loopback address.

        Raises:
            ConnectionLost: The SSH connection is broken.
            TransportError: Nobody listens there, or the server allows no such connections.
        """
        try:
            return await self._connection.open_connection("127.0.0.1", port, encoding=None)
        except asyncssh.ChannelOpenError as exc:
            if self._connection.is_closed():
                raise self._broken() from exc
            if exc.code == asyncssh.OPEN_CONNECT_FAILED:
                raise TransportError(f"nobody listens on port {port} of the pod") from exc
            raise TransportError(
                f"{self._where} does not forward port {port}: {printable(exc.reason, 200)}"
            ) from exc
        except (OSError, asyncssh.Error) as exc:
            raise self._broken() from exc

    def host_key(self) -> str:
        """Return the server's host key in OpenSSH format, `ssh-ed25519 AAAA…`."""
        key = self._connection.get_server_host_key()
        if key is None:
            msg = f"{self._where} was not identified by a host key"
            raise TransportError(msg)
        return openssh_text(key)

    @property
    def broken(self) -> bool:
        """Whether the connection is closed, by us or by what happened to it."""
        return self._connection.is_closed()

    def latency(self) -> float:
        """Return the shortest time that an answer took so far, in seconds; 0 before the first."""
        return self._latency

    async def close(self) -> None:
        """Close the connection; idempotent."""
        self._connection.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._connection.wait_closed()
        except TimeoutError:
            self._connection.abort()

    async def _open(self, command: str) -> "asyncssh.SSHClientProcess[bytes]":
        began = time.monotonic()
        try:
            process = await self._connection.create_process(command, encoding=None)
        except asyncssh.ChannelOpenError as exc:
            if self._connection.is_closed():
                raise self._broken() from exc
            raise TransportError(
                f"{self._where} refused to start a command: {printable(exc.reason, 200)}",
                help="The pod's SSH server limits the commands at a time on one connection.",
            ) from exc
        except (OSError, asyncssh.Error) as exc:
            raise self._broken() from exc
        except (AttributeError, AssertionError) as exc:
            # asyncssh 2.24 trips over what it dropped when the connection broke between the server's
            # answer and the start: the session, or the connection of a channel.
            dropped = isinstance(exc, AssertionError) or exc.name == "session_started"
            if not dropped or not self._connection.is_closed():
                raise
            raise self._broken() from exc
        # A channel is opened first, and the command asked for then.
        took = (time.monotonic() - began) / 2
        self._latency = min(self._latency or took, took)
        return process

    def _broken(self) -> ConnectionLost:
        return ConnectionLost(
            f"the SSH connection to {self._where} is broken",
            help="What was started on the pod may still run.",
        )


def openssh_text(key: asyncssh.SSHKey) -> str:
    """Return a public key as `ssh-ed25519 AAAA…`, without its comment."""
    return " ".join(key.export_public_key("openssh").decode("ascii", "replace").split()[:2])
