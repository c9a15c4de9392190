"""The host keys of a run's pods, in a file of the run folder that OpenSSH can read too.

A pod's address is reused by others, so a key is filed under the pod's id and not under its address:
`ssh -o UserKnownHostsFile=FILE -o HostKeyAlias=runpod-<pod id>` accepts what was enrolled here.
"""

import contextlib
import fcntl
import os
import re
from pathlib import Path

import asyncssh

from runpod_deploy.errors import ConnectFailed, HostKeyChanged
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record.atomic import sync_folder

_ALIAS = re.compile(r"[A-Za-z0-9._-]{1,128}")


def host_alias(pod_id: str) -> str:
    """Return the name under which a pod's host key is filed.

    Raises:
        ConnectFailed: The id holds what has a meaning of its own in a known_hosts file.
    """
    if not _ALIAS.fullmatch(pod_id):
        msg = f"the pod id {printable(pod_id, 100)!r} is not one that a host key can be filed under"
        raise ConnectFailed(msg)
    return f"runpod-{pod_id}"


def fingerprint(key: str) -> str:
    """Return the SHA256 fingerprint of a key given as `ssh-ed25519 AAAA…`, as OpenSSH prints it."""
    try:
        return asyncssh.import_public_key(key).get_fingerprint("sha256")
    except asyncssh.KeyImportError:
        return "an unreadable key"


class KnownHosts:
    """The file; safe against a second process of the same run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keys(self, alias: str) -> tuple[str, ...]:
        """Return the keys enrolled for `alias`, each `ssh-ed25519 AAAA…`."""
        try:
            content = self._path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ()
        return _keys(content, alias)

    def enrol(self, alias: str, key: str) -> None:
        """File `key` under `alias` and return when it is on disk; a key filed already must match.

        Raises:
            HostKeyChanged: Another key is filed for `alias`.
            OSError: The file cannot be written.
        """
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            enrolled = _keys(content.decode("utf-8", "replace"), alias)
            if key in enrolled:
                return
            if enrolled:
                raise host_key_changed(alias, enrolled, key)
            # A crash in the middle of a line must not swallow the next one.
            gap = b"" if not content or content.endswith(b"\n") else b"\n"
            file.write(gap + f"{alias} {key}\n".encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)

    def forget(self, alias: str) -> None:
        """Strike out what is filed under `alias`.

        Raises:
            OSError: The file cannot be written.
        """
        with contextlib.suppress(FileNotFoundError), self._path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = file.read().splitlines(keepends=True)
            kept = [line for line in lines if line.split()[:1] != [alias.encode()]]
            if kept == lines:
                return
            # In place, under the lock: a second process that waits for it holds the same file.
            file.seek(0)
            file.write(b"".join(kept))
            file.truncate()
            file.flush()
            os.fsync(file.fileno())


def host_key_changed(alias: str, enrolled: tuple[str, ...], shown: str) -> HostKeyChanged:
    """Return the error that names both fingerprints."""
    wanted = " or ".join(fingerprint(key) for key in enrolled)
    pod_id = alias.removeprefix("runpod-")
    return HostKeyChanged(
        f"pod {pod_id} showed host key {fingerprint(shown)}, but {wanted} was enrolled for it",
        help="Another machine may answer at this address by now, or the pod was restarted with a "
        f"fresh disk. If you restarted it yourself, remove the line of {alias} from the run's "
        "known_hosts file and connect again.",
    )


def _keys(content: str, alias: str) -> tuple[str, ...]:
    fields = (line.split() for line in content.splitlines())
    return tuple(f"{row[1]} {row[2]}" for row in fields if len(row) >= 3 and row[0] == alias)
