"""Starts a run's own pod again that was stopped before the run had ended: by its lease, or for its results.

What was stopped lost its container disk. Before the job began there is nothing there that cannot be made
anew, so the steps are done again from the login on, and a pod that will not start is given up. Once the
job has begun its results are what counts: the pod is started to bring them home, with or without GPUs,
and one that will not start is left as it is, for a later try.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from runpod_deploy.errors import (
    HostUnusable,
    Kept,
    Leaked,
    RunpodDeployError,
    StepFailed,
    TransportError,
)
from runpod_deploy.executor import lease, spending, starting
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.hardware import parse_hardware, probe_command
from runpod_deploy.executor.money import capped_at
from runpod_deploy.executor.ports import STOPPED
from runpod_deploy.executor.readiness import wait_for_endpoint
from runpod_deploy.executor.standing import on_this_pod, read_earlier
from runpod_deploy.executor.steps import connect, execute, provision, release
from runpod_deploy.record import tolerant
from runpod_deploy.record.journal import utc_stamp
from runpod_deploy.record.run import PodRecord, fold

if TYPE_CHECKING:
    from runpod_deploy.executor.standing import Standing

# With less than this no pod starts, lets us in, and sends anything.
LEAST_SEC = 60.0
BILL_IS_LATE_SEC = 6 * 3600.0
BILLING_TICK_SEC = 300.0


def may_hold_the_run(ctx: RunContext, where: Standing) -> bool:
    """Return whether a pod that the journal knows as stopped is still wanted by its run."""
    if where.holds:
        return True
    if where.over:
        return False
    if where.failure is not None:
        return _was_found_stopped(ctx)  # and is still to be let go, in the way that the job says
    return was_used(ctx, where) and _had(ctx)


def was_used(ctx: RunContext, where: Standing) -> bool:
    """Return whether the run has come so far that its pod is more than a candidate, and not yet let go."""
    steps = [step.name for step in ctx.plan.steps]
    return steps.index("connect") <= where.first <= steps.index("collect")


def is_replaceable(ctx: RunContext, where: Standing) -> bool:
    """Return whether the run goes on before its job, which was never asked for on the pod in hand."""
    begun = any(event.event == "exec_start_intended" for event in on_this_pod(ctx.journal.events))
    return where.failure is None and not where.over and not begun


def note_ended(ctx: RunContext, record: PodRecord) -> None:
    """Write down that a pod was found stopped or gone, and since when at the latest, by its lease's terms."""
    now = ctx.clock.now()
    at = min(now, _latest_end(ctx))
    ctx.journal.write("pod_found_stopped", pod_id=record.pod_id or "", stopped_at=utc_stamp(at))
    spending.ended(ctx, record.pod_id or "", "stopped", at=at)


async def start(ctx: RunContext, where: Standing) -> None:
    """Start the stopped pod in hand where the run needs it; afterwards none is in hand if it was given up.

    Raises:
        Kept: It holds results, and cannot be started now; it is as it was.
        Leaked: Whether it was started is not known.
        AccountError: The key was refused.
        OverMonthlyCap: The month has nothing left; it is as it was.
    """
    pod = ctx.need_pod()
    if _results_matter(ctx, where):
        if not ctx.earlier.started:
            # On a new disk it is not begun a second time.
            execute.settle_lost_start(ctx, "the pod was stopped")
        if _money_left_sec(ctx) < LEAST_SEC:
            await _ask_for_the_bill(ctx)
        _refuse_without_money(ctx)
        ctx.progress.message(f"Pod {pod.id} was stopped: it is started again for its results.")
        try:
            await _start(ctx)
        except (starting.Refused, starting.Taken) as error:
            raise _left(ctx, f"it does not start: {error}") from error
        ctx.earlier.started = True
    elif _goes_on(ctx, where):
        ctx.progress.message(f"Pod {pod.id} was stopped before the job began: it is started again.")
        try:
            await _start(ctx)
        except (starting.Refused, starting.Taken) as error:
            problem = HostUnusable(f"it does not start again: {error}", cause="start_refused")
            await provision.give_up_host(ctx, problem)
        else:
            ctx.earlier = read_earlier(ctx.journal.events)


