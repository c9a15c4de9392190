"""The run folder `{project_root}/artifacts/runpod/<stamp>[-<n>]/`, claimed by one run alone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RUNS = Path("artifacts/runpod")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFolder:
    """A folder that is ours.

    Attributes:
        path: Absolute.
        stamp: Its name: `YYYYmmddTHHMMSSZ`, with `-<n>` after a collision.
    """

    path: Path
    stamp: str


def claim_run_folder(project_root: Path, now: float, *, shard: str | None = None) -> RunFolder:
    """Create the folder of a new run, exclusively; a collision within the second gets a suffix.

    Args:
        now: Seconds since the epoch.
        shard: Name of the shard of a sweep.

    Raises:
        OSError: The project's `artifacts/` cannot be written.
    """
    runs = project_root.resolve() / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    base = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    if shard:
        base = f"{base}-{shard}"
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
    """Use up a saved plan: create `.claims/<plan_id>` exclusively.

    Returns:
        None when the plan is ours now, else the claim file of the run that used it.
    """
    claims = project_root.resolve() / RUNS / ".claims"
    claims.mkdir(parents=True, exist_ok=True)
    claim = claims / plan_id
    try:
        with claim.open("x", encoding="utf-8") as stream:
            stream.write(note)
    except FileExistsError:
        return claim
    return None
