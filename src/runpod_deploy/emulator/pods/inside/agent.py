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
        master, terminal = -1, None
        try:
            if message["terminal"] is not None:
                master, terminal = spawn.open_terminal(message["terminal"])
                message["env"]["SSH_TTY"] = terminal
            pid = spawn.start(message, descriptors, terminal)
        except OSError as error:  # no more processes, no more terminals
            if master != -1:
                os.close(master)
            wire.send(self._control, {"op": "refused", "id": message["id"], "why": str(error)})
            return
        self._requests[pid] = message["id"]
        started = {"op": "started", "id": message["id"], "pid": pid}
        wire.send(self._control, started, [] if terminal is None else [master])
        if terminal is not None:
            os.close(master)

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
