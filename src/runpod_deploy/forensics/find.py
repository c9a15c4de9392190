"""Which run folder a person means: a path, a run id, the name of the folder, or `last`."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.forensics.load import (
    Manifest,
    is_run_folder,
    iter_events,
    load_manifest,
    walk_run_dirs,
)
from runpod_deploy.forensics.sweeps import refuse_sweep, sweep_at
from runpod_deploy.record import tolerant
from runpod_deploy.record.manifest import MANIFEST_NAME
from runpod_deploy.record.reading import read_whole
from runpod_deploy.record.run_folder import RUNS

LAST = "last"
_SHOWN = 8


def find_run(wanted: str, root: Path) -> Path:
    """Return the run folder that `wanted` names.

    Args:
        wanted: A run folder or a file in one, a run id, the folder's name, or `last` for the newest.
        root: Where to look for a name: a project root, a folder of runs, or any folder below one.

    Raises:
        InvalidInput: There is no such run, the name fits several, or it is a sweep's.
    """
    sweep = sweep_at(wanted, runs_above(root))
    if sweep is not None:
        raise refuse_sweep(wanted, sweep)
    by_path = _as_path(wanted)
    if by_path is not None:
        return by_path
    place = runs_above(root)
    folders = walk_run_dirs(place)
    if wanted == LAST and folders:
        return folders[-1]
    found = [folder for folder in folders if wanted in (folder.name, run_id_of(folder))]
    if not found:
        # The beginning of a name is enough where it fits one run only.
        found = [one for one in folders if wanted != LAST and one.name.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    raise _not_one(wanted, place, found, folders)


def newest_run_of(job_file: Path) -> Path:
    """Return the newest run of a job file, in the project that the file lies in.

    Raises:
        InvalidInput: It was never run there.
    """
    wanted = job_file.resolve()
    place = runs_above(wanted.parent)
    for folder in reversed(walk_run_dirs(place)):
        named = _job_file(folder)
        if named is not None and (place / named).resolve() == wanted:
            return folder
    raise InvalidInput(f"there is no run of {job_file} in {place}")


def _job_file(folder: Path) -> str | None:
    """Return the job file of a run, relative to its project."""
    manifest = load_manifest(folder)
    known = None if manifest is None else tolerant.text(manifest, "config_path")
    if known is not None:
        return known
    try:
        data = json.loads(read_whole(folder / "plan.json"))
        return tolerant.text(data["plan"]["job"], "file")
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None


def runs_above(folder: Path) -> Path:
    """Return the nearest folder at or above `folder` that has runs, else `folder` itself."""
    here = folder.resolve()
    for place in (here, *here.parents):
        if (place / RUNS).is_dir():
            return place
    return folder


def run_id_of(folder: Path, manifest: Manifest | None = None) -> str | None:
    """Return the id of the run in `folder`, from its manifest or its first events."""
    manifest = manifest or load_manifest(folder)
    known = tolerant.text(manifest, "run_id") if manifest is not None else None
    if known is not None:
        return known
    try:
        for event in islice(iter_events(folder), 20):
            if event.event == "run_started":
                return tolerant.text(event.fields, "run_id")
    except OSError:  # one journal that cannot be read must not hide all other runs
        return None
    return None


def _as_path(wanted: str) -> Path | None:
    path = Path(wanted)
    if path.name == MANIFEST_NAME and path.is_file():
        return path.parent
    return path if path.is_dir() and is_run_folder(path) else None


def _not_one(wanted: str, place: Path, found: list[Path], folders: list[Path]) -> InvalidInput:
    if found:
        names = "\n  ".join(str(folder) for folder in found[-_SHOWN:])
        return InvalidInput(f"`{wanted}` fits {len(found)} runs", help=f"Name one:\n  {names}")
    if not folders:
        return InvalidInput(
            f"there is no run at or above {place}",
            help=f"Name a run folder, or look elsewhere with --root DIR. Runs lie in {RUNS}/ below "
            "the project's root.",
        )
    newest = "\n  ".join(folder.name for folder in reversed(folders[-_SHOWN:]))
    return InvalidInput(
        f"there is no run `{wanted}` in {place}", help=f"The newest there are:\n  {newest}"
    )
