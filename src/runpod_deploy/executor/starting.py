"""Starts a pod that is stopped, with the run's own key, mark and lease, and journals what came of it."""

from __future__ import annotations

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
from runpod_deploy.executor.ports import Pod
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record.events import Event

STARTED_WITHIN_SEC = 90.0
LOOK_EVERY_SEC = 2.0
START_TRIES = 3
_PAUSE_SEC = 5.0
_MAY_START = frozenset({"EXITED"})
BROKEN = frozenset({"ERROR"})
AT_REST = _MAY_START | BROKEN


class Refused(Exception):
    """The pod did not start; the text says why."""


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
        seen = await _until_started(ctx, pod.id)
    except AccountError:
        raise
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

    Raises:
        CloudError: It cannot be asked for; the start stays open.
        AccountError: The key is refused.
    """
    pod_id = str(intent["pod_id"])
    pod = await ctx.cloud.get(pod_id)
    if pod is None or pod.status == "TERMINATED":
        spending.ended(ctx, pod_id, "gone")
        _settle(ctx, pod_id, "gone", "its executor ended, and the pod is gone")
    elif pod.status in AT_REST:
        # Not started, or not yet: it is tried again, where the run goes on.
        spending.ended(ctx, pod_id, "stopped")
        _settle(ctx, pod_id, "refused", f"its executor ended, and the pod is {pod.status}")
    elif look_at(pod, ctx.owner).run_id not in (None, ctx.run_id):
        # In the ledger it is that run's by now.
        _settle(ctx, pod_id, "refused", "its executor ended, and another run has started the pod")
    else:
        _started(ctx, pod)


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


async def _until_started(ctx: RunContext, pod_id: str) -> Pod:
    give_up = ctx.clock.monotonic() + STARTED_WITHIN_SEC
    why = "it stayed EXITED"
    while True:
        try:
            pod = await ctx.cloud.get(pod_id)
        except AccountError:
            raise
        except CloudError as error:
            why = error.message
        else:
            if pod is None or pod.status in {"TERMINATED", "ERROR"}:
                raise Refused("it is gone" if pod is None else f"it is {pod.status}")
            if pod.status != "EXITED":
                if look_at(pod, ctx.owner).run_id not in (None, ctx.run_id):
                    raise Taken("another run's mark is on it")
                return pod
        if ctx.clock.monotonic() >= give_up:
            raise Refused(why)
        await ctx.clock.sleep(LOOK_EVERY_SEC)


def _started(ctx: RunContext, pod: Pod) -> None:
    ctx.pod = pod
    spending.created(ctx, pod, pod.name)
    _settle(ctx, pod.id, "started", None)
    ctx.journal.write(
        "pod_resumed",
        pod_id=pod.id,
        gpu_id=pod.gpu or "",
        datacenter_id=pod.datacenter,
        cost_per_hour_usd=pod.cost,
    )


def _settle(
    ctx: RunContext, pod_id: str, outcome: Literal["started", "refused", "gone"], error: str | None
) -> None:
    ctx.journal.write(
        "pod_action_settled",
        op_id=f"start-{pod_id}",
        pod_id=pod_id,
        outcome=outcome,
        error=error,
    )
