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


def open_terminal(size: Sequence[int]) -> tuple[int, str]:
    """Open a terminal of (columns, rows, width, height in pixels); gives master and path."""
    master, slave = os.openpty()
    terminal = os.ttyname(slave)
    os.close(slave)
    columns, rows, width, height = size
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))
    return master, terminal


def start(request: dict[str, Any], descriptors: Sequence[int], terminal: str | None) -> int:
    """Fork and execute; gives the pid, which is also the new session and process group."""
    pid = os.fork()
    if pid == 0:
        _become(request, descriptors, terminal)
    return pid


def _become(request: dict[str, Any], descriptors: Sequence[int], terminal: str | None) -> NoReturn:
    try:
        os.setsid()
        if terminal is not None:
            slave = os.open(terminal, os.O_RDWR)  # a session leader's first terminal is its own
            descriptors = (slave, slave, slave)
        _put_in_place(descriptors)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; programs must not
            signal.signal(number, signal.SIG_DFL)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        os.umask(0o022)
        os.chdir(request["cwd"])
        os.execvpe(request["file"], request["argv"], request["env"])  # noqa: S606 - no shell is meant
    except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's loop
        reason = getattr(error, "strerror", None) or repr(error)
        os.write(2, f"{request['file']}: {reason}\n".encode(errors="replace"))
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)
    raise AssertionError


def _put_in_place(descriptors: Sequence[int]) -> None:
    """Make the three descriptors 0, 1 and 2, out of each other's way."""
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in descriptors]
    for target, fd in enumerate(moved):
        os.dup2(fd, target, inheritable=True)
