"""Starting one command inside the pod."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import struct
import termios

TYPE_CHECKING = False  # `typing` itself costs more to import than PID 1 has time for
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def open_terminal(size: Sequence[int]) -> tuple[int, int]:
    """Open a terminal of (columns, rows, width, height in pixels); gives master and slave."""
    master, slave = os.openpty()
    columns, rows, width, height = size
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))
    return master, slave


def start(request: dict[str, Any], descriptors: Sequence[int]) -> int:
    """Fork and execute on three descriptors; gives the pid, also of the session and the group.

    With a terminal in the request, the descriptors are the slave of it.
    """
    pid = os.fork()
    if pid == 0:
        _become(request, descriptors)
    return pid


def _become(request: dict[str, Any], descriptors: Sequence[int]) -> NoReturn:
    try:
        os.setsid()
        if request["terminal"] is not None:
            fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
        _put_in_place(descriptors)
        _forget_signals()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        os.umask(0o022)
        os.chdir(request["cwd"])
        file = _find(request["file"], request["env"])
        os.execve(file, request["argv"], request["env"])  # noqa: S606 - no shell is meant
    except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's loop
        reason = getattr(error, "strerror", None) or repr(error)
        os.write(2, f"{request['file']}: {reason}\n".encode(errors="replace"))
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)
    raise AssertionError


def _find(file: str, env: dict[str, str]) -> str:
    """Look a program up; `os.execvpe` would import modules that may be out of sight by now."""
    if "/" not in file:
        for folder in env.get("PATH", "").split(":"):
            if os.access(f"{folder}/{file}", os.X_OK):
                return f"{folder}/{file}"
    return file


def _forget_signals() -> None:
    """Undo what Python and whoever started the emulator (`nohup`, a shell's `&`) ignore."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _put_in_place(descriptors: Sequence[int]) -> None:
    """Make the three descriptors 0, 1 and 2, out of each other's way."""
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in descriptors]
    for target, fd in enumerate(moved):
        os.dup2(fd, target, inheritable=True)
