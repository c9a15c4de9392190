"""Files that are either whole or not there: written beside, synced, renamed."""

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data` in one step; survives a crash at any moment.

    Raises:
        OSError: The folder cannot be written or the disk is full; `path` is then as it was.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def dump_json(value: Any) -> bytes:
    """Return `value` as indented UTF-8 JSON with a final newline."""
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
