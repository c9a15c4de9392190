"""PID 1's loop: runs what it is asked to, reaps what ends, and goes when its owner goes."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from runpod_deploy.emulator.pods.inside import spawn, wire

TYPE_CHECKING = False  # `typing` itself costs more to import than PID 1 has time for
if TYPE_CHECKING:
    import socket
    from typing import Any, NoReturn


class Agent:
    """Serves one control socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._requests: dict[int, int] = {}  # pid -> id of the request
        self._wake, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> NoReturn:
        """Answer until the other side closes; leaving ends the PID namespace."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            for fd, _events in poll.poll():
                if fd == self._wake:
                    os.read(self._wake, 4096)
                    self._reap()
                else:
                    self._take()

    def _take(self) -> None:
        received = wire.receive(self._control)
        if received is None:
            os._exit(0)
        message, descriptors = received
        if message["op"] == "run":
            self._run(message, descriptors)
        elif message["op"] == "signal":
            self._signal(message)
        for fd in descriptors:
            os.close(fd)

    def _run(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Start a command; adds the descriptors of its terminal to those that it has."""
        to_send = []
        try:
            if message["terminal"] is not None:
                # The slave stays open until the command has it: without one, reading the
                # master fails, and that is how the other side learns of the end.
                descriptors += spawn.open_terminal(message["terminal"])
                master, slave = descriptors
                message["env"]["SSH_TTY"] = os.ttyname(slave)
                pid, to_send = spawn.start(message, [slave] * 3), [master]
            else:
                pid = spawn.start(message, descriptors)
        except OSError as error:  # no more processes, no more terminals
            wire.send(self._control, {"op": "refused", "id": message["id"], "why": str(error)})
            return
        self._requests[pid] = message["id"]
        wire.send(self._control, {"op": "started", "id": message["id"], "pid": pid}, to_send)

    def _signal(self, message: dict[str, Any]) -> None:
        """Signal the process group of a command that is still running."""
        for pid, request in self._requests.items():
            if request == message["id"]:
                with suppress(ProcessLookupError):  # it is between fork and setsid, or gone
                    os.killpg(pid, message["signal"])

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            request = self._requests.pop(pid, None)
            if request is not None:
                ended = os.waitstatus_to_exitcode(status)
                wire.send(self._control, {"op": "ended", "id": request, "status": ended})
