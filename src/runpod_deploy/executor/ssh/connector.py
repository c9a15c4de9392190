"""Opens SSH connections to pods with the run's own key and the run's own known hosts.

Nothing of the user's SSH set-up takes part: no agent, no configuration, no key and no known_hosts
of the home folder.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh

from runpod_deploy.errors import AuthRejected, ConnectFailed, RunpodDeployError
from runpod_deploy.executor.ports import Endpoint
from runpod_deploy.executor.ssh.gathered import GatheredTcp
from runpod_deploy.executor.ssh.keys import public_line
from runpod_deploy.executor.ssh.known_hosts import KnownHosts, host_alias, host_key_changed
from runpod_deploy.executor.ssh.transport import AsyncsshTransport, openssh_text
from runpod_deploy.executor.untrusted import printable

_WINDOW = 4 * 1024 * 1024
_PACKET = 128 * 1024
_HOST_KEY_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


class AsyncsshConnector:
    """The port `Connector`.

    Args:
        private_key: The run's key.
        known_hosts_file: In the run folder; made at the first enrolment, mode 0600.
        client_keys_extra: Keys of the user that pods also accept, tried after the run's own.
    """

    def __init__(
        self,
        private_key: asyncssh.SSHKey,
        known_hosts_file: Path,
        client_keys_extra: Sequence[asyncssh.SSHKey] = (),
    ) -> None:
        self._keys = (private_key, *client_keys_extra)
        self._known_hosts = KnownHosts(known_hosts_file)

    @property
    def public_key(self) -> str:
        """The run's public key in OpenSSH format, for `env.PUBLIC_KEY`."""
        return public_line(self._keys[0])

    def forget(self, pod_id: str) -> None:
        """Strike out the host key of a pod; the next login enrols the one that it has then.

        Raises:
            OSError: The file cannot be written.
        """
        self._known_hosts.forget(host_alias(pod_id))

    async def connect(
        self, endpoint: Endpoint, pod_id: str, *, timeout: float
    ) -> AsyncsshTransport:
        """Open one connection; the first to a pod enrols its host key, later ones must match.

        A key is enrolled only after the login: a machine that has taken over the pod's address
        and does not know our key leaves no trace.

        Raises:
            ConnectFailed: Nobody answered or finished the handshake within `timeout` seconds.
            AuthRejected: The server answered and refused the key.
            HostKeyChanged: The server shows another key than the one enrolled for `pod_id`.
        """
        alias = host_alias(pod_id)
        where = f"{printable(endpoint.host, 200)}:{endpoint.port}"
        witness = _Witness(self._known_hosts.keys(alias))
        connection = await self._log_in(endpoint, alias, where, witness, timeout)
        transport = AsyncsshTransport(connection, where)
        try:
            self._known_hosts.enrol(alias, transport.host_key())
        except (RunpodDeployError, OSError):
            await transport.close()
            raise
        return transport

    async def _log_in(
        self, endpoint: Endpoint, alias: str, where: str, witness: "_Witness", timeout: float
    ) -> asyncssh.SSHClientConnection:
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                return await asyncssh.connect(
                    endpoint.host,
                    endpoint.port,
                    username=endpoint.username,
                    client_factory=lambda: witness,
                    client_keys=list(self._keys),
                    login_timeout=timeout,
                    server_host_key_algs=witness.algorithms(),
                    tunnel=GatheredTcp(),
                    **_OPTIONS,
                )
        except asyncssh.HostKeyNotVerifiable as exc:
            if witness.shown is not None and witness.enrolled:
                raise host_key_changed(alias, witness.enrolled, witness.shown) from exc
            raise ConnectFailed(f"{where} showed a host key that cannot be read") from exc
        except asyncssh.PermissionDenied as exc:
            raise AuthRejected(
                f"{where} answers and does not accept the run's SSH key",
                help="The image may not honour PUBLIC_KEY, its sshd may have started before the "
                "key was written, or another machine answers at this address.",
            ) from exc
        except (TimeoutError, asyncssh.Error, OSError, ValueError) as exc:
            reason = f"no answer within {timeout:g} seconds" if scope.expired() else _reason(exc)
            raise ConnectFailed(f"no SSH connection to {where}: {reason}") from exc


class _Witness(asyncssh.SSHClient):
    """Judges the host key and remembers which one was shown."""

    def __init__(self, enrolled: tuple[str, ...]) -> None:
        self.enrolled = enrolled
        self.shown: str | None = None

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002 - the signature is asyncssh's
        addr: str,  # noqa: ARG002 - the signature is asyncssh's
        port: int,  # noqa: ARG002 - the signature is asyncssh's
        key: asyncssh.SSHKey,
    ) -> bool:
        self.shown = openssh_text(key)
        return not self.enrolled or self.shown in self.enrolled

    def algorithms(self) -> list[str]:
        """Return host key algorithms, the kind of the enrolled key first.

        So a server that has several keys shows the one that we know.
        """
        enrolled = {key.split()[0] for key in self.enrolled}
        if "ssh-rsa" in enrolled:
            enrolled |= {"rsa-sha2-512", "rsa-sha2-256"}
        return sorted(_HOST_KEY_ALGORITHMS, key=lambda kind: kind not in enrolled)


# None and empty lists switch off what asyncssh would look up in the home folder.
_OPTIONS: dict[str, Any] = {
    "config": None,
    "agent_path": None,
    "client_certs": [],
    "known_hosts": ([], [], []),  # trusts nothing, so that each key is put to the witness
    "x509_trusted_certs": None,
    "x509_trusted_cert_paths": [],
    "gss_host": None,
    "preferred_auth": "publickey",
    "disable_trivial_auth": True,  # a server that lets anybody in is not the pod
    "encryption_algs": "^aes128-gcm@openssh.com",
    "compression_algs": None,
    "keepalive_interval": 15,
    "keepalive_count_max": 3,
    "window": _WINDOW,
    "max_pktsize": _PACKET,
    "encoding": None,
}


def _reason(exc: BaseException) -> str:
    """Return the system's words; asyncio puts its own in their place."""
    if isinstance(exc, OSError) and not isinstance(exc, socket.gaierror) and exc.errno:
        return os.strerror(exc.errno)
    if isinstance(exc, OSError) and exc.strerror:
        return printable(exc.strerror, 200)
    return printable(str(exc) or type(exc).__name__, 200)
