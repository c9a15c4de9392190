"""Starts the pod that an earlier run of the job kept, if it is still what the job asks for.

The pod is claimed in the state file first, so that no two runs have it, and then asked for at the
API: only what carries our mark is touched. One that will not do is deleted, since the pod that is
rented in its place takes its place in the state file too; one that somebody uses is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.errors import (
    AccountError,
    CloudError,
    Conflict,
    EffectUnknown,
    RateLimited,
    RunpodDeployError,
    Unavailable,
)
from runpod_deploy.executor import kept, spending
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.drift import candidate_of, find_drifts
from runpod_deploy.executor.ownership import look_at
from runpod_deploy.executor.pod_request import pod_env
from runpod_deploy.executor.ports import Pod, Volume
from runpod_deploy.executor.steps import release
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record.events import Event
from runpod_deploy.record.kept_pods import KeptPod
from runpod_deploy.record.run import fold

STARTED_WITHIN_SEC = 90.0
LOOK_EVERY_SEC = 2.0
START_TRIES = 3
_PAUSE_SEC = 5.0
_MAY_START = frozenset({"EXITED"})
_BROKEN = frozenset({"ERROR"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """A kept pod that runs for this run now, and the candidate that it is one of."""

    pod: Pod
    candidate: Candidate


class _Refused(Exception):
    """The pod did not start; the text says why."""


class _Taken(Exception):
    """Somebody else started the pod meanwhile: another machine with a copy of the state file."""


async def start_kept(ctx: RunContext, volume: Volume | None) -> Again | None:
    """Start the pod that was kept for this job; None when there is none that will do.

    Not to be cancelled: afterwards the pod is in hand with its release on the undo stack, or waits
    for another run, or is gone.

    Raises:
        AccountError: The API refused the key; the pod waits on.
        OverMonthlyCap: The month has nothing left; the pod waits on.
    """
    entry = kept.claim(ctx)
    if entry is None:
        return None
    try:
        return await _use(ctx, entry, volume)
    except BaseException:
        if ctx.pod is None:
            kept.give_back(ctx, entry.pod_id)
        raise


def tell_unfit(ctx: RunContext, pod_id: str, why: str) -> None:
    """Tell that a kept pod was started and given up."""
    ctx.warn(
        "recycle-unfit",
        f"Pod {pod_id}, kept by an earlier run, will not do: {printable(why, 300)}. It is given up, "
        "and another one is rented.",
    )


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
    elif pod.status in _MAY_START | _BROKEN:
        # Not started, or not yet: it is tried again, where the run goes on.
        spending.ended(ctx, pod_id, "stopped")
        _settle(ctx, pod_id, "refused", f"its executor ended, and the pod is {pod.status}")
    elif look_at(pod, ctx.owner).run_id not in (None, ctx.run_id):
        # In the ledger it is that run's by now.
        _settle(ctx, pod_id, "refused", "its executor ended, and another run has started the pod")
    else:
        _started(ctx, pod)


async def _use(ctx: RunContext, entry: KeptPod, volume: Volume | None) -> Again | None:
    try:
        pod = await ctx.cloud.get(entry.pod_id)
    except CloudError as error:
        _leave(ctx, entry, f"could not be asked for: {error.message}")
        return None
    if pod is None or pod.status == "TERMINATED":
        spending.ended(ctx, entry.pod_name, "gone")
        _drop(ctx, entry, "is gone")
        return None
    if not _at_rest(ctx, entry, pod):
        return None
    candidate, why = _judge(ctx, entry, pod, volume)
    _tell_claimed(ctx, entry)
    if candidate is not None:
        try:
            return Again(pod=await _start(ctx, entry, pod, candidate), candidate=candidate)
        except _Taken:
            _leave(ctx, entry, "was started by somebody else in the same moment")
            return None
        except _Refused as refused:
            why = f"it did not start: {refused}"
    await _give_up(ctx, entry, why)
    return None


def _at_rest(ctx: RunContext, entry: KeptPod, pod: Pod) -> bool:
    """Return whether a pod is ours and nobody uses it; what else becomes of it is told."""
    if pod.name != entry.pod_name or not look_at(pod, ctx.owner).ours:
        _drop(ctx, entry, "does not carry your mark any more, and is not touched")
    elif pod.raw.get("locked") is True:
        _leave(ctx, entry, "is locked, so it could not be stopped again")
    elif pod.status not in _MAY_START | _BROKEN:
        _leave(ctx, entry, f"is {pod.status}: somebody may be using it")
    else:
        return True
    return False


def _judge(
    ctx: RunContext, entry: KeptPod, pod: Pod, volume: Volume | None
) -> tuple[Candidate | None, str]:
    """Return the candidate that a stopped pod serves as, or None and why it serves as none."""
    if pod.status in _BROKEN:
        return None, f"it is {pod.status}"
    drifts = find_drifts(ctx.plan_file, entry.made_as, pod, volume)
    candidate = candidate_of(ctx.plan, pod, volume)
    if drifts or candidate is None:
        rows = "".join(f"\n  {printable(str(drift), 300)}" for drift in drifts)
        return None, f"it is not what the job asks for now:{rows}"
    ceiling = ctx.plan.pod.max_price_per_hour_usd
    told = ctx.ring.prices.get(candidate) if ctx.ring else None
    if ceiling is not None and told is not None and told > ceiling + 1e-9:
        return None, f"it costs ${told:.4g}/h, above max_price_per_hour_usd {ceiling:g}"
    return candidate, ""


async def _start(ctx: RunContext, entry: KeptPod, pod: Pod, candidate: Candidate) -> Pod:
    price = ctx.ring.prices.get(candidate) if ctx.ring else None
    ctx.billed_since = ctx.clock.now()
    await spending.enter(ctx, entry.pod_name, price, again=True)
    ctx.candidate, ctx.pod = candidate, pod
    ctx.late_bound["pod_id"] = pod.id
    ctx.undo.push("pod", lambda: release.on_failure(ctx))
    ctx.journal.write("pod_action_intended", op_id=f"start-{pod.id}", pod_id=pod.id, action="start")
    try:
        # The run's key, its mark and its watchdog: what the pod had of these is the last run's.
        base = dict(pod.raw.get("env") or {}) if ctx.plan.pod.template_id is not None else {}
        await ctx.cloud.set_env(pod.id, {**base, **pod_env(ctx)})
        await _ask(ctx, pod.id)
        seen = await _until_started(ctx, pod.id)
    except AccountError:
        raise
    except (_Refused, _Taken, RunpodDeployError) as error:
        why = error.message if isinstance(error, RunpodDeployError) else str(error)
        spending.ended(ctx, pod.id, "stopped")
        _settle(ctx, pod.id, "refused", why)
        ctx.undo.drop("pod")
        ctx.pod = None
        if isinstance(error, _Taken):
            raise
        raise _Refused(printable(why, 300)) from error
    _started(ctx, seen)
    return seen


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
                raise _Refused("it is gone" if pod is None else f"it is {pod.status}")
            if pod.status != "EXITED":
                if look_at(pod, ctx.owner).run_id not in (None, ctx.run_id):
                    raise _Taken("another run's mark is on it")
                return pod
        if ctx.clock.monotonic() >= give_up:
            raise _Refused(why)
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


def _tell_claimed(ctx: RunContext, entry: KeptPod) -> None:
    if entry.pod_name in fold(ctx.journal.events).pods:
        return  # by an earlier executor of this run
    ctx.journal.write(
        "pod_claimed",
        pod_id=entry.pod_id,
        name=entry.pod_name,
        gpu_id=entry.gpu_id,
        datacenter_id=entry.datacenter_id,
        cloud_type=entry.cloud_type,
        state_file=ctx.plan.lifecycle.state_file or "",
    )


def _leave(ctx: RunContext, entry: KeptPod, why: str) -> None:
    ctx.warn(
        "recycle-left",
        f"Pod {entry.pod_id}, kept by an earlier run, {why}. It is left as it is, and another one is "
        "rented.",
    )
    kept.give_back(ctx, entry.pod_id)


def _drop(ctx: RunContext, entry: KeptPod, why: str) -> None:
    ctx.warn(
        "recycle-gone", f"Pod {entry.pod_id}, kept by an earlier run, {why}. Another one is rented."
    )
    kept.forget(ctx, entry.pod_id)


async def _give_up(ctx: RunContext, entry: KeptPod, why: str) -> None:
    ctx.warn(
        "recycle-drift",
        f"Pod {entry.pod_id}, kept by an earlier run, is deleted, and another one is rented: {why}",
    )
    await release.delete_pod(ctx, entry.pod_id, reason=f"{kept.RECYCLED}: not used again")
    kept.forget(ctx, entry.pod_id)
