"""Where a run stands: the fold of its events, one truth for everyone who asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from runpod_deploy.record.events import Event


class RunState(StrEnum):
    """The states of a run; only `SUCCEEDED` is a success."""

    NEW = "NEW"
    WORKING = "WORKING"
    DETACHED = "DETACHED"  # working, with nobody watching
    UNDOING = "UNDOING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    KEPT = "KEPT"  # results not verified here, so the pod that holds them was kept
    UNKNOWN = "UNKNOWN"
    LEAKED = "LEAKED"

    @property
    def final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in {RunState.NEW, RunState.WORKING, RunState.DETACHED, RunState.UNDOING}


@dataclass(frozen=True, kw_only=True, slots=True)
class PodRecord:
    """A pod this run made or tried to make.

    Attributes:
        name: Unique per create attempt; the identity when `pod_id` is unknown.
        status: `intended`, `alive`, `stopped`, `gone`, `refused`, `leaked`.
        created_at: `ts_utc` of the create's intent: billing may have begun then.
        ended_at: `ts_utc` when the API confirmed stop or deletion.
    """

    name: str
    gpu_id: str
    datacenter_id: str | None
    cloud_type: str
    status: str = "intended"
    pod_id: str | None = None
    cost_per_hour_usd: float | None = None
    created_at: str = ""
    ended_at: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """A step that was begun; `state` is `started`, `completed` or `failed`."""

    name: str
    state: str
    duration_sec: float | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactRecord:
    """What came back under one label; `status` is `pulling`, `success` or `failed`."""

    label: str
    status: str
    duration_sec: float | None = None
    files: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEnd:
    """How the job on the pod ended; `outcome` is `succeeded`, `failed` or `unknown`."""

    outcome: str
    exit_code: int | None
    cause: str | None
    log_bytes: int
    success_marker_seen: bool | None
    failure_markers_seen: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The state of a run after its events so far.

    Attributes:
        started: Fields of `run_started`.
        pods: Pod name to record, in the order of the attempts.
        log_offset: Bytes of the remote log known to lie in `run.log`.
        open_intents: op_id to the intended event whose outcome is not known.
    """

    state: RunState = RunState.NEW
    cause: str | None = None
    started: Mapping[str, Any] = field(default_factory=dict)
    started_at: str | None = None
    ended_at: str | None = None
    pods: Mapping[str, PodRecord] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    artifacts: Mapping[str, ArtifactRecord] = field(default_factory=dict)
    job_end: JobEnd | None = None
    log_offset: int = 0
    host_key_fingerprint: str | None = None
    secrets_delivered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    open_intents: Mapping[str, Event] = field(default_factory=dict)

    @property
    def pod(self) -> PodRecord | None:
        """The pod the job ran or runs on: the last one that was really had."""
        had = [pod for pod in self.pods.values() if pod.pod_id is not None]
        return had[-1] if had else None

    @property
    def leaked(self) -> tuple[PodRecord, ...]:
        """Pods that could not be confirmed gone."""
        return tuple(pod for pod in self.pods.values() if pod.status == "leaked")


def fold(events: Iterable[Event], start: Run | None = None) -> Run:
    """Return the state after `events`; events that are not known change nothing."""
    run = start or Run()
    for event in events:
        run = step(run, event)
    return run


def step(run: Run, event: Event) -> Run:
    """Return the state after one more event."""
    run = _track_intents(run, event)
    handler = _HANDLERS.get(event.event)
    return handler(run, event) if handler else run


def _track_intents(run: Run, event: Event) -> Run:
    if event.event.endswith("_intended"):
        return replace(run, open_intents={**run.open_intents, event["op_id"]: event})
    if event.event.endswith("_settled"):
        rest = {k: v for k, v in run.open_intents.items() if k != event["op_id"]}
        return replace(run, open_intents=rest)
    return run


def _started(run: Run, event: Event) -> Run:
    return replace(
        run, started=event.fields, started_at=event.ts_utc, state=RunState.WORKING, cause=None
    )


def _state(run: Run, event: Event) -> Run:
    state = RunState(event["state"])
    ended = event.ts_utc if state.final else None
    return replace(run, state=state, cause=event["cause"], ended_at=ended)