def _was_found_stopped(ctx: RunContext) -> bool:
    """Return whether the pod in hand was found at rest, and not stopped by this run itself."""
    last = ""
    for event in on_this_pod(ctx.journal.events):
        if event.event in {"pod_found_stopped", "pod_action_settled"}:
            last = event.event
    return last == "pod_found_stopped"


def is_fresh(ctx: RunContext) -> bool:
    """Return whether the pod in hand was started again after its job had begun: its disk is a new one."""
    if ctx.pod is None or ctx.pod.status in STOPPED or ctx.earlier.intended_at is None:
        return False
    return any(
        event.event == "pod_resumed"
        and (tolerant.seconds(event.ts_utc) or 0.0) >= ctx.earlier.intended_at
        for event in on_this_pod(ctx.journal.events)
    )


async def reopen(ctx: RunContext) -> None:
    """Log in to a pod that was started again, arm its lease, and let it find how its job ended.

    Raises:
        Kept: Nobody gets in; the pod was stopped again, and the run is as it was.
        Leaked: Likewise, and its stop could not be confirmed.
    """
    try:
        await wait_for_endpoint(ctx)
        await connect.do(ctx)
        await lease.restore(ctx)
        await _count_gpus(ctx)
    except (StepFailed, TransportError, TimeoutError) as error:
        if not await release.rest(ctx):
            raise _running(ctx) from error
        raise _left(ctx, f"nobody gets in after its start: {error}") from error


def from_the_login(ctx: RunContext) -> bool:
    """Return whether the pod in hand was started again before its job began, and not logged in to since."""
    if ctx.earlier.intended_at is not None:
        return False
    last = ""
    for event in on_this_pod(ctx.journal.events):
        if event.event in {"pod_resumed", "host_key_enrolled"}:
            last = event.event
    return last == "pod_resumed"


async def _start(ctx: RunContext) -> None:
    pod = ctx.need_pod()
    # A start makes a new host key. Forgotten before, it is not missed after a crash in between.
    ctx.connector.forget(pod.id)
    try:
        seen = await starting.start(ctx, pod.name, pod, pod.cost)
    except starting.Unsettled as unknown:
        raise _unsettled(pod.id, str(unknown)) from unknown
    ctx.pod = replace(seen, cost=pod.cost if seen.cost is None else seen.cost)


async def _count_gpus(ctx: RunContext) -> None:
    """Say so when the host has let the GPUs to others; results come home without."""
    wanted = ctx.plan.pod.admission.gpu_count
    done = await ctx.need_transport().run(probe_command(ctx.fill(ctx.plan.home)), timeout=60)
    seen = parse_hardware(done.stdout.decode("utf-8", "replace"))
    if len(seen.gpus) != wanted:
        ctx.warn(
            "woken-without-gpus",
            f"Pod {ctx.need_pod().id} came back with {len(seen.gpus)} of {wanted} GPUs. To bring the "
            "results home it needs none.",
        )


def _results_matter(ctx: RunContext, where: Standing) -> bool:
    if where.over or ctx.earlier.intended_at is None:
        return False
    if where.failure is not None:
        return bool(ctx.unproven())
    return where.first <= [step.name for step in ctx.plan.steps].index("collect")


def _goes_on(ctx: RunContext, where: Standing) -> bool:
    return (
        where.failure is None and not where.over and ctx.earlier.intended_at is None and _had(ctx)
    )


def _had(ctx: RunContext) -> bool:
    """Return whether the pod has run for this run: one that was only claimed is for `provision`."""
    return any(
        event.event in {"pod_resumed", "host_key_enrolled"}
        for event in on_this_pod(ctx.journal.events)
    )


