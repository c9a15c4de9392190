"""Files of JSON objects, one a line, read whatever state they were left in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runpod_deploy.record.reading import open_regular

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes; what is longer was not written by any version of this tool, and is passed over."""
_PIECE = 1 << 20


def parse_object(raw: bytes) -> dict[str, Any] | None:
    """Return the object on a line; None for a torn or foreign line. Stray bytes become U+FFFD."""
    if len(raw) > LONGEST_LINE:
        return None
    try:
        line = json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, one in memory at a time; a missing file has none.

    Lines beyond `LONGEST_LINE` are passed over.

    Raises:
        OSError: The file is there and cannot be read.
    """
    try:
        stream = open_regular(path)
    except FileNotFoundError:
        return
    with stream:
        while line := stream.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while (rest := stream.readline(_PIECE)) and not rest.endswith(b"\n"):
                    pass
            else:
                yield line
