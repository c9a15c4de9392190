"""By when a run that goes on will have ended, and its pod: told from the plan and the journal alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.run import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """The latest moments, seconds since the epoch; None where nothing sets one.

    Attributes:
        job_at: When the supervisor on the pod ends the job.
        job_because: `max_runtime` or `cost_cap`.
        pod_at: When the pod will have acted on itself, should nobody come for it any more.
        pod_because: `silence`, `cost_cap` or `boot_grace`.
        verified: Whether the pod's watchdog has shown that it can act; None where none was armed.
    """

    job_at: float | None = None
    job_because: str | None = None
    pod_at: float | None = None
    pod_because: str | None = None
    verified: bool | None = None


def ends_of(plan: Plan, run: Run, events: Iterable[Event], now: float) -> Ends:
    """Return by when a run ends that nobody ends earlier.

    Args:
        events: The whole journal.
        now: Seconds since the epoch; silence is taken to begin here at the latest.
    """
    pod = run.pod
    if pod is None or run.state.final or pod.status != "alive":
        return Ends()
    begun, armed, verified = _on_pod(events, pod.name)
    rate = pod.cost_per_hour_usd or plan.budget.assumed_hourly_rate_usd
    since = tolerant.seconds(pod.created_at) or now
    money = since + plan.budget.cost_cap_usd / rate * 3600 if rate else math.inf
    job = (math.inf, "max_runtime")
    if begun is not None and run.job_end is None:
        minutes = plan.budget.max_runtime_minutes
        runtime = math.inf if minutes is None else begun + minutes * 60
        job = (runtime, "max_runtime") if runtime <= money else (money, "cost_cap")
    if not armed:
        grace = since + plan.lease.boot_grace_minutes * 60 if plan.lease.at_boot else math.inf
        pod_end = (grace, "boot_grace")
    elif not verified:
        pod_end = (math.inf, "silence")
    else:
        silent = _silent(plan, job[0], now, begun=begun is not None, over=run.job_end is not None)
        pod_end = (silent, "silence") if silent < money else (money, "cost_cap")
    return Ends(
        job_at=_finite(job[0]),
        job_because=None if math.isinf(job[0]) else job[1],
        pod_at=_finite(pod_end[0]),
        pod_because=None if math.isinf(pod_end[0]) else pod_end[1],
        verified=verified if armed else None,
    )


def _on_pod(events: Iterable[Event], name: str) -> tuple[float | None, bool, bool]:
    """Return when the job began on the pod, and whether its watchdog was armed and can act."""
    begun: float | None = None
    armed = verified = False
    for event in events:
        if event.event == "pod_create_intended" and event.fields.get("op_id") == name:
            begun, armed, verified = None, False, False
        elif event.event == "exec_start_settled" and event.fields.get("outcome") == "started":
            begun = begun or tolerant.seconds(event.ts_utc)
        elif event.event == "lease_armed":
            armed, verified = True, event.fields.get("verified") is True
    return begun, armed, verified


def _silent(plan: Plan, job_ends: float, now: float, *, begun: bool, over: bool) -> float:
    """Return when the pod will have acted for silence; infinity where silence does nothing."""
    silence = plan.lease.silence_minutes * 60
    if not begun:
        return now + silence
    if plan.lease.spares_results:
        return math.inf
    if over or plan.lease.while_running == "stop":
        return now + silence
    return job_ends + silence


def _finite(moment: float) -> float | None:
    return None if math.isinf(moment) else moment
