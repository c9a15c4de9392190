"""Where a run stands, read from its journal alone: what is done, what is open, and which way it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor.endings import cause_of, failure_of, raise_verdict
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.run import Run, RunState, fold

REMOTE_STEPS = frozenset({"remote_step_started", "remote_step_completed"})
# What becomes of these steps is found out by doing them again, maybe on another host.
ABOUT_THE_HOST = frozenset({"provision", "connect", "admit"})


@dataclass(frozen=True, kw_only=True, slots=True)
class LogStart:
    """A place in the log of the run from which it can be read on.

    Attributes:
        offset: Bytes of the remote log up to there.
        local: Bytes of `run.log` that stand for them.
        marks: How many step markers after that place were told already.
    """

    offset: int = 0
    local: int = 0
    success_seen: bool = False
    failures_seen: tuple[str, ...] = ()
    marks: int = 0


@dataclass(kw_only=True, slots=True)
class Earlier:
    """What an earlier executor did on the pod in hand; nothing of it is done again.

    Attributes:
        lease: Whether a watchdog was told to watch.
        commands: Names of setup and preflight commands that ended well.
        staged: Labels of payloads that arrived whole.
        intended_at: When the start of the run was asked for, seconds since the epoch; None: never.
        started: Whether the pod is known to have begun the run.
        begun: Steps that were begun and not ended, with the time of their first start, seconds since
            the epoch.
    """

    lease: bool = False
    commands: set[str] = field(default_factory=set)
    staged: set[str] = field(default_factory=set)
    intended_at: float | None = None
    started: bool = False
    log_starts: tuple[LogStart, ...] = (LogStart(),)
    begun: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Which way a run goes on.

    Attributes:
        first: Index of the step to go on with, as long as nothing has failed.
        failure: What it failed by; None while it works, and for a success.
        over: Nothing is left to do but to make sure that no pod is left.
        state: What the journal says of it.
        holds: Whether its last pod was left, or was about to be, for what is on it alone.
    """

    first: int
    state: RunState
    failure: BaseException | None = None
    over: bool = False
    holds: bool = False


def read_standing(steps: Sequence[str], events: Sequence[Event]) -> Standing:
    """Return where a run with these steps stands after its events."""
    done, failed = _done(steps, events)
    run = fold(events)
    first = next((i for i, name in enumerate(steps) if name not in done), len(steps))
    if _holds(run, events):
        if run.cause == "not_verified":
            return Standing(state=run.state, first=steps.index("collect"), holds=True)
        held = _failure(run, run.cause, failed)
        return Standing(state=run.state, first=first, failure=held, holds=True)
    if run.state is RunState.UNDOING:
        return Standing(state=run.state, first=first, failure=_failure(run, run.cause, failed))
    if run.state.final:
        failure = None if run.cause is None else _failure(run, run.cause, failed)
        return Standing(state=run.state, first=first, failure=failure, over=True)
    why = None if failed is None else tolerant.text(failed.fields, "cause")
    if failed is None or (failed.fields.get("step") in ABOUT_THE_HOST and why != "cancelled"):
        # Where the host was to blame, the way out of it was begun at most: it is gone again.
        return Standing(state=run.state, first=_with_connection(steps, first))
    return Standing(state=run.state, first=first, failure=_failure(run, why, failed))


def only_stop_failed(events: Sequence[Event], pod_id: str | None) -> bool:
    """Return whether a stop is the last that was asked of a pod, and it could not be confirmed.

    Such a pod was to outlive its run, maybe for results that are on it alone. Nobody asked for its end.
    """
    for event in reversed(events):
        if pod_id is None or event.fields.get("pod_id") != pod_id:
            continue
        if event.event == "pod_action_settled":
            stop = event.fields.get("op_id") == f"stop-{pod_id}"
            return stop and event.fields.get("outcome") == "leaked"
        if event.event in {"pod_delete_intended", "pod_delete_settled", "pod_create_settled"}:
            return False
    return False


def _holds(run: Run, events: Sequence[Event]) -> bool:
    """Return whether the last pod is there and was left for what is on it: then it is asked again."""
    if run.pod is None:
        return False
    stop_failed = run.pod.status == "leaked" and only_stop_failed(events, run.pod.pod_id)
    if not stop_failed and run.pod.status not in {"alive", "stopped"}:
        return False
    if run.state is RunState.LEAKED:
        return stop_failed and run.cause is not None
    if run.state is RunState.UNDOING:
        return run.cause == "not_verified"
    return run.state is RunState.KEPT


