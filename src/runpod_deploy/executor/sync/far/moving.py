"""Renames a tree that is whole to where it belongs; every conflict is found before the first rename."""

from __future__ import annotations

import errno
import os
import stat

from runpod_deploy.executor.sync.far.talk import Failed

MARKER = b".runpod-deploy-owned"
_WORDS = b"Written by runpod-deploy, which may delete in this folder.\n"
_BLOCK = 1024 * 1024
_SPARE = b".rd-moving"


def put(tree: bytes, target: bytes, names: list[bytes], *, single: bool) -> str:
    """Move `names` from `tree` to `target`; returns `created` where that was not there before.

    Raises:
        Failed: Something else stands where a file or folder goes (41).
    """
    if single:
        if os.path.isdir(target):
            raise _conflict(target, "is a folder on the pod, a file was to go there")
        _rename(os.path.join(tree, names[0]), target)
        return "merged"
    if not os.path.isdir(target):
        if os.path.lexists(target):
            raise _conflict(target, "is there on the pod and is not a folder")
        handle = os.open(os.path.join(tree, MARKER), os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(handle, _WORDS)
        os.close(handle)
        os.rename(tree, target)
        return "created"
    _into(tree, target, names)
    return "merged"


def _into(tree: bytes, target: bytes, names: list[bytes]) -> None:
    folders = _folders(names)
    for folder in folders:
        there = os.path.join(target, folder)
        if os.path.lexists(there) and not os.path.isdir(there):
            raise _conflict(there, "is there on the pod and is not a folder")
    for name in names:
        there = os.path.join(target, name)
        if os.path.isdir(there) and not os.path.islink(there):
            raise _conflict(there, "is a folder on the pod, a file was to go there")
    for folder in folders:
        there = os.path.join(target, folder)
        if not os.path.isdir(there):
            os.mkdir(there)
    for name in names:
        _rename(os.path.join(tree, name), os.path.join(target, name))


def _folders(names: list[bytes]) -> list[bytes]:
    """Return the folders of these names, parents first."""
    found: set[bytes] = set()
    for name in names:
        folder = name.rpartition(b"/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition(b"/")[0]
    return sorted(found)


def _rename(source: bytes, target: bytes) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system is mounted there: copied beside, so that it appears at once as well.
        spare = target.rpartition(b"/")[0] + b"/" + _SPARE
        if os.path.lexists(spare):
            os.unlink(spare)
        copy(source, spare)
        os.rename(spare, target)


def copy(source: bytes, target: bytes) -> None:
    """Copy a file or link with its mode and time."""
    status = os.lstat(source)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source), target)
    else:
        with open(source, "rb") as here, open(target, "wb") as there:
            while True:
                block = here.read(_BLOCK)
                if not block:
                    break
                there.write(block)
        os.chmod(target, stat.S_IMODE(status.st_mode))
    times = (status.st_mtime_ns, status.st_mtime_ns)
    os.utime(target, ns=times, follow_symlinks=False)


def remove(folder: bytes) -> None:
    """Remove a folder and all below it, as far as that goes; links are removed, not followed."""
    for here, folders, files in os.walk(folder, topdown=False):
        for name in files:
            _quietly(os.unlink, os.path.join(here, name))
        for name in folders:
            path = os.path.join(here, name)
            _quietly(os.unlink if os.path.islink(path) else os.rmdir, path)
    _quietly(os.rmdir, folder)


def _quietly(act: object, path: bytes) -> None:
    try:
        act(path)  # type: ignore[operator]
    except OSError:
        return


def _conflict(path: bytes, why: str) -> Failed:
    return Failed(41, path.decode("utf-8", "replace") + " " + why)
