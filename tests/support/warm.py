"""Programs of ours started without an interpreter's start-up: forked where everything is loaded.

A command spends most of its processor time on imports. `start` gives the same process as
`python -m MODULE ARGS` would be (its own session, environment, folder, streams and exit status),
only that it is forked from `warm_server.py`, of which each test process keeps one. `front` writes a
script for shells that is a process of its own and stands for the forked one.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

SERVER = Path(__file__).with_name("warm_server.py")
FRONT = Path(__file__).with_name("warm_front.py")

# What an interpreter reads only while it starts; and time zones, which C's library remembers.
AT_START = ("LC_", "LANG", "TZ")
HARMLESS = "PYTHONDONTWRITEBYTECODE"


def can_start(env: Mapping[str, str]) -> bool:
    """Tell whether a process with this environment would be the same when it is forked."""
    if sys.platform != "linux" or any(n.startswith("PYTHON") and n != HARMLESS for n in env):
        return False
    read = {name for name in {*env, *os.environ} if name.startswith(AT_START)}
    return all(env.get(name) == os.environ.get(name) for name in read)


class Process:
    """A forked program, used as a `subprocess.Popen` with text output is."""

    def __init__(self, args: Sequence[str], output: int, connection: socket.socket) -> None:
        self.args = args
        self.returncode: int | None = None
        self.stdout: IO[str] = os.fdopen(output, "r")
        self._connection = connection
        self._status = connection.makefile("rb", buffering=0)
        self._text = ""
        self._reader: threading.Thread | None = None
        self.pid = int(self._status.readline() or 0)
        assert self.pid, f"{args}: the process that starts programs is gone"

    def poll(self) -> int | None:
        """Return the exit status (negative for a signal) once it has ended."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Read to the end of its output and wait for its own."""
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        limit = None if timeout is None else time.monotonic() + timeout
        self._reader.join(timeout)
        if self._reader.is_alive():
            raise subprocess.TimeoutExpired(self.args, timeout or 0, self._text)
        self.wait(None if limit is None else max(0.0, limit - time.monotonic()))
        return self._text, None

    def send_signal(self, number: int) -> None:
        """Signal it; nothing once it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _read(self) -> None:
        with self.stdout:
            for line in self.stdout:
                self._text += line

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            line = self._status.readline()
            self._connection.close()
            assert line, f"{self.args}: nobody knows how it ended"
            self.returncode = int(line)
        return self.returncode


def start(
    program: str,
    *args: str,
    env: Mapping[str, str],
    cwd: Path,
    stderr: int | None = None,
) -> Process:
    """Start a module (or, with a slash in it, a file) of ours as the main program.

    Args:
        stderr: A descriptor; together with the output when None.
    """
    order = {"program": program, "args": args, "env": dict(env), "cwd": str(cwd)}
    data = json.dumps({**order, "umask": _umask(), "followed": False}).encode()
    reading, writing = os.pipe()
    with Path(os.devnull).open("rb") as nothing:
        descriptors = [nothing.fileno(), writing, writing if stderr is None else stderr]
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(_server()[0])
            socket.send_fds(connection, [len(data).to_bytes(4, "big")], descriptors)
            connection.sendall(data)
        finally:
            os.close(writing)
    return Process([program, *args], reading, connection)


def front(program: str) -> str:
    """Return the text of a script that is a program of ours for a shell (signals included)."""
    known = {name: text for name, text in os.environ.items() if name.startswith(AT_START)}
    call = [sys.executable, "-I", "-S", str(FRONT), _server()[0], json.dumps(known), program]
    return f'#!/bin/sh\nexec {shlex.join(call)} "$@"\n'


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _end(server: subprocess.Popen[bytes], path: Path) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait()
    shutil.rmtree(path.parent, ignore_errors=True)


@functools.cache
def _server() -> tuple[str, subprocess.Popen[bytes]]:
    """Start this process's server, which ends with it; returns where it listens, and itself."""
    path = Path(tempfile.mkdtemp(prefix="rd-warm-"), "socket")
    env = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    # It ends when its standard input does: the other end closes with this process.
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=env,
    )
    atexit.register(_end, server, path)
    while not path.exists():
        assert server.poll() is None, "the process that starts programs did not start"
        time.sleep(0.01)
    return str(path), server
