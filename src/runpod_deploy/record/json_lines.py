"""Files of JSON objects, one a line, read whatever state they were left in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def parse_object(raw: bytes) -> dict[str, Any] | None:
    """Return the object on a line; None for a torn or foreign line. Stray bytes become U+FFFD."""
    try:
        line = json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, one in memory at a time; a missing file has none.

    Raises:
        OSError: The file is there and cannot be read.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        yield from stream
