"""Reads a run's log from its end, however large it is."""

from __future__ import annotations

from pathlib import Path

from runpod_deploy.record.failure import LOG_NAME
from runpod_deploy.record.reading import open_regular

_BLOCK = 64 * 1024
PLAN_NAME = "plan.json"


def log_of(folder: Path) -> Path:
    """Return where a run's log lies, whether it is there or not.

    The predecessor gave it the name that it had on the pod.
    """
    usual = folder / LOG_NAME
    if usual.exists() or (folder / PLAN_NAME).exists():
        return usual
    try:
        others = [path for path in folder.glob("*.log") if path.is_file()]
    except OSError:
        return usual
    return others[0] if len(others) == 1 else usual


def offset_of_last(file: Path, lines: int) -> int:
    """Return the byte at which the last `lines` lines of a file begin; 0 when it has fewer.

    A line that is not ended yet counts as one.

    Raises:
        OSError: The file cannot be read.
    """
    if lines <= 0:
        return file.stat().st_size
    with open_regular(file) as stream:
        end = stream.seek(0, 2)
        if end == 0:
            return 0
        stream.seek(end - 1)
        # The line break at the very end begins no line.
        wanted = lines + (stream.read(1) == b"\n")
        position = end
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            stream.seek(position)
            block = stream.read(size)
            breaks = block.count(b"\n")
            if breaks < wanted:
                wanted -= breaks
                continue
            at = len(block)
            for _ in range(wanted):
                at = block.rindex(b"\n", 0, at)
            return position + at + 1
    return 0
