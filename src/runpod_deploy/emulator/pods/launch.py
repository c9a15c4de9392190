"""Starting the process above a pod's PID 1, and learning when it has ended."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from runpod_deploy.emulator.pods import inside
from runpod_deploy.emulator.pods.inside import wire

_KILL_AFTER_SECONDS = 1.0


class Launched:
    """The process above PID 1; its end is the end of every process of the pod.

    Attributes:
        ended: Resolves to the exit status (negative for a signal).
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._process.wait()
        if not self.ended.done():
            self.ended.set_result(status)

    async def leave(self) -> None:
        """Wait for the end, which closing the control socket brings; insist after a second."""
        try:
            await asyncio.wait_for(asyncio.shield(self.ended), _KILL_AFTER_SECONDS)
        except TimeoutError:
            with suppress(PermissionError):  # sudo itself runs as root
                self._process.kill()
            await asyncio.shield(self.ended)


def launch(kind: str, env: Mapping[str, str]) -> tuple[Launched, socket.socket]:
    """Start the boot program with the pod's environment; gives it and the control socket.

    Args:
        kind: "root", "userns" or "sudo".
        env: What `/proc/1/environ` will show.

    Raises:
        OSError: The process cannot be started.
        ValueError: A name or value that no process environment can hold.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with far:
        try:
            wire.prepare(near)
            process = subprocess.Popen(
                _command(kind),
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ if kind == "sudo" else dict(env),
                start_new_session=True,
                cwd="/",
            )
            if kind == "sudo":
                wire.send(near, {"env": dict(env)})
        except BaseException:
            near.close()
            raise
    near.setblocking(False)
    return Launched(process), near


def _command(kind: str) -> list[str]:
    program = str(Path(inside.__file__).resolve().with_name("boot.py"))
    python = [sys.executable, "-I", "-S", "-X", "utf8", program]
    prefix = ["sudo", "-n", "--"] if kind == "sudo" else []
    return [*prefix, *python, kind, str(os.getuid()), str(os.getgid())]