def _money_left_sec(ctx: RunContext) -> float:
    return capped_at(0.0, ctx.rate(), ctx.limit() - ctx.spent())


async def _ask_for_the_bill(ctx: RunContext) -> None:
    """Hold the latest end of a pod, which is the most that it can have cost, against what was billed.

    A bill may be some hours late; one that cannot be had changes nothing.
    """
    pod = ctx.need_pod()
    record = next((r for r in fold(ctx.journal.events).pods.values() if r.pod_id == pod.id), None)
    began = None if record is None else tolerant.seconds(record.created_at)
    ended = None if record is None else tolerant.seconds(record.ended_at)
    if record is None or began is None or ended is None or not pod.cost:
        return
    if ctx.clock.now() - ended < BILL_IS_LATE_SEC:
        return
    try:
        bills = await ctx.cloud.billed(
            utc_stamp(began - record.ran_sec - record.rested_sec), pod.id
        )
    except RunpodDeployError:
        return
    ran = sum(bill.gpu_usd for bill in bills) / pod.cost * 3600 - record.ran_sec
    at = max(ctx.seen_until, began + ran + BILLING_TICK_SEC)
    if ran > 0 and at < ended:
        ctx.journal.write("pod_found_stopped", pod_id=pod.id, stopped_at=utc_stamp(at))
        spending.ended(ctx, pod.id, "stopped", at=at)


def _refuse_without_money(ctx: RunContext) -> None:
    if _money_left_sec(ctx) < LEAST_SEC:
        raise _left(
            ctx,
            f"the run may have cost ${ctx.spent():.2f} of its ${ctx.limit():.2f} already, and a start "
            "would go beyond",
        )


def _left(ctx: RunContext, why: str) -> Kept:
    pod_id = ctx.need_pod().id
    labels = ", ".join(ctx.unproven()) or "the end of its job"
    return Kept(
        f"Pod {pod_id} is stopped and holds what is not here yet ({labels}), but {why}.",
        help="Its host may have let its GPUs to others: then a later try helps, or a start without "
        "GPUs in the RunPod console, and `resume` right after it. To give it up, with what it holds:\n"
        f"  runpod-deploy cleanup {pod_id}",
    )


def _unsettled(pod_id: str, why: str) -> Leaked:
    return Leaked(
        f"Pod {pod_id} was asked to start, and whether it did is not known: {why}. It may run and cost "
        "money.",
        help="Once the API answers, carrying the run on finds out. To stop the pod instead:\n"
        f"  runpod-deploy cleanup {pod_id} --mode stop",
    )


def _running(ctx: RunContext) -> Leaked:
    pod_id = ctx.need_pod().id
    return Leaked(
        f"Pod {pod_id} was started for its results, nobody gets in, and its stop could not be confirmed: "
        "it may go on costing money.",
        help=f"See to it that it stops:\n  runpod-deploy cleanup {pod_id} --mode stop",
    )


def _latest_end(ctx: RunContext) -> float:
    """Return by when a pod that was found at its end had come to it, by the terms that it was given."""
    events = on_this_pod(ctx.journal.events)
    money = ctx.capped_at()
    armed = [event for event in events if event.event == "lease_armed"]
    if not armed or armed[-1].fields.get("verified") is not True:
        return money
    silence = ctx.plan.lease.silence_minutes * 60 + lease.BEAT_EVERY_SEC
    began = next(
        (tolerant.seconds(e.ts_utc) for e in events if e.event == "exec_start_intended"), None
    )
    over = any(event.event == "job_ended" for event in events)
    if began is None or over or ctx.plan.lease.while_running != "continue":
        return min(money, ctx.seen_until + silence)
    minutes = ctx.plan.budget.max_runtime_minutes
    runs_until = math.inf if minutes is None else began + minutes * 60
    soft = capped_at(ctx.billed_since, ctx.rate(), ctx.job_limit_usd())
    return min(money, max(ctx.seen_until, min(runs_until, soft)) + silence)
