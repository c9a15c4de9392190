"""Opens files of a run folder, whoever made them: a pipe must not hang a reader, nor a device fill memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 256 * 1024 * 1024


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading bytes.

    Raises:
        OSError: It cannot be read, or it is something else: a folder, a pipe, a device, a socket.
    """
    # Opening a pipe waits for its writer otherwise.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(fd, "rb")


def read_whole(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return what is in a regular file.

    Raises:
        OSError: As for `open_regular`, or the file is larger than `most` bytes.
    """
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size <= most:
            return stream.read(most)
    raise OSError(errno.EFBIG, "File too large", str(path))
