"""Where a run stands: the fold of its events, one truth for everyone who asks.

The fold never fails, whoever wrote the events: a field that is missing or of another type counts as
not known, an event that does not say what it is about (which pod, which step) changes nothing, and
a state that is not known here is `UNKNOWN`, never taken for success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.records import (
    ArtifactRecord,
    JobEnd,
    LostAttempt,
    PodRecord,
    Run,
    StepRecord,
    UploadRecord,
)
from runpod_deploy.record.states import RunState

__all__ = [
    "ArtifactRecord",
    "JobEnd",
    "LostAttempt",
    "PodRecord",
    "Run",
    "RunState",
    "StepRecord",
    "UploadRecord",
    "fold",
    "step",
]


def fold(events: Iterable[Event], start: Run | None = None) -> Run:
    """Return the state after `events`; events that are not known change nothing."""
    run = start or Run()
    for event in events:
        run = step(run, event)
    return run


def step(run: Run, event: Event) -> Run:
    """Return the state after one more event."""
    handler = _HANDLERS.get(event.event)
    return _track_intents(handler(run, event) if handler else run, event)


def _track_intents(run: Run, event: Event) -> Run:
    op = tolerant.text(event.fields, "op_id")
    if op is None:
        return run
    if event.event.endswith("_intended"):
        return replace(run, open_intents={**run.open_intents, op: event})
    if event.event.endswith("_settled") and op in run.open_intents:
        rest = {k: v for k, v in run.open_intents.items() if k != op}
        return replace(run, open_intents=rest)
    return run


def _started(run: Run, event: Event) -> Run:
    # A run that is resumed says again who carries it on; its time counts from the first start. One that
    # was being undone, or had come to its end, is that until it says otherwise.
    started = replace(run, started=event.fields, started_at=run.started_at or event.ts_utc)
    if run.state in {RunState.NEW, RunState.WORKING, RunState.DETACHED}:
        return replace(started, ended_at=None, state=RunState.WORKING, cause=None)
    return started


def _state(run: Run, event: Event) -> Run:
    name = tolerant.text(event.fields, "state")
    if name is None:
        return run
    cause = tolerant.text(event.fields, "cause")
    try:
        state = RunState(name)
    except ValueError:
        state, cause = RunState.UNKNOWN, f"state {name} is not known to this version"
    # What an executor was at when it was ended is told of by nobody; what follows is its end.
    over = state.final or state is RunState.UNDOING
    steps = tuple(_broken_off(one) for one in run.steps) if over else run.steps
    ended_at = event.ts_utc if state.final else None
    return replace(run, state=state, cause=cause, steps=steps, ended_at=ended_at)


def _broken_off(step: StepRecord) -> StepRecord:
    return replace(step, state="failed") if step.state == "started" else step


def _step(state: str) -> Callable[[Run, Event], Run]:
    def handle(run: Run, event: Event) -> Run:
        name = tolerant.text(event.fields, "step")
        if name is None:
            return run
        last = next((known for known in run.steps if known.name == name), None)
        goes_on = last is not None and last.state == "started"
        record = StepRecord(
            name=name,
            state=state,
            duration_sec=tolerant.number(event.fields, "duration_sec"),
            error=tolerant.text(event.fields, "error"),
            started_at=last.started_at if last and goes_on else event.ts_utc,
        )
        if last is None:
            return replace(run, steps=(*run.steps, record))
        steps = tuple(record if known.name == name else known for known in run.steps)
        return replace(run, steps=steps)

    return handle


def _create_intended(run: Run, event: Event) -> Run:
    # The op_id of a create is the pod's name: unique per attempt, so the pair needs no other key.
    name = tolerant.text(event.fields, "op_id") or tolerant.text(event.fields, "name")
    return run if name is None else _with_pod(run, _new_pod(name, event))


def _create_settled(run: Run, event: Event) -> Run:
    pod_id = tolerant.text(event.fields, "pod_id")
    name = tolerant.text(event.fields, "op_id") or pod_id
    status = _CREATED.get(tolerant.text(event.fields, "outcome") or "")
    if name is None or (name not in run.pods and status != "alive"):
        return run
    # A pod without its intent (a damaged journal) is a pod all the same, and it bills.
    pod = run.pods.get(name) or _new_pod(name, event)
    rate = tolerant.number(event.fields, "cost_per_hour_usd")
    if rate is not None and rate < 0:
        # Nobody is paid for running a pod: a damaged line says nothing about the price.
        rate = None
    settled = replace(
        pod,
        status=status or pod.status,
        pod_id=pod_id or pod.pod_id,
        cost_per_hour_usd=pod.cost_per_hour_usd if rate is None else rate,
    )
    return _with_pod(run, settled)


def _pod_ended(statuses: Mapping[str, str]) -> Callable[[Run, Event], Run]:
    def handle(run: Run, event: Event) -> Run:
        pod_id = tolerant.text(event.fields, "pod_id")
        status = statuses.get(tolerant.text(event.fields, "outcome") or "")
        if pod_id is None or status is None:
            return run
        mine = [pod for pod in run.pods.values() if pod.pod_id == pod_id]
        if not mine and status == "leaked":
            # A duplicate of a create call, known only by its id: it bills like any other.
            mine = [replace(_new_pod(pod_id, event), pod_id=pod_id)]
        asked = run.open_intents.get(tolerant.text(event.fields, "op_id") or "")
        for pod in mine:
            if status == "alive" and pod.status == "stopped":
                run = _with_pod(run, _begun_again(pod, asked.ts_utc if asked else event.ts_utc))
            elif pod.status != "gone":
                run = _with_pod(run, _ended(pod, status, event.ts_utc))
        return run

    return handle


def _ended(pod: PodRecord, status: str, at: str) -> PodRecord:
    if status in {"gone", "stopped"}:
        # A pod that is deleted after its stop has cost no compute in between.
        gone = at if status == "gone" else None
        return replace(pod, status=status, ended_at=pod.ended_at or at, gone_at=pod.gone_at or gone)
    return replace(pod, status=status, ended_at=None, gone_at=None)


def _begun_again(pod: PodRecord, at: str) -> PodRecord:
    """Return a stopped pod that was started at `at`: what it cost before is kept as seconds."""
    return replace(
        pod,
        status="alive",
        ran_sec=pod.ran_sec + (tolerant.elapsed(pod.created_at, pod.ended_at or at) or 0.0),
        rested_sec=pod.rested_sec + (tolerant.elapsed(pod.ended_at, at) or 0.0),
        created_at=at,
        ended_at=None,
        gone_at=None,
    )


def _found_stopped(run: Run, event: Event) -> Run:
    pod_id = tolerant.text(event.fields, "pod_id")
    since = tolerant.text(event.fields, "stopped_at")
    at = event.ts_utc if tolerant.seconds(since) is None or since is None else since
    for pod in [one for one in run.pods.values() if one.pod_id == pod_id and pod_id is not None]:
        at = max(at, pod.created_at)
        # Said again of one that is stopped, by the bill, it was earlier.
        if pod.status in {"alive", "leaked"} or (
            pod.status == "stopped" and at < (pod.ended_at or "")
        ):
            run = _with_pod(run, replace(pod, status="stopped", ended_at=at))
    return run


def _pod_claimed(run: Run, event: Event) -> Run:
    """Take in a pod that an earlier run kept: stopped, so that only its disk bills yet."""
    pod_id, name = tolerant.text(event.fields, "pod_id"), tolerant.text(event.fields, "name")
    if pod_id is None or name is None or name in run.pods:
        return run
    pod = replace(
        _new_pod(name, event),
        status="stopped",
        pod_id=pod_id,
        ended_at=event.ts_utc,
        claimed=True,
    )
    return _with_pod(run, pod)


def _pod_resumed(run: Run, event: Event) -> Run:
    pod_id = tolerant.text(event.fields, "pod_id")
    if pod_id is None:
        return run
    known = [pod for pod in run.pods.values() if pod.pod_id == pod_id]
    pod = known[-1] if known else replace(_new_pod(pod_id, event), pod_id=pod_id)
    rate = tolerant.number(event.fields, "cost_per_hour_usd")
    if pod.status == "stopped":
        # Nobody saw it start: it was found running.
        since = tolerant.text(event.fields, "since")
        at = event.ts_utc if since is None or tolerant.seconds(since) is None else since
        pod = _begun_again(pod, max(at, pod.ended_at or at))
    alive = replace(
        pod,
        status="alive",
        ended_at=None,
        gone_at=None,
        cost_per_hour_usd=pod.cost_per_hour_usd if rate is None or rate < 0 else rate,
    )
    # One of this run's own, started again, is no earlier run's.
    earlier = pod.claimed or not known
    return replace(_with_pod(run, alive), pod_resumed=run.pod_resumed or earlier)


def _pod_selected(run: Run, event: Event) -> Run:
    last = run.pod
    gpu = tolerant.text(event.fields, "gpu_id")
    if last is None or last.status != "alive" or gpu is None:
        return run
    place = tolerant.text(event.fields, "datacenter_id")
    return _with_pod(run, replace(last, gpu_id=gpu, datacenter_id=place))


def _new_pod(name: str, event: Event) -> PodRecord:
    return PodRecord(
        name=name,
        gpu_id=tolerant.text(event.fields, "gpu_id") or "",
        datacenter_id=tolerant.text(event.fields, "datacenter_id"),
        cloud_type=tolerant.text(event.fields, "cloud_type") or "",
        created_at=event.ts_utc,
    )


def _with_pod(run: Run, pod: PodRecord) -> Run:
    return replace(run, pods={**run.pods, pod.name: pod})


def _artifact(status: str) -> Callable[[Run, Event], Run]:
    def handle(run: Run, event: Event) -> Run:
        label = tolerant.text(event.fields, "label")
        if label is None:
            return run
        record = ArtifactRecord(
            label=label,
            status=status,
            duration_sec=tolerant.number(event.fields, "duration_sec"),
            files=tolerant.integer(event.fields, "files"),
            bytes=tolerant.integer(event.fields, "bytes"),
            sha256=tolerant.text(event.fields, "sha256"),
            error=tolerant.text(event.fields, "error"),
        )
        return replace(run, artifacts={**run.artifacts, label: record})

    return handle


def _upload_intended(run: Run, event: Event) -> Run:
    label = tolerant.text(event.fields, "label")
    if label is None:
        return run
    record = UploadRecord(label=label, status="sending", to=tolerant.text(event.fields, "to"))
    return replace(run, uploads={**run.uploads, label: record})


def _upload_settled(run: Run, event: Event) -> Run:
    label = tolerant.text(event.fields, "label")
    if label is None:
        return run
    begun = run.uploads.get(label)
    record = UploadRecord(
        label=label,
        status="verified" if event.fields.get("outcome") == "verified" else "failed",
        to=begun.to if begun else None,
        duration_sec=tolerant.number(event.fields, "duration_sec"),
        files=tolerant.integer(event.fields, "files"),
        bytes=tolerant.integer(event.fields, "bytes"),
        sha256=tolerant.text(event.fields, "sha256"),
        error=tolerant.text(event.fields, "error"),
    )
    return replace(run, uploads={**run.uploads, label: record})


def _job_ended(run: Run, event: Event) -> Run:
    outcome = tolerant.text(event.fields, "outcome")
    end = JobEnd(
        outcome=outcome if outcome in {"succeeded", "failed"} else "unknown",
        exit_code=tolerant.integer(event.fields, "exit_code"),
        cause=tolerant.text(event.fields, "cause"),
        log_bytes=tolerant.integer(event.fields, "log_bytes") or 0,
        success_marker_seen=tolerant.boolean(event.fields, "success_marker_seen"),
        failure_markers_seen=tolerant.texts(event.fields, "failure_markers_seen"),
    )
    return replace(run, job_end=end)


def _attempt_lost(run: Run, event: Event) -> Run:
    """Begin anew: what a lost attempt brought and told says nothing about the next."""
    lost = LostAttempt(
        number=len(run.lost) + 1,
        pod_id=tolerant.text(event.fields, "pod_id"),
        state=tolerant.text(event.fields, "state"),
        error=tolerant.text(event.fields, "error"),
        at=event.ts_utc,
    )
    return replace(
        run,
        lost=(*run.lost, lost),
        artifacts={},
        uploads={},
        job_end=None,
        log_offset=0,
        secrets_delivered=(),
        host_key_fingerprint=None,
        host_key_confirmed=False,
    )


def _log_offset(run: Run, event: Event) -> Run:
    offset = tolerant.integer(event.fields, "log_offset") or 0
    return run if offset <= run.log_offset else replace(run, log_offset=offset)


def _host_key(run: Run, event: Event) -> Run:
    return replace(run, host_key_fingerprint=tolerant.text(event.fields, "fingerprint"))


def _host_key_confirmed(run: Run, event: Event) -> Run:
    return replace(run, host_key_confirmed=tolerant.text(event.fields, "fingerprint") is not None)


def _secret(run: Run, event: Event) -> Run:
    name = tolerant.text(event.fields, "name")
    if name is None or name in run.secrets_delivered:
        return run
    return replace(run, secrets_delivered=(*run.secrets_delivered, name))


def _warning(run: Run, event: Event) -> Run:
    message = tolerant.text(event.fields, "message")
    return run if message is None else replace(run, warnings=(*run.warnings, message))


_CREATED = {
    "created": "alive",
    "adopted": "alive",
    "refused": "refused",
    "none": "refused",
    "unknown": "leaked",  # the answer was lost and the pod could not be looked for
}

_HANDLERS: Mapping[str, Callable[[Run, Event], Run]] = {
    "run_started": _started,
    "state_changed": _state,
    "step_started": _step("started"),
    "step_completed": _step("completed"),
    "step_failed": _step("failed"),
    "pod_create_intended": _create_intended,
    "pod_create_settled": _create_settled,
    "pod_delete_settled": _pod_ended({"gone": "gone", "leaked": "leaked"}),
    "pod_action_settled": _pod_ended(
        {"stopped": "stopped", "started": "alive", "gone": "gone", "leaked": "leaked"}
    ),
    "pod_claimed": _pod_claimed,
    "pod_found_stopped": _found_stopped,
    "pod_resumed": _pod_resumed,
    "gpu_selected": _pod_selected,
    "artifact_pull_started": _artifact("pulling"),
    "artifact_pull_completed": _artifact("success"),
    "artifact_pull_failed": _artifact("failed"),
    "upload_intended": _upload_intended,
    "upload_settled": _upload_settled,
    "attempt_lost": _attempt_lost,
    "job_ended": _job_ended,
    "log_progress": _log_offset,
    "remote_step_started": _log_offset,
    "remote_step_completed": _log_offset,
    "host_key_enrolled": _host_key,
    "host_key_confirmed": _host_key_confirmed,
    "secret_delivered": _secret,
    "warning": _warning,
}
