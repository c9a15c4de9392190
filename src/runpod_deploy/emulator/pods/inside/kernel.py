"""System calls that Python 3.11 has no function for."""

from __future__ import annotations

import ctypes
import os

NEW_NS = 0x00020000
NEW_UTS = 0x04000000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PID = 0x20000000

READ_ONLY = 0x1  # the same bit as a mount flag and as a mount attribute
NO_SUID = 0x2
NO_DEV = 0x4
NO_EXEC = 0x8

_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 0x4

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_CAPBSET_DROP = 24
_CAPABILITY_VERSION = 0x20080522
_LAST_CAPABILITY = 63

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # one number on every architecture
_BY_MACHINE = {"x86_64": (155, 126), "aarch64": (41, 91)}  # pivot_root, capset

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _checked(result: int, what: str) -> int:
    """Turn a C result of -1 into an OSError that says which call failed."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _numbers() -> tuple[int, int]:
    machine = os.uname().machine
    if machine not in _BY_MACHINE:
        raise OSError(38, f"no system call numbers known for {machine}")
    return _BY_MACHINE[machine]


def _syscall(what: str, number: int, *arguments: object) -> int:
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), what)


def unshare(flags: int) -> None:
    """Give the calling process namespaces of its own."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(kind: str, target: str, flags: int = 0, options: str = "") -> None:
    """Mount a new file system of the given kind."""
    _checked(
        _libc.mount(
            kind.encode(),
            os.fsencode(target),
            kind.encode(),
            ctypes.c_ulong(flags),
            os.fsencode(options),
        ),
        f"mount {kind} on {target}",
    )


def keep_mounts_private() -> None:
    """Stop mounts from travelling between this namespace and the host's."""
    flags = ctypes.c_ulong(_MS_REC | _MS_PRIVATE)
    _checked(_libc.mount(None, b"/", None, flags, None), "make mounts private")


def bind_on_itself(path: str) -> None:
    """Turn a folder into a mount point, which `pivot_here` asks for."""
    raw = os.fsencode(path)
    _checked(_libc.mount(raw, raw, None, ctypes.c_ulong(_MS_BIND), None), f"bind {path}")


def pivot_here() -> None:
    """Make the current folder the root and let go of the old one."""
    _syscall("pivot_root", _numbers()[0], b".", b".")
    _checked(_libc.umount2(b".", ctypes.c_int(_MNT_DETACH)), "detach the old root")
    os.chdir("/")


def grab(path: str, attributes: int = 0) -> int:
    """Take a detached copy of a mounted tree, with attributes set on all of it.

    Returns:
        A descriptor for `place`; it stays valid when the old root is gone.
    """
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    tree = _syscall(
        f"open_tree {path}",
        _OPEN_TREE,
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(path),
        ctypes.c_uint(flags),
    )
    if attributes:
        wanted = _MountAttributes(attr_set=attributes)
        _syscall(
            f"mount_setattr {path}",
            _MOUNT_SETATTR,
            ctypes.c_int(tree),
            b"",
            ctypes.c_uint(_AT_EMPTY_PATH | _AT_RECURSIVE),
            ctypes.byref(wanted),
            ctypes.c_size_t(ctypes.sizeof(wanted)),
        )
    return tree


def place(tree: int, target: str) -> None:
    """Mount what `grab` took at the target, and close its descriptor."""
    _syscall(
        f"move_mount to {target}",
        _MOVE_MOUNT,
        ctypes.c_int(tree),
        b"",
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )
    os.close(tree)


def _prctl(what: str, option: int, value: object) -> None:
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(ctypes.c_int(option), value, zero, zero, zero), what)


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent dies. Any change of credentials forgets it."""
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, ctypes.c_ulong(9))


def own_proc_entries() -> None:
    """Own `/proc/self` again, which a change of credentials hands to root."""
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, ctypes.c_ulong(1))


def set_name(name: str) -> None:
    """Set the name that `ps` and `/proc/self/comm` show."""
    _prctl("PR_SET_NAME", _PR_SET_NAME, ctypes.c_char_p(name.encode()))


def set_capabilities(mask: int) -> None:
    """Make the mask the permitted and the effective capabilities of this process."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = _CapabilityHeader(_CAPABILITY_VERSION, 0)
    data = (_CapabilityData * 2)(_CapabilityData(low, low, 0), _CapabilityData(high, high, 0))
    _syscall("capset", _numbers()[1], ctypes.byref(header), ctypes.byref(data))


def become(uid: int, gid: int, capabilities: int) -> None:
    """Change user and group for good, keeping only the named capabilities."""
    _prctl("PR_SET_KEEPCAPS", _PR_SET_KEEPCAPS, ctypes.c_ulong(1))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    set_capabilities(capabilities)
    own_proc_entries()


def limit_capabilities(mask: int) -> None:
    """Give up every capability outside the mask, here and in whatever is executed from here."""
    for number in range(_LAST_CAPABILITY + 1):
        if not mask >> number & 1:
            try:
                _prctl("PR_CAPBSET_DROP", _PR_CAPBSET_DROP, ctypes.c_ulong(number))
            except OSError:  # past the last capability this kernel knows
                break
    set_capabilities(mask)
