"""Files that are either whole or not there: written beside, synced, renamed."""

import errno
import json
import os
import secrets
from pathlib import Path
from typing import Any

# Network and FUSE file systems may have no notion of syncing a folder; nothing is left to do there.
_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data` in one step; survives a crash at any moment.

    A symbolic link at `path` is replaced, not followed. A crash may leave `.<name>.<hex>.partial`.

    Args:
        mode: Permissions of the new file, less the umask; those of an old file are not kept.

    Raises:
        OSError: The folder cannot be written or the disk is full; `path` is then as it was, unless
            only the last step failed, syncing the folder: then `path` is new but may not survive a
            power cut.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data` to a file descriptor, however the system cuts it.

    Raises:
        OSError: A write failed; some of `data` may have been written.
    """
    rest = memoryview(data)
    while rest:
        written = os.write(fd, rest)
        if written == 0:
            raise OSError(errno.EIO, "the system took no bytes")
        rest = rest[written:]


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk, where its file system can.

    Raises:
        OSError: The folder cannot be opened, or the disk failed.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(fd)


def dump_json(value: Any) -> bytes:
    """Return `value` as indented UTF-8 JSON with a final newline.

    A lone surrogate, as in the name of a file that is not UTF-8, comes out as its JSON escape.

    Raises:
        ValueError: NaN or an infinity is in `value`: JSON has no number for them.
    """
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return (text + "\n").encode("utf-8", "backslashreplace")
