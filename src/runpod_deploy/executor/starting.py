"""Starts a pod that is stopped, with the run's own key, mark and lease, and journals what came of it."""

from __future__ import annotations

import contextlib
from typing import Literal

from runpod_deploy.errors import (
    AccountError,
    CloudError,
    Conflict,
    EffectUnknown,
    RateLimited,
    RunpodDeployError,
    Unavailable,
)
from runpod_deploy.executor import spending
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ownership import look_at
from runpod_deploy.executor.pod_request import pod_env
from runpod_deploy.executor.ports import AT_REST, STOPPED, Pod
from runpod_deploy.executor.releasing import CONFIRM_WITHIN_SEC, end_pod
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import utc_stamp
from runpod_deploy.record.records import PodRecord

STARTED_WITHIN_SEC = 90.0
LATEST_SHOWN_SEC = 30.0
LOOK_EVERY_SEC = 2.0
START_TRIES = 3
_PAUSE_SEC = 5.0


class Refused(Exception):
    """The pod did not start; the text says why."""


class Unsettled(Exception):
    """Whether the pod runs is not known; the text says why. Its start stays open in the journal."""


class Taken(Exception):
    """Somebody else started the pod meanwhile: another machine with a copy of the state file."""


async def start(ctx: RunContext, name: str, pod: Pod, price: float | None) -> Pod:
    """Start a pod and return it as the API describes it then; nothing is said of its SSH port yet.

    Args:
        name: The pod's name, under which the ledger knows it.
        price: USD per hour as far as it is known beforehand.

    Raises:
        Refused: It is as it was, or gone.
        Taken: Another run's mark is on it.
        Unsettled: It may run: the API told nothing about it.
        AccountError: The key was refused; whether it starts is not known.
        OverMonthlyCap: The month has nothing left; nothing was asked for.
    """
    ctx.billed_since = ctx.clock.now()
    await spending.enter(ctx, name, price, again=True)
    ctx.late_bound["pod_id"] = pod.id
    ctx.journal.write("pod_action_intended", op_id=f"start-{pod.id}", pod_id=pod.id, action="start")
    try:
        # The run's key, its mark and its watchdog: what the pod had of these is the last start's.
        base = dict(pod.raw.get("env") or {}) if ctx.plan.pod.template_id is not None else {}
        await ctx.cloud.set_env(pod.id, {**base, **pod_env(ctx)})
        await _ask(ctx, pod.id)
        seen = await _until_started(ctx, pod)
    except (AccountError, Unsettled):
        raise  # what nobody knows costs as if it ran
    except (Refused, Taken, RunpodDeployError) as error:
        why = error.message if isinstance(error, RunpodDeployError) else str(error)
        spending.ended(ctx, pod.id, "stopped")
        _settle(ctx, pod.id, "refused", why)
        if isinstance(error, Taken):
            raise
        raise Refused(printable(why, 300)) from error
    _started(ctx, seen)
    return seen


async def settle_open_start(ctx: RunContext, intent: Event) -> None:
    """Settle a start whose executor ended before its answer came, by asking for the pod.

    Until a start of the last moment must be shown, a pod that is stopped proves nothing.

    Raises:
        CloudError: It cannot be asked for; the start stays open.
        AccountError: The key is refused.
    """
    pod_id = str(intent["pod_id"])
    shown_at = (tolerant.seconds(intent.ts_utc) or 0.0) + LATEST_SHOWN_SEC
    while (pod := await ctx.cloud.get(pod_id)) is not None and pod.status in STOPPED:
        left = shown_at - ctx.clock.now()
        if left <= 0 or look_at(pod, ctx.owner).run_id != ctx.run_id:
            break  # without our mark it was not asked for
        await ctx.clock.sleep(min(left, LOOK_EVERY_SEC))
    if pod is None or pod.status == "TERMINATED":
        spending.ended(ctx, pod_id, "gone")
        _settle(ctx, pod_id, "gone", "its executor ended, and the pod is gone")
    elif pod.status in STOPPED:
        # Not started, or not yet: it is tried again, where the run goes on.
        spending.ended(ctx, pod_id, "stopped")
        _settle(ctx, pod_id, "refused", f"its executor ended, and the pod is {pod.status}")
    elif look_at(pod, ctx.owner).run_id not in (None, ctx.run_id):
        # In the ledger it is that run's by now.
        _settle(ctx, pod_id, "refused", "its executor ended, and another run has started the pod")
    else:
        _started(ctx, pod)


def runs_for_us(ctx: RunContext, pod: Pod) -> bool:
    """Return whether a pod has been started with the mark of this run."""
    return pod.status not in AT_REST and look_at(pod, ctx.owner).run_id == ctx.run_id


