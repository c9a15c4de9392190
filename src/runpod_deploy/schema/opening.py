"""Opens what was judged: a path without links stays one, whatever is put into its way meanwhile."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe put in the file's place must not hold us for ever.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotAFile(OSError):
    """Something is there, and it is no file."""


def open_judged(place: Path) -> int:
    """Open the file at `place` and return its descriptor, which is the caller's to close.

    Every part of the path is opened by itself and may be no link, so what is read is what was
    judged by its path. Pipes, devices and folders are not opened.

    Args:
        place: Absolute, links resolved.

    Raises:
        NotAFile: It is something else than a file.
        OSError: It cannot be opened; a link that came into the way is among the reasons.
    """
    folder = open_folder(place.parent)
    try:
        _refuse_others(os.stat(place.name, dir_fd=folder, follow_symlinks=False), place)
        descriptor = os.open(place.name, FILE, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _refuse_others(os.fstat(descriptor), place)
    except NotAFile:
        os.close(descriptor)
        raise
    return descriptor


def open_folder(place: Path) -> int:
    """Return a descriptor of the folder at `place`, which serves as `dir_fd`; the caller's to close.

    Args:
        place: Absolute, links resolved.

    Raises:
        OSError: It cannot be opened, or a part of its path is a link by now.
    """
    return below(os.open(place.anchor, FOLDER), place.parts[1:])


def below(folder: int, parts: Iterable[str]) -> int:
    """Return a descriptor of the folder that `parts` name below `folder`, which is closed.

    Raises:
        OSError: As `open_folder`.
    """
    try:
        for part in parts:
            inner = os.open(part, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
    except OSError:
        os.close(folder)
        raise
    return folder


def read_judged(place: Path, most: int) -> bytes:
    """Return the content of the file at `place`, at most `most` bytes of it; see `open_judged`."""
    with os.fdopen(open_judged(place), "rb") as file:
        return file.read(most)


def _refuse_others(status: os.stat_result, place: Path) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(place))
    if stat.S_ISDIR(status.st_mode):
        raise NotAFile(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile(errno.EINVAL, "Not a file", str(place))
