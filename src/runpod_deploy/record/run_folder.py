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
    runs = _runs(project_root)
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


def claim_plan(project_root: Path, plan_id: str, note: str) -> Path | None:
    """Use up a saved plan: create `.claims/<plan_id>` exclusively, on disk before this returns.

    Returns:
        None when the plan is ours now, else the claim file of the run that used it.

    Raises:
        InvalidInput: `plan_id` is not an id and might name another file.
        OSError: The project's `artifacts/` cannot be written.
    """
    if not _PLAN_ID.fullmatch(plan_id):
        raise InvalidInput(
            f"The plan's `plan_id` is {plan_id!r}, which is not an id.",
            help="The plan file was changed after it was made; make it again with `plan --out`.",
        )
    claims = _runs(project_root) / ".claims"
    claims.mkdir(exist_ok=True)
    claim = claims / plan_id
    try:
        fd = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return claim
    try:
        write_all(fd, note.encode("utf-8", "backslashreplace"))
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(claims)
    return None


def _runs(project_root: Path) -> Path:
    runs = project_root.resolve() / RUNS
    try:
        runs.mkdir(parents=True)
    except FileExistsError:
        return runs
    # Results of earlier runs would otherwise make every later run's work tree look dirty to git.
    (runs / ".gitignore").write_text("*\n", "ascii")
    return runs
