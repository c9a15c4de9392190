"""A pod's SSH endpoint: a real SSH server on loopback that knows the pod's keys only."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

from runpod_deploy.emulator.pods.control import Control
from runpod_deploy.emulator.pods.ssh_session import PodSession
from runpod_deploy.emulator.ports import Trouble

_WINDOW_BYTES = 8 << 20
_PACKET_BYTES = 128 << 10
_LOGIN_SECONDS = 30
_SFTP_SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
)


class SshEndpoint:
    """Listens for one pod.

    Attributes:
        port: Loopback TCP port.
        fingerprint: "SHA256:…" of the host key, which is new at each start as a container's is.
    """

    def __init__(
        self,
        control: Control,
        public_keys: str,
        env: Mapping[str, str],
        shell: str,
        trouble: Trouble | None = None,
    ) -> None:
        self._control = control
        self._keys = _parse_keys(public_keys)
        self._env = env
        self._shell = shell
        self._trouble = trouble
        self._closed = False
        self._subsystems = _find_subsystems()
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._logged_in: set[asyncssh.SSHServerConnection] = set()
        self._new_key()
        self._tasks: set[asyncio.Future[None]] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self.port = 0

    def _new_key(self) -> None:
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.fingerprint = self._host_key.get_fingerprint()

    async def listen(self, sock: socket.socket | None = None) -> None:
        """Open the port: that of a bound socket, or else the one it had."""
        place: dict[str, Any] = {"sock": sock} if sock else {"host": "127.0.0.1", "port": self.port}
        self._acceptor = await asyncssh.listen(
            **place,
            server_factory=lambda: _Connection(self),
            server_host_keys=[self._host_key],
            encoding=None,
            line_editor=False,
            agent_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            login_timeout=_LOGIN_SECONDS,
            window=_WINDOW_BYTES,
            max_pktsize=_PACKET_BYTES,
        )
        self.port = self._acceptor.get_port()

    def open_connections(self) -> int:
        """Count the connections that are logged in."""
        return len(self._logged_in)

    async def drop_connections(self) -> None:
        """Cut every connection, also those that are still logging in."""
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    async def reopen(self, *, dark: float, new_port: bool, new_key: bool) -> None:
        """Close, and listen again after `dark` seconds."""
        await self._shut()
        await asyncio.sleep(dark)
        if new_port:
            self.port = 0
        if new_key:
            self._new_key()
        if not self._closed:
            await self.listen()

    async def close(self) -> None:
        """Close the port for good and cut every connection."""
        self._closed = True
        await self._shut()

    async def _shut(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
        await self.drop_connections()

    def admits(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Say whether this user may log in with this key."""
        return username == "root" and key.public_data in self._keys

    def session(self, connection: asyncssh.SSHServerConnection) -> PodSession:
        """Make the session of one channel."""
        client = connection.get_extra_info("peername")[:2]
        env = {
            **self._env,
            "SSH_CLIENT": f"{client[0]} {client[1]} {self.port}",
            "SSH_CONNECTION": f"{client[0]} {client[1]} 127.0.0.1 {self.port}",
        }
        return PodSession(
            self._control, env, self._shell, self._subsystems, self._trouble, self._cut
        )

    def _cut(self, dark: float) -> None:
        task = asyncio.ensure_future(self.reopen(dark=dark, new_port=False, new_key=False))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def note(self, connection: asyncssh.SSHServerConnection, *, logged_in: bool) -> None:
        """Take notice of a connection."""
        (self._logged_in if logged_in else self._connections).add(connection)

    def forget(self, connection: asyncssh.SSHServerConnection) -> None:
        """Take notice of a connection's end."""
        self._connections.discard(connection)
        self._logged_in.discard(connection)


class _Connection(asyncssh.SSHServer):
    """What asyncssh asks about one connection."""

    def __init__(self, endpoint: SshEndpoint) -> None:
        self._endpoint = endpoint

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._endpoint.note(conn, logged_in=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncssh's signature
        self._endpoint.forget(self._conn)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - asyncssh's signature
        return True

    def auth_completed(self) -> None:
        self._endpoint.note(self._conn, logged_in=True)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._endpoint.admits(username, key)

    def session_requested(self) -> PodSession:
        return self._endpoint.session(self._conn)

    def connection_requested(
        self,
        dest_host: str,  # noqa: ARG002 - the pod shares the host's network: nothing to choose
        dest_port: int,  # noqa: ARG002 - the same
        orig_host: str,  # noqa: ARG002 - the same
        orig_port: int,  # noqa: ARG002 - the same
    ) -> bool:
        return True


def _parse_keys(text: str) -> set[bytes]:
    """Read `PUBLIC_KEY`: one key a line; lines that are none are passed over, as sshd does."""
    keys = set()
    for line in text.splitlines():
        with suppress(asyncssh.KeyImportError, ValueError):
            keys.add(asyncssh.import_public_key(line.strip()).public_data)
    return keys


def _find_subsystems() -> dict[str, str]:
    found = next((path for path in _SFTP_SERVERS if Path(path).is_file()), None)
    return {} if found is None else {"sftp": found}
