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
from runpod_deploy.emulator.pods.pumps import FdReader

_KILL_AFTER_SECONDS = 1.0
_COMPLAINT_CHARACTERS = 4096


class Launched:
    """The process above PID 1; its end is the end of every process of the pod.

    Attributes:
        ended: Resolves to the exit status (negative for a signal).
        complaint: What it wrote, at most 4 KiB; nothing when all went well.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self._process = process
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.complaint = ""
        # Only this process and PID 1 hold the other end, so its end is theirs.
        self._reader = FdReader(output, self._on_output, self._on_exit)

    def _on_output(self, data: bytes) -> None:
        text = self.complaint + data.decode("utf-8", errors="replace")
        self.complaint = text[:_COMPLAINT_CHARACTERS]

    def _on_exit(self) -> None:
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
    output, their_output = os.pipe()
    with far:
        try:
            wire.prepare(near)
            process = subprocess.Popen(
                _command(kind),
                stdin=far.fileno(),
                stdout=their_output,
                stderr=their_output,
                env=os.environ if kind == "sudo" else dict(env),
                start_new_session=True,
                cwd="/",
            )
            if kind == "sudo":
                wire.send(near, {"env": dict(env)})
        except BaseException:
            near.close()
            os.close(output)
            raise
        finally:
            os.close(their_output)
    near.setblocking(False)
    return Launched(process, output), near


def _command(kind: str) -> list[str]:
    program = str(Path(inside.__file__).resolve().with_name("boot.py"))
    python = [sys.executable, "-I", "-S", "-X", "utf8", program]
    prefix = ["sudo", "-n", "--"] if kind == "sudo" else []
    return [*prefix, *python, kind, str(os.getuid()), str(os.getgid())]
