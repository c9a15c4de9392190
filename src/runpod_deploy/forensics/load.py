"""Finds run folders and reads what lies in them, whatever version or state they were left in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from runpod_deploy.forensics.sweeps import is_sweep_folder, read_sweep, run_folders
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME
from runpod_deploy.record.manifest import MANIFEST_NAME, Manifest, load_manifest
from runpod_deploy.record.metrics import METRICS_NAME, GpuSample, MetricSample, read_metrics
from runpod_deploy.record.run_folder import RUNS
from runpod_deploy.record.sweep import SWEEPS

__all__ = [
    "Event",
    "GpuSample",
    "Manifest",
    "MetricSample",
    "is_run_folder",
    "iter_events",
    "iter_metrics",
    "load_events",
    "load_manifest",
    "load_metrics",
    "walk_run_dirs",
]

_STAMP = re.compile(r"(\d{8}T\d{6}Z)(?:-|$)")
_DIGITS = re.compile(r"(\d+)")


def walk_run_dirs(root: Path) -> list[Path]:
    """Return the run folders at or below `root`, oldest first.

    The age is that of the folder's name (`YYYYmmddTHHMMSSZ`, UTC), so that a later write into a
    finished run changes nothing; runs of the same second come in the order of their suffixes. A
    folder of another name is a run when it holds a journal or a manifest; its age is that of its
    last change. Folders that begin with a dot are passed over, and so are links to a run beside
    them. Of the folder of a sweep it is the run folders of its runs, in the order of its plan.

    Args:
        root: A project root, a folder of run folders, one run folder, or the folder of a sweep.

    Returns:
        Paths below `root` as it was given; empty when there is no such folder or it has no runs.

    Raises:
        PermissionError: `root` may not be listed.
    """
    if is_sweep_folder(root):
        return run_folders(read_sweep(root))
    if root.name == SWEEPS.name:
        return []  # what lies there are no runs
    if _STAMP.match(root.name) and root.is_dir():
        return [root]
    if (root / RUNS).is_dir():
        root = root / RUNS
    elif _holds_a_run(root):
        return [root]
    try:
        children = sorted(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    here = root.resolve()
    found = [child for child in children if _is_run(child, here)]
    return sorted(found, key=_age)


def load_events(path: Path) -> list[Event]:
    """Return all events of a run; see `iter_events`."""
    return list(iter_events(path))


def iter_events(path: Path) -> Iterator[Event]:
    """Yield the events of a run in the order they were written, one line in memory at a time.

    Each is also a mapping over its line: `event["ts_utc"]`. Torn and foreign lines are passed over;
    events of other versions come as they are. A run without a journal has no events.

    Args:
        path: A run folder, or a journal file.

    Raises:
        OSError: The journal is there and cannot be read.
    """
    yield from read_events(path / JOURNAL_NAME if path.is_dir() else path)


def load_metrics(path: Path) -> list[MetricSample]:
    """Return all samples of a run; see `iter_metrics`."""
    return list(iter_metrics(path))


def iter_metrics(path: Path) -> Iterator[MetricSample]:
    """Yield what was sampled on the pod, oldest first, one line in memory at a time.

    Each is also a mapping over its line. Torn and foreign lines are passed over; a run without samples
    has none.

    Args:
        path: A run folder, or a metrics file.

    Raises:
        OSError: The file is there and cannot be read.
    """
    yield from read_metrics(path / METRICS_NAME if path.is_dir() else path)


def is_run_folder(folder: Path) -> bool:
    """Return whether a folder is a run: by its name, or since it holds a journal or a manifest."""
    return folder.is_dir() and (
        _STAMP.match(folder.resolve().name) is not None or _holds_a_run(folder)
    )


def _holds_a_run(folder: Path) -> bool:
    return (folder / JOURNAL_NAME).is_file() or (folder / MANIFEST_NAME).is_file()


def _is_run(child: Path, parent: Path) -> bool:
    if child.name.startswith(".") or not child.is_dir():
        return False
    if child.is_symlink() and child.resolve().parent == parent:
        return False
    return _STAMP.match(child.name) is not None or _holds_a_run(child)


def _age(folder: Path) -> tuple[str, list[tuple[int, str]]]:
    known = _STAMP.match(folder.name)
    changed = datetime.fromtimestamp(0 if known else folder.stat().st_mtime, UTC)
    stamp = known[1] if known else changed.strftime("%Y%m%dT%H%M%SZ")
    # `-10` comes after `-2`: digits compare as numbers.
    parts = _DIGITS.split(folder.name)
    return stamp, [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]