def _done(steps: Sequence[str], events: Sequence[Event]) -> tuple[set[str], Event | None]:
    """Return the steps that need not be done again, and the failure of the last one."""
    done: set[str] = set()
    failed: Event | None = None
    begun = False
    for event in events:
        step = tolerant.text(event.fields, "step")
        if event.event == "step_started" and step in steps:
            done -= set(steps[steps.index(step) :])
            failed = None
        elif event.event == "step_completed" and step is not None:
            done.add(step)
        elif event.event == "step_failed":
            failed = event
        elif event.event == "attempt_lost":
            # Its pod is as good as gone: another one is asked for.
            done -= set(steps[steps.index("provision") :])
            failed, begun = None, False
        elif event.event == "exec_start_intended":
            begun = True
        elif event.event == "pod_create_intended":
            begun = False
        elif event.event == "pod_resumed" and not begun and "connect" in steps:
            # Its container is a new one: what was done there before its start is to be done again.
            done -= set(steps[steps.index("connect") :])
    return done, failed


def read_begun(events: Sequence[Event]) -> dict[str, float]:
    """Return the steps that nobody ended, with the time of their first start."""
    begun: dict[str, float] = {}
    for event in events:
        step, at = tolerant.text(event.fields, "step"), tolerant.seconds(event.ts_utc)
        if step is not None and event.event == "step_started" and at is not None:
            begun.setdefault(step, at)
        elif step is not None and event.event in {"step_completed", "step_failed"}:
            begun.pop(step, None)
    return begun


def _with_connection(steps: Sequence[str], first: int) -> int:
    """Return the step to go on with: who admits a host needs the connection of the step before."""
    return steps.index("connect") if steps[first : first + 1] == ["admit"] else first


def _failure(run: Run, cause: str | None, failed: Event | None) -> BaseException:
    """Return what the run failed by, in the words of its step or of its job's end."""
    if run.job_end is not None and cause != "cancelled":
        try:
            raise_verdict(run.job_end)
        except RunpodDeployError as verdict:
            if cause_of(verdict) == cause:
                return verdict
    text = None if failed is None else tolerant.text(failed.fields, "error")
    return failure_of(cause, text or f"The run ended: {cause or 'the reason is not known'}.")


def goes_on_alone(where: Standing, events: Sequence[Event]) -> bool:
    """Return whether a job is on the run's last pod whose end nobody has seen, as far as was told."""
    if where.over or where.failure is not None:
        return False
    mine = on_this_pod(events)
    began = any(
        event.event == "exec_start_settled" and event.fields.get("outcome") == "started"
        for event in mine
    )
    return began and not any(event.event == "job_ended" for event in mine)


def on_this_pod(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events since the pod in hand was asked for; none since one was lost."""
    for index in range(len(events) - 1, -1, -1):
        if events[index].event == "attempt_lost":
            break
        if events[index].event in {"pod_create_intended", "pod_claimed", "node_joined"}:
            return events[index:]
    return ()


def read_earlier(events: Sequence[Event]) -> Earlier:
    """Return what was done on the pod in hand."""
    found = Earlier()
    mine = on_this_pod(events)
    for event in mine:
        name, label = (tolerant.text(event.fields, key) for key in ("name", "label"))
        if event.event == "command_completed" and name and event.fields.get("exit_code") == 0:
            found.commands.add(name)
        elif event.event == "lease_armed":
            found.lease = True
        elif event.event == "pod_resumed":
            found.lease = False
            found.commands.clear()
            found.staged.clear()
            # Whether it had begun or not: on a new disk it is not begun a second time.
            found.started = found.started or found.intended_at is not None
        elif event.event == "staging_completed" and label:
            found.staged.add(label)
        elif event.event == "exec_start_intended":
            found.intended_at = tolerant.seconds(event.ts_utc)
        elif event.event == "exec_start_settled":
            found.started = found.started or event.fields.get("outcome") == "started"
    found.log_starts = tuple(_log_starts(mine))
    found.begun = read_begun(events)
    return found


def _log_starts(events: Sequence[Event]) -> Iterator[LogStart]:
    """Yield the places from which the log can be read on, the last one first."""
    marks = 0
    for event in reversed(events):
        marks += event.event in REMOTE_STEPS
        local = tolerant.integer(event.fields, "local_bytes")
        offset = tolerant.integer(event.fields, "log_offset")
        if event.event == "log_progress" and local is not None and offset is not None:
            yield LogStart(
                offset=offset,
                local=local,
                success_seen=tolerant.boolean(event.fields, "success_marker_seen") or False,
                failures_seen=tolerant.texts(event.fields, "failure_markers_seen"),
                marks=marks,
            )
    yield LogStart(marks=marks)
