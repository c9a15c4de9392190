"""Program of a pod's PID 1 and of the process above it.

Run by path as `python -I -S boot.py MODE UID GID` with the control socket as standard input.
MODE is `root` (no user namespace), `userns`, or `sudo` (root lends its rights to make the user
namespace, everything then runs as UID and GID; `lent` is its second half).
"""

# ruff: noqa: PTH100, PTH120, PTH123
# (pathlib costs more to import than building the whole root takes)

from __future__ import annotations

import os
import socket
import sys


def _name_packages() -> None:
    """Make our modules importable without the `__init__` modules above them (those need `site`)."""
    folder = os.path.dirname(os.path.abspath(__file__))
    name = "runpod_deploy.emulator.pods.inside"
    while name:
        package = type(sys)(name)
        package.__path__ = [folder]
        sys.modules[name] = package
        name, folder = name.rpartition(".")[0], os.path.dirname(folder)


if __name__ == "__main__":
    _name_packages()

from runpod_deploy.emulator.pods.inside import agent, kernel, rootfs, wire  # noqa: E402 - see above

TYPE_CHECKING = False  # `typing` itself costs more to import than PID 1 has time for
if TYPE_CHECKING:
    from typing import Any, NoReturn

# What a container engine leaves to root by default, without device nodes and raw sockets:
# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service,
# sys_chroot, audit_write, setfcap.
_CONTAINER = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31))
_TO_MAKE_NAMESPACES = 1 << 21  # sys_admin


def main(mode: str, uid: int, gid: int) -> NoReturn:
    """Isolate this process, fork PID 1, wait for it, and exit as it did."""
    kernel.die_with_parent()
    if mode == "sudo":
        _execute_with_pod_environment(uid, gid)
    control = _take_control_socket()
    try:
        if mode == "lent":
            kernel.become(uid, gid, _TO_MAKE_NAMESPACES)
        if mode == "root":
            kernel.unshare(kernel.NEW_PID)
        else:
            _make_user_namespace(uid, gid)
        kernel.die_with_parent()
    except Exception as error:  # noqa: BLE001 - the owner reports whatever it is
        _fail(control, error)
    pid = os.fork()
    if pid == 0:
        _first_process(control)
    control.close()
    kernel.set_name("pod")
    _, status = os.waitpid(pid, 0)
    os._exit(abs(os.waitstatus_to_exitcode(status)))


def _execute_with_pod_environment(uid: int, gid: int) -> NoReturn:
    """Start over with the pod's environment, which sudo does not let through."""
    control = socket.socket(fileno=os.dup(0))
    received = wire.receive(control)
    if received is None:
        os._exit(1)
    argv = [sys.executable, "-I", "-S", "-X", "utf8", __file__, "lent", str(uid), str(gid)]
    os.execve(sys.executable, argv, received[0]["env"])  # noqa: S606 - no shell is meant


def _take_control_socket() -> socket.socket:
    """Move the socket from standard input to a descriptor that commands do not inherit."""
    control = socket.socket(fileno=os.dup(0))
    wire.prepare(control)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    return control


def _make_user_namespace(uid: int, gid: int) -> None:
    kernel.unshare(kernel.NEW_USER | kernel.NEW_PID)
    kernel.own_proc_entries()
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
            stream.write(text)


def _first_process(control: socket.socket) -> NoReturn:
    """Be PID 1."""
    kernel.die_with_parent()
    received = wire.receive(control)
    if received is None:
        os._exit(1)
    blueprint: Any = received[0]
    try:
        kernel.unshare(kernel.NEW_NS | kernel.NEW_UTS | kernel.NEW_IPC)
        socket.sethostname(blueprint["hostname"])
        rootfs.enter(blueprint)
        kernel.limit_capabilities(_CONTAINER)
        kernel.own_proc_entries()
        kernel.die_with_parent()
        kernel.set_name("init")
    except Exception as error:  # noqa: BLE001 - the owner reports whatever it is
        _fail(control, error)
    wire.send(control, {"op": "ready"})
    try:
        agent.Agent(control).serve()
    except OSError:  # the other side went in the middle of an answer
        os._exit(0)


def _fail(control: socket.socket, error: Exception) -> NoReturn:
    why = getattr(error, "strerror", None) or repr(error)
    wire.send(control, {"op": "failed", "why": why})
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
