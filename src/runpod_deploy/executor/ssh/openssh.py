"""Calls OpenSSH's own client as the executor logs in: with the run's key and the run's host keys.

Nothing of the user's SSH set-up takes part: no configuration, no agent, no known hosts of the home folder.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runpod_deploy.errors import ConnectFailed
from runpod_deploy.executor.pod_access import PodAccess
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record.atomic import write_all

_HOST = re.compile(r"[A-Za-z0-9\[:.][A-Za-z0-9\]:.-]{0,252}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,31}")


def run_openssh(client: str, access: PodAccess, command: str | None, *, terminal: bool) -> int:
    """Log in to a pod with the program `client` and return its exit status; 255 is a failure of its own.

    Args:
        command: What the pod's shell runs; None opens a shell to work in.
        terminal: Whether `command` is given a terminal.

    Raises:
        ConnectFailed: The pod's address is none.
        OSError: The program cannot be started.
    """
    with ExitStack() as stack:
        keys = []
        if access.key is not None:
            key = access.key.export_private_key("openssh")
            keys.append(stack.enter_context(readable("runpod-deploy-key", key)))
        if access.own_key is not None:
            keys.append(str(access.own_key))
        hosts = access.known_hosts.read_bytes()
        known_hosts = stack.enter_context(readable("runpod-deploy-known-hosts", hosts))
        words = openssh_words(
            client, access, keys=keys, known_hosts=known_hosts, command=command, terminal=terminal
        )
        return _call(words)


def openssh_words(
    client: str,
    access: PodAccess,
    *,
    keys: Sequence[str],
    known_hosts: str,
    command: str | None,
    terminal: bool,
) -> list[str]:
    """Return the command line that logs in to a pod and nowhere else; pure.

    Args:
        keys: Files of private keys, in the order in which they are tried.
        known_hosts: File that names the pod's host key under its alias.

    Raises:
        ConnectFailed: The pod's address is none, and might be taken for an option.
    """
    where = access.endpoint
    if not _HOST.fullmatch(where.host) or not _USER.fullmatch(where.username):
        shown = printable(f"{where.username}@{where.host}", 200)
        raise ConnectFailed(f"{shown} is not an address that ssh could be given")
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": access.alias,
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ConnectTimeout": "20",
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    words = [client, "-F", "/dev/null", "-p", str(where.port), "-l", where.username]
    for key in keys:
        words += ["-i", key.replace("%", "%%")]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    if terminal:
        words.append("-t")
    return [*words, "--", where.host, *([] if command is None else [command])]


@contextmanager
def readable(name: str, content: bytes) -> Iterator[str]:
    """Give a path that a child process of the same user can read; in memory where that can be done."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        fd = os.memfd_create(name)
        try:
            os.fchmod(fd, 0o600)
            write_all(fd, content)
            yield f"/proc/{os.getpid()}/fd/{fd}"
        finally:
            os.close(fd)
        return
    with tempfile.TemporaryDirectory(prefix="runpod-deploy-") as folder:
        path = Path(folder) / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        yield str(path)


def _call(words: Sequence[str]) -> int:
    """Run a program in the foreground; Ctrl-C is the program's business."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.call(words)
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - status if status < 0 else status
