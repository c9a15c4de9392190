"""A real OpenSSH server on loopback, with a host key and an authorized key of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
MaxSessions 10
LogLevel ERROR
"""


@dataclass
class OpenSshServer:
    """A running server; `restart` keeps the port and may change the host key."""

    folder: Path
    port: int
    user: str
    process: subprocess.Popen[bytes] | None = None

    def new_host_key(self) -> None:
        """Give the server another host key from its next start on."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        path = self.folder / "host_key"
        path.unlink(missing_ok=True)
        path.write_bytes(key.export_private_key())
        path.chmod(0o600)

    def start(self) -> None:
        """Start and wait until it answers."""
        assert SSHD is not None
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stderr=log
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self.folder / "sshd.log").read_text())

    def stop(self) -> None:
        """End the server; connections that it has accepted live on."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@contextmanager
def login_by_ssh(folder: Path) -> Iterator[tuple[str, ...]]:
    """Run a server and give the words in front of a command that OpenSSH's own client runs there."""
    client = shutil.which("ssh")
    assert client is not None
    key = asyncssh.generate_private_key("ssh-ed25519")
    identity = folder / "identity"
    identity.touch(mode=0o600)
    identity.write_bytes(key.export_private_key())
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
        "ConnectTimeout": "20",
    }
    with openssh_server(folder, key.export_public_key().decode().strip()) as server:
        words = [client, "-F", "none", "-T", "-i", str(identity), "-p", str(server.port)]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        yield (*words, f"{server.user}@127.0.0.1")


@contextmanager
def openssh_server(folder: Path, authorized: str) -> Iterator[OpenSshServer]:
    """Run a server below `folder` that accepts the public key line `authorized`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = OpenSshServer(folder=folder, port=port, user=getpass.getuser())
    (folder / "authorized_keys").write_text(authorized + "\n")
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    server.new_host_key()
    if os.geteuid() == 0:
        # What a package's unit file would have made; sshd started as root insists on it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server.start()
    try:
        yield server
    finally:
        server.stop()
