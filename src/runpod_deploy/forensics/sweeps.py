"""Folders of sweeps: which they are, what became of their runs, and which run folders are theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runpod_deploy.errors import InvalidInput
from runpod_deploy.record import tolerant
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME
from runpod_deploy.record.reading import read_whole
from runpod_deploy.record.run_folder import RUNS
from runpod_deploy.record.sweep import (
    SWEEP_MANIFEST_NAME,
    SWEEP_NAME,
    SWEEPS,
    SweepRun,
    fold_sweep,
    project_root_of_sweep,
)

_SHOWN = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRecord:
    """A sweep as its folder tells it.

    Attributes:
        job_name: None where nothing tells it.
        cloud: `runpod` or `emulator`; None for a sweep that never began.
        project_root: The project that its run folders lie in.
    """

    folder: Path
    run: SweepRun
    job_name: str | None
    cloud: str | None
    project_root: Path


def is_sweep_folder(path: Path) -> bool:
    """Return whether a folder is that of a sweep, which holds no run but names those that it began."""
    if not path.is_dir():
        return False
    return (path / SWEEP_NAME).is_file() or (path / SWEEP_MANIFEST_NAME).is_file()


def sweep_at(wanted: str, root: Path) -> Path | None:
    """Return the folder of the sweep that is meant: its folder, a file in it, or the folder's name.

    Args:
        root: The project, for a name.
    """
    path = Path(wanted)
    if path.name in {SWEEP_NAME, SWEEP_MANIFEST_NAME} and is_sweep_folder(path.parent):
        return path.parent if path.parent.resolve().parent.name == SWEEPS.name else None
    if is_sweep_folder(path):
        return path
    if not wanted or path.name != wanted or (root / RUNS / wanted).is_dir():
        return None
    named = root / SWEEPS / wanted
    return named if is_sweep_folder(named) else None


def read_sweep(folder: Path) -> SweepRecord:
    """Return what is known of a sweep; never raises for what lies in its files.

    Raises:
        OSError: Its journal is there and cannot be read.
    """
    events = list(read_events(folder / JOURNAL_NAME))
    planned = list(_planned(folder))
    told = [str(one.fields["shard"]) for one in events if isinstance(one.fields.get("shard"), str)]
    run = fold_sweep(_whole(events), dict.fromkeys([*(name for name, _ in planned), *told]))
    started = next((one.fields for one in events if one.event == "sweep_started"), {})
    return SweepRecord(
        folder=folder,
        run=run,
        job_name=tolerant.text(started, "job_name") or next((job for _, job in planned), None),
        cloud=tolerant.text(started, "cloud"),
        project_root=project_root_of_sweep(folder),
    )


def run_folders(sweep: SweepRecord) -> list[Path]:
    """Return the run folders that a sweep's runs have, in the order of its plan, that are still there."""
    named = (one.run_dir for shard in sweep.run.shards.values() for one in shard.tries)
    found = [_inside(sweep.project_root, run_dir) for run_dir in named if run_dir]
    return [folder for folder in dict.fromkeys(found) if folder is not None and folder.is_dir()]


def shard_folder(sweep: SweepRecord, name: str) -> Path | None:
    """Return the run folder of one run's last try; None where it has none."""
    run_dir = sweep.run.shards[name].run_dir
    folder = None if run_dir is None else _inside(sweep.project_root, run_dir)
    return folder if folder is not None and folder.is_dir() else None


def refuse_sweep(wanted: str, folder: Path) -> InvalidInput:
    """Return the error for a sweep where one run is meant, with the runs that can be named instead."""
    sweep = read_sweep(folder)
    folders = run_folders(sweep)
    names = [f"  {_shown(one)}" for one in folders[:_SHOWN]]
    if len(folders) > _SHOWN:
        names.append(f"  … and {len(folders) - _SHOWN} more")
    runs = "Name one of its runs:\n" + "\n".join(names) if names else "None of its runs has begun."
    return InvalidInput(
        f"{wanted} is the folder of a sweep, and one run is needed here",
        help=f"{runs}\nOf the sweep as a whole:\n  runpod-deploy status {_shown(folder)}\n"
        f"  runpod-deploy manifest-summary --root {_shown(folder)}",
    )


def _shown(folder: Path) -> str:
    here, whole = Path.cwd(), folder.resolve()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else folder)


def _inside(root: Path, run_dir: str) -> Path | None:
    """Return a run folder below the project; None for a name that leads out of its runs."""
    folder = root / run_dir
    return folder if folder.parent == root / RUNS and folder.name not in {"", "..", "."} else None


def _whole(events: list[Event]) -> Iterator[Event]:
    """Yield the events that say all that the fold of a sweep asks for."""
    for event in events:
        fields = event.fields
        needed = _NEEDED.get(event.event, ())
        if all(isinstance(fields.get(key), kind) for key, kind in needed):
            yield event


_NEEDED: dict[str, tuple[tuple[str, type | tuple[type, ...]], ...]] = {
    "sweep_ended": (("state", str), ("cause", (str, type(None)))),
    "shard_opened": (("run_dir", str),),
    "shard_ended": (
        ("state", str),
        ("cause", (str, type(None))),
        ("error", (str, type(None))),
        ("cost_usd", (int, float)),
        ("again", bool),
    ),
    "shard_skipped": (("cause", str),),
    "shard_queued": (("cause", str),),
}


def _planned(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Yield name and job of each run that was planned, without holding the file against its hash."""
    try:
        data: Any = json.loads(read_whole(folder / SWEEP_NAME))
        shards = [one["plan"] for one in data["shards"]]
        yield from [(str(one["matrix"]["name"]), str(one["job"]["name"])) for one in shards]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return
