"""What somebody else asks of the executor of a run: a file in its folder, so that no crash loses it."""

from __future__ import annotations

import json
from pathlib import Path

from runpod_deploy.record import tolerant
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.reading import read_whole

REQUEST_NAME = ".request.json"
ASKS = ("cancel", "hurry", "detach")


def ask(folder: Path, what: str, *, by: str, at: str) -> None:
    """Ask the executor of a run, now or when there is one again; a newer request replaces an older one.

    Args:
        what: `cancel`, `hurry` (no more results, release now) or `detach`.
        by: Who asks, for people.
        at: UTC time.

    Raises:
        OSError: The folder cannot be written.
    """
    if what not in ASKS:
        raise ValueError(what)
    write_atomic(folder / REQUEST_NAME, dump_json({"ask": what, "by": by, "at": at}))


def asked(folder: Path) -> str | None:
    """Return what is asked, None when nothing is."""
    try:
        data = json.loads(read_whole(folder / REQUEST_NAME))
    except (OSError, ValueError, RecursionError):
        return None
    what = tolerant.text(data, "ask") if isinstance(data, dict) else None
    return what if what in ASKS else None


def answered(folder: Path) -> None:
    """Forget what was asked: it is done."""
    try:
        (folder / REQUEST_NAME).unlink(missing_ok=True)
    except OSError:
        return
