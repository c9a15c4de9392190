"""Loads everything of ours once, then forks a process for each order; see `warm.py`."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

# Loaded by functions, in commands that most tests run.
LATER = (
    "asyncssh",
    "encodings.idna",
    "httpx",
    "jinja2",
    "jsonschema",
    "jsonschema._format",
    "zstandard",
)
NEVER = ("runpod_deploy.pulumi", "runpod_deploy.templates", "runpod_deploy.__main__")


def load() -> None:
    """Import what a command may need; what is not there is not needed."""
    import runpod_deploy  # noqa: PLC0415 - the work of this function

    found = [one.name for one in pkgutil.walk_packages(runpod_deploy.__path__, "runpod_deploy.")]
    ours = [name for name in found if not name.startswith(NEVER) and not name.endswith("__main__")]
    for name in (*ours, *LATER):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # What stands now is not looked at (and so not copied) by the collectors of the processes.
    gc.collect()
    gc.freeze()


class Served:
    """Forks for each order that comes over the listener.

    A connection brings one order: its length in four bytes with three descriptors (standard input,
    output and error), then JSON. Back go the process id and, once it has ended, the exit status, a
    line each.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._waiting: dict[int, socket.socket] = {}
        self._followed: dict[socket.socket, int] = {}
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken)

    def order(self) -> dict[str, Any]:
        """Serve until standard input ends; returns, in each forked process, its order."""
        while True:
            ready, _, _ = select.select([0, self._listener, self._wake, *self._followed], [], [])
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._tell_ends()
            for connection in self._followed.keys() & set(ready):
                # Whoever stood for it in front was killed.
                os.killpg(self._followed.pop(connection), signal.SIGKILL)
            if self._listener in ready and (order := self._accept()) is not None:
                return order
            if 0 in ready:
                os._exit(0)

    def _accept(self) -> dict[str, Any] | None:
        connection, _ = self._listener.accept()
        head, descriptors, _, _ = socket.recv_fds(connection, 4, 3, socket.MSG_WAITALL)
        if len(descriptors) != 3:
            connection.close()
            return None
        order: dict[str, Any] = json.loads(_exactly(connection, int.from_bytes(head, "big")))
        pid = os.fork()
        if pid == 0:
            self._forget(connection)
            _become(order, descriptors)
            return order
        for fd in descriptors:
            os.close(fd)
        self._waiting[pid] = connection
        if order["followed"]:
            self._followed[connection] = pid
        _say(connection, pid)
        return None

    def _forget(self, connection: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._wake)
        os.close(self._woken)
        for one in (connection, self._listener, *self._waiting.values()):
            one.close()

    def _tell_ends(self) -> None:
        while self._waiting:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            connection = self._waiting.pop(pid)
            self._followed.pop(connection, None)
            _say(connection, os.waitstatus_to_exitcode(status))
            connection.close()


def _say(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody waits any more
        connection.sendall(b"%d\n" % number)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += connection.recv(size - len(data))
    return data


def _become(order: dict[str, Any], descriptors: list[int]) -> None:
    os.setsid()
    for target, fd in enumerate(descriptors):
        os.dup2(fd, target, inheritable=True)
        os.close(fd)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    os.umask(order["umask"])
    time.tzset()
    kind = {"encoding": sys.stdout.encoding, "newline": "\n"}
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(open(0, "rb"), encoding=kind["encoding"])  # noqa: SIM115 - as the interpreter leaves them open
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(open(1, "wb"), errors="strict", **kind)  # noqa: SIM115 - likewise
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(
        open(2, "wb"),  # noqa: SIM115 - likewise
        errors="backslashreplace",
        line_buffering=True,
        **kind,
    )


def be(order: dict[str, Any]) -> int:
    """Be the ordered program; returns the exit status that the interpreter would end with."""
    sys.argv = [order["program"], *order["args"]]
    try:
        if "/" in order["program"]:
            runpy.run_path(order["program"], run_name="__main__")
        else:
            runpy.run_module(order["program"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:  # noqa: BLE001 - what the interpreter does
        traceback.print_exc()
        return 1
    return 0


def end(status: int) -> None:
    """End as the interpreter does, but without taking apart what was loaded (0.1 s)."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        status = 120
    os._exit(status & 0xFF)


def main() -> None:
    """Serve at the path that is given, and in a forked process be the program that was ordered."""
    load()
    listener = socket.socket(socket.AF_UNIX)
    # All at once under its name: whoever sees it can connect.
    place = Path(sys.argv[1])
    listener.bind(f"{place}.part")
    listener.listen(64)
    Path(f"{place}.part").rename(place)
    end(be(Served(listener).order()))


if __name__ == "__main__":
    main()
