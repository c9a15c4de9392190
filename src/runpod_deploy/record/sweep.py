"""What is known of a sweep: its journal folded, and the manifest that is left of it.

A sweep has a folder of its own, `artifacts/runpod/.sweeps/<stamp>/`; each of its runs has an ordinary
run folder beside those of other runs. The name begins with a dot, so that the newest run folder is
never that of a sweep.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runpod_deploy.record.events import Event
from runpod_deploy.record.run_folder import RUNS, RunFolder, runs_folder
from runpod_deploy.record.states import RunState

SWEEPS = RUNS / ".sweeps"
SWEEP_NAME = "sweep.json"
SWEEP_MANIFEST_NAME = "sweep_manifest.json"
SWEEP_MANIFEST_FORMAT = "runpod-deploy.sweep-manifest/1"

WAITING, WORKING, SKIPPED = "WAITING", "WORKING", "SKIPPED"
OVER = frozenset(("SUCCEEDED", "FAILED", "CANCELLED", "KEPT", "UNKNOWN", "LEAKED", SKIPPED))


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardTry:
    """One time a run of the sweep was begun.

    Attributes:
        run_dir: Its run folder, relative to the project root; None before it had one.
        state: A state of runs; `WORKING` while it works, or when nobody told how it ended.
        cause: Why it did not succeed, as a word.
        error: The same as a sentence.
        cost_usd: Estimated by the clock and the pod's rate.
    """

    run_dir: str | None = None
    state: str = WORKING
    cause: str | None = None
    error: str | None = None
    cost_usd: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardRecord:
    """One run of the sweep.

    Attributes:
        state: `WAITING`, `WORKING`, `SKIPPED`, or the state that its last try ended in.
        reason: Why it waits again, was skipped or did not succeed.
        tries: From the first to the last.
    """

    name: str
    state: str = WAITING
    reason: str | None = None
    tries: tuple[ShardTry, ...] = ()

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.state in OVER

    @property
    def unfinished(self) -> str | None:
        """The run folder of a run that was begun and that nobody saw the end of."""
        began = self.tries and self.state in {WORKING, RunState.DETACHED}
        return self.tries[-1].run_dir if began else None

    @property
    def cost_usd(self) -> float:
        """What all tries have cost."""
        return sum(one.cost_usd for one in self.tries)

    @property
    def run_dir(self) -> str | None:
        """The run folder of the last try that had one."""
        return next((one.run_dir for one in reversed(self.tries) if one.run_dir), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRun:
    """A sweep as its events told it.

    Attributes:
        shards: By name, in the order of the plan.
        state: `NEW`, `WORKING`, or how it ended.
    """

    shards: Mapping[str, ShardRecord] = field(default_factory=dict)
    state: str = "NEW"
    cause: str | None = None
    started_at: str | None = None
    ended_at: str | None = None

    @property
    def cost_usd(self) -> float:
        """What all runs have cost together."""
        return sum(one.cost_usd for one in self.shards.values())

    def count(self, *states: str) -> int:
        """Return how many runs are in one of `states`."""
        return sum(one.state in states for one in self.shards.values())


def fold_sweep(events: Iterable[Event], names: Iterable[str]) -> SweepRun:
    """Return what the events tell about a sweep of runs called `names`."""
    sweep = SweepRun(shards={name: ShardRecord(name=name) for name in names})
    for event in events:
        sweep = step_sweep(sweep, event)
    return sweep


def step_sweep(sweep: SweepRun, event: Event) -> SweepRun:
    """Return `sweep` after one more event; one that is not of sweeps changes nothing."""
    fields = event.fields
    match event.event:
        case "sweep_started":
            first = sweep.started_at or event.ts_utc
            return replace(sweep, state=WORKING, cause=None, started_at=first, ended_at=None)
        case "sweep_ended":
            ended = event.ts_utc
            return replace(sweep, state=fields["state"], cause=fields["cause"], ended_at=ended)
    shard = sweep.shards.get(str(fields.get("shard")))
    if shard is None:
        return sweep
    changed = _step_shard(shard, event)
    return replace(sweep, shards={**sweep.shards, shard.name: changed})


def _step_shard(shard: ShardRecord, event: Event) -> ShardRecord:
    fields = event.fields
    match event.event:
        case "shard_started":
            return replace(shard, state=WORKING, reason=None, tries=(*shard.tries, ShardTry()))
        case "shard_opened":
            # Said again of a run that is taken up again.
            opened = _last(shard, run_dir=fields["run_dir"], state=WORKING)
            return replace(opened, state=WORKING, reason=None)
        case "shard_ended":
            ended = _last(
                shard,
                state=fields["state"],
                cause=fields["cause"],
                error=fields["error"],
                cost_usd=float(fields["cost_usd"]),
            )
            state = WAITING if fields["again"] else fields["state"]
            return replace(ended, state=state, reason=fields["cause"])
        case "shard_skipped":
            return replace(shard, state=SKIPPED, reason=fields["cause"])
        case "shard_queued":
            return replace(shard, state=WAITING, reason=fields["cause"])
    return shard


def _last(shard: ShardRecord, **changes: Any) -> ShardRecord:
    *earlier, last = shard.tries or (ShardTry(),)
    return replace(shard, tries=(*earlier, replace(last, **changes)))


def claim_sweep_folder(project_root: Path, now: float) -> RunFolder:
    """Create the folder of a new sweep, exclusively.

    Args:
        now: Seconds since the epoch.

    Raises:
        OSError: The project's `artifacts/` cannot be written.
    """
    sweeps = runs_folder(project_root) / ".sweeps"
    sweeps.mkdir(exist_ok=True)
    base = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 10_000):
        stamp = base if number == 1 else f"{base}-{number}"
        try:
            (sweeps / stamp).mkdir()
        except FileExistsError:
            continue
        return RunFolder(path=sweeps / stamp, stamp=stamp)
    raise FileExistsError(f"{sweeps / base}: ten thousand sweeps in one second")


def project_root_of_sweep(folder: Path) -> Path:
    """Return the project that a sweep's folder belongs to."""
    return folder.resolve().parents[len(SWEEPS.parts)]


def sweep_manifest(
    sweep: SweepRun,
    *,
    plan_hash: str,
    plan_id: str,
    job_name: str,
    values: Mapping[str, Mapping[str, str]],
    written_at: str,
    tool_version: str,
) -> dict[str, Any]:
    """Return the manifest of a sweep as JSON-like data: every run, with its folder and its end."""
    return {
        "format": SWEEP_MANIFEST_FORMAT,
        "job_name": job_name,
        "plan_hash": plan_hash,
        "plan_id": plan_id,
        "tool_version": tool_version,
        "written_at": written_at,
        "started_at": sweep.started_at,
        "ended_at": sweep.ended_at,
        "state": sweep.state,
        "cause": sweep.cause,
        "failed": sweep.state != "SUCCEEDED",
        "cost_usd": round(sweep.cost_usd, 6),
        "shards": [_shard(one, values.get(name, {})) for name, one in sweep.shards.items()],
    }


def _shard(shard: ShardRecord, values: Mapping[str, str]) -> dict[str, Any]:
    return {
        "shard": shard.name,
        "values": dict(values),
        "state": shard.state,
        "reason": shard.reason,
        "run_dir": shard.run_dir,
        "cost_usd": round(shard.cost_usd, 6),
        "tries": [
            {
                "run_dir": one.run_dir,
                "state": one.state,
                "cause": one.cause,
                "error": one.error,
                "cost_usd": round(one.cost_usd, 6),
            }
            for one in shard.tries
        ],
    }