def _step(state: str) -> Callable[[Run, Event], Run]:
    def handle(run: Run, event: Event) -> Run:
        record = StepRecord(
            name=event["step"],
            state=state,
            duration_sec=event.fields.get("duration_sec"),
            error=event.fields.get("error"),
        )
        rest = tuple(known for known in run.steps if known.name != record.name)
        return replace(run, steps=(*rest, record))

    return handle


def _create_intended(run: Run, event: Event) -> Run:
    pod = PodRecord(
        name=event["name"],
        gpu_id=event["gpu_id"],
        datacenter_id=event["datacenter_id"],
        cloud_type=event["cloud_type"],
        created_at=event.ts_utc,
    )
    return replace(run, pods={**run.pods, pod.name: pod})


def _create_settled(run: Run, event: Event) -> Run:
    op = event["op_id"]
    alive = event["outcome"] in {"created", "adopted"}
    pods = dict(run.pods)
    # The op_id of a create is the pod's name: unique per attempt, so the pair needs no other key.
    if op in pods:
        pods[op] = replace(
            pods[op],
            status="alive" if alive else "refused",
            pod_id=event["pod_id"],
            cost_per_hour_usd=event["cost_per_hour_usd"],
        )
    return replace(run, pods=pods)


def _pod_ended(status: Mapping[str, str]) -> Callable[[Run, Event], Run]:
    def handle(run: Run, event: Event) -> Run:
        now = status.get(event["outcome"])
        if now is None:
            return run
        ended = None if now == "leaked" else event.ts_utc
        pods = {
            name: replace(pod, status=now, ended_at=ended) if pod.pod_id == event["pod_id"] else pod
            for name, pod in run.pods.items()
        }
        return replace(run, pods=pods)

    return handle


def _pod_selected(run: Run, event: Event) -> Run:
    last = run.pod
    if last is None:
        return run
    known = replace(last, gpu_id=event["gpu_id"], datacenter_id=event["datacenter_id"])
    return replace(run, pods={**run.pods, last.name: known})


def _artifact(status: str) -> Callable[[Run, Event], Run]:
    def handle(run: Run, event: Event) -> Run:
        label = event["label"]
        record = ArtifactRecord(
            label=label,
            status=status,
            duration_sec=event.fields.get("duration_sec"),
            files=event.fields.get("files"),
            bytes=event.fields.get("bytes"),
            sha256=event.fields.get("sha256"),
            error=event.fields.get("error"),
        )
        return replace(run, artifacts={**run.artifacts, label: record})

    return handle


def _job_ended(run: Run, event: Event) -> Run:
    end = JobEnd(
        outcome=event["outcome"],
        exit_code=event["exit_code"],
        cause=event["cause"],
        log_bytes=event["log_bytes"],
        success_marker_seen=event["success_marker_seen"],
        failure_markers_seen=tuple(event["failure_markers_seen"]),
    )
    return replace(run, job_end=end)


def _log_offset(run: Run, event: Event) -> Run:
    return replace(run, log_offset=max(run.log_offset, int(event["log_offset"])))


_HANDLERS: Mapping[str, Callable[[Run, Event], Run]] = {
    "run_started": _started,
    "state_changed": _state,
    "step_started": _step("started"),
    "step_completed": _step("completed"),
    "step_failed": _step("failed"),
    "pod_create_intended": _create_intended,
    "pod_create_settled": _create_settled,
    "pod_delete_settled": _pod_ended({"gone": "gone", "leaked": "leaked"}),
    "pod_action_settled": _pod_ended({"stopped": "stopped"}),
    "gpu_selected": _pod_selected,
    "artifact_pull_started": _artifact("pulling"),
    "artifact_pull_completed": _artifact("success"),
    "artifact_pull_failed": _artifact("failed"),
    "job_ended": _job_ended,
    "log_progress": _log_offset,
    "remote_step_started": _log_offset,
    "remote_step_completed": _log_offset,
    "host_key_enrolled": lambda run, event: replace(run, host_key_fingerprint=event["fingerprint"]),
    "secret_delivered": lambda run, event: replace(
        run, secrets_delivered=(*run.secrets_delivered, event["name"])
    ),
    "warning": lambda run, event: replace(run, warnings=(*run.warnings, event["message"])),
}