def found_running(ctx: RunContext, pod: Pod, record: PodRecord) -> None:
    """Write down that a pod runs for this run which the journal has as stopped, and since when it bills.

    Its start came later than anybody waited for, or somebody made it in the console.
    """
    asked = [
        tolerant.seconds(event.ts_utc)
        for event in ctx.journal.events
        if event.fields.get("op_id") == f"start-{pod.id}" and event.event == "pod_action_intended"
    ]
    stopped = tolerant.seconds(record.ended_at) or 0.0
    told = tolerant.seconds(tolerant.text(pod.raw, "startedAt"))
    starts = [at for at in (*asked[-1:], told) if at is not None and at >= stopped]
    since = min([*starts, ctx.clock.now()])
    # A start makes a new host key.
    ctx.connector.forget(pod.id)
    ctx.pod = pod
    spending.found_running(ctx, pod, record.name, since)
    _resumed(ctx, pod, utc_stamp(since))


def was_started_again(ctx: RunContext) -> bool:
    """Return whether the pod in hand was stopped before: its host may have let its GPUs to others."""
    return ctx.pod is not None and any(
        event.event == "pod_resumed" and event.fields.get("pod_id") == ctx.pod.id
        for event in ctx.journal.events
    )


async def _ask(ctx: RunContext, pod_id: str) -> None:
    """Ask for the start; whether it came to one is for the next look to tell."""
    for left in range(START_TRIES - 1, -1, -1):
        try:
            await ctx.cloud.act(pod_id, "start")
        except (EffectUnknown, Conflict):
            return
        except (RateLimited, Unavailable) as error:
            if not left:
                raise
            await ctx.clock.sleep(error.retry_after or _PAUSE_SEC)
        else:
            return


async def _until_started(ctx: RunContext, asked: Pod) -> Pod:
    """Look until the pod runs; a look that fails tells nothing, and only one that succeeds ends this.

    Raises:
        Refused: The API says that it is stopped, or gone.
        Taken: Another run's mark is on it.
        Unsettled: The API tells nothing.
    """
    give_up = ctx.clock.monotonic() + STARTED_WITHIN_SEC
    while True:
        why = ""
        try:
            pod = await ctx.cloud.get(asked.id)
        except AccountError:
            raise
        except CloudError as error:
            why = error.message
        else:
            if pod is None:
                raise Refused("it is gone")
            if pod.status == "TERMINATED" or (pod.status == "ERROR" != asked.status):
                raise Refused(f"it is {pod.status}")
            if pod.status not in STOPPED:
                if look_at(pod, ctx.owner).run_id not in (None, ctx.run_id):
                    raise Taken("another run's mark is on it")
                return pod
        now = ctx.clock.monotonic()
        if not why and now >= give_up:
            await _take_back(ctx, asked.id)
            raise Refused(f"it stayed {asked.status}")
        if why and now >= give_up + CONFIRM_WITHIN_SEC:
            raise Unsettled(printable(why.rstrip("."), 300))
        await ctx.clock.sleep(LOOK_EVERY_SEC)


async def _take_back(ctx: RunContext, pod_id: str) -> None:
    """Ask a pod that is stopped to stop, so that a start which is still on its way comes to nothing.

    Raises:
        Unsettled: It cannot be confirmed that it is stopped.
    """
    with contextlib.suppress(CloudError):
        await ctx.cloud.act(pod_id, "stop")
    why = await end_pod(ctx.cloud, ctx.clock, pod_id, "stop")
    if why is not None:
        raise Unsettled(printable(why.rstrip("."), 300))


def _started(ctx: RunContext, pod: Pod) -> None:
    ctx.pod = pod
    spending.created(ctx, pod, pod.name)
    _settle(ctx, pod.id, "started", None)
    _resumed(ctx, pod, None)


def _resumed(ctx: RunContext, pod: Pod, since: str | None) -> None:
    ctx.journal.write(
        "pod_resumed",
        pod_id=pod.id,
        gpu_id=pod.gpu or "",
        datacenter_id=pod.datacenter,
        cost_per_hour_usd=pod.cost,
        since=since,
    )


def leaked(ctx: RunContext, pod_id: str, why: str) -> None:
    """Settle a start of which nobody knows: the pod may run and bill."""
    ctx.leak(pod_id)
    _settle(ctx, pod_id, "leaked", why)


def _settle(
    ctx: RunContext,
    pod_id: str,
    outcome: Literal["started", "refused", "gone", "leaked"],
    error: str | None,
) -> None:
    ctx.journal.write(
        "pod_action_settled",
        op_id=f"start-{pod_id}",
        pod_id=pod_id,
        outcome=outcome,
        error=error,
    )
