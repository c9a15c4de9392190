"""The run folder `{project_root}/artifacts/runpod/<stamp>[-<n>]/`, claimed by one run alone."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.record.atomic import sync_folder, write_all

RUNS = Path("artifacts/runpod")
_NOT_FOR_NAMES = re.compile(r"[^A-Za-z0-9._=-]+")
_PLAN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFolder:
    """A folder that is ours.

    Attributes:
        path: Absolute.
        stamp: Its name: `YYYYmmddTHHMMSSZ[-<shard>]`, with `-<n>` after a collision.
    """

    path: Path
    stamp: str


def claim_run_folder(project_root: Path, now: float, *, shard: str | None = None) -> RunFolder:
    """Create the folder of a new run, exclusively; a collision within the second gets a suffix.

    Args:
        now: Seconds since the epoch.
        shard: Name of the shard of a sweep; characters that do not suit a file name become `-`.

    Raises:
        OSError: The project's `artifacts/` cannot be written.
    """
    runs = runs_folder(project_root)
    base = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    if shard:
        base = f"{base}-{_NOT_FOR_NAMES.sub('-', shard)[:100]}"
    for number in range(1, 10_000):
        stamp = base if number == 1 else f"{base}-{number}"
        path = runs / stamp
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return RunFolder(path=path, stamp=stamp)
    raise FileExistsError(f"{runs / base}: ten thousand runs in one second")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanUse:
    """One time a saved plan was applied.

    Attributes:
        at: UTC, as in events.
        run: The run folder relative to the project root; None when the run ended before it had one.
    """

    at: str
    run: str | None


def claim_plan(project_root: Path, plan_id: str, at: str) -> tuple[PlanUse, ...]:
    """Use up a saved plan: create `.claims/<plan_id>` exclusively, on disk before this returns.

    Args:
        at: The present, UTC, as in events.

    Returns:
        Nothing when the plan is ours now, else every use of it so far, at least one.

    Raises:
        InvalidInput: `plan_id` is not an id and might name another file.
        OSError: The project's `artifacts/` cannot be written.
    """
    claim = _claim_file(project_root, plan_id)
    claim.parent.mkdir(exist_ok=True)
    try:
        fd = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return _uses(claim)
    _append(fd, f"{at}\n")
    sync_folder(claim.parent)
    return ()


def plan_uses(project_root: Path, plan_id: str) -> tuple[PlanUse, ...]:
    """Return every use of a saved plan so far, oldest first, without using it.

    Raises:
        InvalidInput: `plan_id` is not an id and might name another file.
        OSError: The claim cannot be read.
    """
    claim = _claim_path(project_root, plan_id)
    return _uses(claim) if claim.exists() else ()


def give_plan_back(project_root: Path, plan_id: str, run: Path) -> None:
    """Take the claim of a plan back whose only run asked for nothing; one used again stays used.

    Args:
        run: The run's folder.

    Raises:
        OSError: The claim cannot be removed.
    """
    claim = _claim_path(project_root, plan_id)
    folder = run.relative_to(project_root.resolve()).as_posix()
    if claim.exists() and [use.run for use in _uses(claim)] == [folder]:
        claim.unlink()
        sync_folder(claim.parent)


def note_plan_use(project_root: Path, plan_id: str, at: str, run: Path) -> None:
    """Write into a claim which run folder the plan went to.

    Raises:
        OSError: The claim cannot be written.
    """
    folder = run.relative_to(project_root.resolve()).as_posix()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    _append(os.open(_claim_file(project_root, plan_id), flags, 0o644), f"{at} {folder}\n")


def _claim_file(project_root: Path, plan_id: str) -> Path:
    path = _claim_path(project_root, plan_id)
    runs_folder(project_root)
    return path


def _claim_path(project_root: Path, plan_id: str) -> Path:
    if not _PLAN_ID.fullmatch(plan_id):
        raise InvalidInput(
            f"The plan's `plan_id` is {plan_id!r}, which is not an id.",
            help="The plan file was changed after it was made; make it again with `plan --out`.",
        )
    return project_root.resolve() / RUNS / ".claims" / plan_id


def _append(fd: int, line: str) -> None:
    try:
        write_all(fd, line.encode("utf-8", "backslashreplace"))
        os.fsync(fd)
    finally:
        os.close(fd)


def _uses(claim: Path) -> tuple[PlanUse, ...]:
    """Read a claim: the first line is when it was made, each further one a run that began."""
    lines = claim.read_text("utf-8", "replace").splitlines()
    runs = [line.partition(" ") for line in lines[1:]]
    used = tuple(PlanUse(at=at, run=run or None) for at, _, run in runs)
    return used or (PlanUse(at=lines[0] if lines else "a moment ago", run=None),)


def runs_folder(project_root: Path) -> Path:
    """Return the folder that run folders lie in, made when there was none.

    Raises:
        OSError: It cannot be made.
    """
    runs = project_root.resolve() / RUNS
    try:
        runs.mkdir(parents=True)
    except FileExistsError:
        return runs
    # Results of earlier runs would otherwise make every later run's work tree look dirty to git.
    (runs / ".gitignore").write_text("*\n", "ascii")
    return runs
