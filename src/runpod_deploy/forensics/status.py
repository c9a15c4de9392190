"""Where a run stands, as its folder tells it: journal, plan, lock and log; nobody else is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runpod_deploy.compiler.plan import Plan, PlanFile
from runpod_deploy.compiler.planfile import loads
from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.forensics.find import run_id_of
from runpod_deploy.forensics.load import Manifest, load_events, load_manifest
from runpod_deploy.forensics.log import log_of
from runpod_deploy.forensics.summary import summarise
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import utc_stamp
from runpod_deploy.record.manifest import wall_time
from runpod_deploy.record.reading import read_whole
from runpod_deploy.record.records import PodRecord, Run
from runpod_deploy.record.run import fold
from runpod_deploy.record.run_ends import Ends, ends_of
from runpod_deploy.record.run_lock import Holder, living_holder
from runpod_deploy.record.spending import NO_DISKS, accrued_usd, disks_of

PLAN_NAME = "plan.json"
OVER = frozenset({"gone", "refused"})


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStatus:
    """A run, seen from its folder.

    Attributes:
        state: `RunState` as text; of a run without a journal, what its manifest says.
        plan: None where the folder holds no plan that can be read.
        step: The step that is being done, or was when the run stopped being told of.
        step_since: When that step began, seconds since the epoch.
        job: `not begun`, `running` as far as is known, or `ended`.
        executor: Who carries the run on; None when nobody does.
        cost_usd: Compute so far; None when the price of a pod is not known.
        wall_time_sec: Since the run began, or until its end.
        log_bytes: Size of the log as it lies here; None when there is none.
        last_event_at: Seconds since the epoch.
    """

    folder: Path
    run_id: str | None
    job_name: str | None
    state: str
    run: Run
    plan: Plan | None
    manifest: Manifest | None
    step: str | None
    step_since: float | None
    job: str
    executor: Holder | None
    ends: Ends
    cost_usd: float | None
    wall_time_sec: float | None
    log_bytes: int | None
    last_event_at: float | None
    warnings: tuple[str, ...] = field(default=())

    @property
    def pods_left(self) -> tuple[PodRecord, ...]:
        """Pods that still cost something, or may."""
        return tuple(pod for pod in self.run.pods.values() if pod.status not in OVER)

    @property
    def goes_on(self) -> bool:
        """Whether the run has not come to an end."""
        return self.run.started_at is not None and not self.run.state.final


def read_status(folder: Path, now: float) -> RunStatus:
    """Return where the run in `folder` stands at `now`, seconds since the epoch.

    Raises:
        OSError: The journal is there and cannot be read.
    """
    events = load_events(folder)
    run = fold(events)
    manifest = load_manifest(folder)
    plan_file = plan_of(folder)
    plan = None if plan_file is None else plan_file.plan
    step, since = _step(events)
    stamp = utc_stamp(now)
    # A folder of the predecessor tells of itself in its manifest alone.
    old = None if run.started_at else summarise(folder)
    return RunStatus(
        folder=folder,
        run_id=run_id_of(folder, manifest),
        job_name=tolerant.text(run.started, "job_name")
        or tolerant.text(manifest or {}, "job_name"),
        state=old.state if old else run.state.value,
        run=run,
        plan=plan,
        manifest=manifest,
        step=None if run.state.final else step,
        step_since=None if run.state.final else since,
        job=_job(run, events),
        executor=None if run.state.final else living_holder(folder, now),
        ends=Ends() if plan is None else ends_of(plan, run, events, now),
        cost_usd=old.cost_usd if old else _cost(run, plan, stamp),
        wall_time_sec=old.wall_time_sec if old else wall_time(run, stamp),
        log_bytes=_size(log_of(folder)),
        last_event_at=tolerant.seconds(events[-1].ts_utc) if events else None,
        warnings=run.warnings,
    )


def plan_of(folder: Path) -> PlanFile | None:
    """Return the plan that a run carries out; None when there is none that can be read."""
    file = folder / PLAN_NAME
    try:
        return loads(read_whole(file), str(file))
    except (OSError, RunpodDeployError):
        return None


def names_alone(status: RunStatus) -> frozenset[str]:
    """Return ids and names of a run's pods, if its plan says that none of them is a cluster."""
    plan_file = plan_of(status.folder)
    if plan_file is None or plan_file.plan.cluster is not None:
        return frozenset()
    pods = status.run.pods.values()
    return frozenset(name for pod in pods for name in (pod.name, pod.pod_id) if name is not None)


def _step(events: list[Event]) -> tuple[str | None, float | None]:
    for event in reversed(events):
        if event.event == "step_started":
            return tolerant.text(event.fields, "step"), tolerant.seconds(event.ts_utc)
    return None, None


def _job(run: Run, events: list[Event]) -> str:
    if run.job_end is not None:
        return "ended"
    for event in reversed(events):
        if event.event == "pod_create_intended":
            break
        if event.event == "exec_start_settled" and event.fields.get("outcome") == "started":
            return "running"
    return "not begun"


def _cost(run: Run, plan: Plan | None, stamp: str) -> float | None:
    assumed = None if plan is None else plan.budget.assumed_hourly_rate_usd
    had = [pod for pod in run.pods.values() if pod.pod_id is not None]
    if assumed is None and any(pod.cost_per_hour_usd is None for pod in had):
        return None
    return accrued_usd(run, stamp, assumed, NO_DISKS if plan is None else disks_of(plan))


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
