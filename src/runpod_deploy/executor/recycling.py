"""Starts the pod that an earlier run of the job kept, if it is still what the job asks for.

The pod is claimed in the state file first, so that no two runs have it, and then asked for at the
API: only what carries our mark is touched. One that will not do is deleted, since the pod that is
rented in its place takes its place in the state file too; one that somebody uses is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.errors import CloudError, StepFailed
from runpod_deploy.executor import kept, spending, starting
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.drift import candidate_of, find_drifts
from runpod_deploy.executor.ownership import look_at
from runpod_deploy.executor.ports import STOPPED, Pod, Volume
from runpod_deploy.executor.steps import release
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record.kept_pods import KeptPod
from runpod_deploy.record.run import fold


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """A kept pod that runs for this run now, and the candidate that it is one of."""

    pod: Pod
    candidate: Candidate


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
        except starting.Taken:
            _leave(ctx, entry, "was started by somebody else in the same moment")
            return None
        except starting.Refused as refused:
            why = f"it did not start: {refused}"
    await _give_up(ctx, entry, why)
    return None


def _at_rest(ctx: RunContext, entry: KeptPod, pod: Pod) -> bool:
    """Return whether a pod is ours and nobody uses it; what else becomes of it is told."""
    if pod.name != entry.pod_name or not look_at(pod, ctx.owner).ours:
        _drop(ctx, entry, "does not carry your mark any more, and is not touched")
    elif pod.raw.get("locked") is True:
        _leave(ctx, entry, "is locked, so it could not be stopped again")
    elif pod.status not in STOPPED and not starting.runs_for_us(ctx, pod):
        _leave(ctx, entry, f"is {pod.status}: somebody may be using it")
    else:
        return True
    return False


def _judge(
    ctx: RunContext, entry: KeptPod, pod: Pod, volume: Volume | None
) -> tuple[Candidate | None, str]:
    """Return the candidate that a stopped pod serves as, or None and why it serves as none."""
    if pod.status == "ERROR":
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
    ctx.candidate, ctx.pod = candidate, pod
    ctx.undo.push("pod", lambda: release.on_failure(ctx))
    if starting.runs_for_us(ctx, pod):
        # Our own start, which came later than it was waited for.
        starting.found_running(ctx, pod, fold(ctx.journal.events).pods[entry.pod_name])
        return pod
    try:
        return await starting.start(ctx, entry.pod_name, pod, price)
    except (starting.Refused, starting.Taken, StepFailed):
        # Nothing was started: it is not this run's to end.
        ctx.undo.drop("pod")
        ctx.pod = None
        raise
    except starting.Unsettled as unknown:
        # It may be this run's to end, and what is rented beside it would be a second one.
        starting.leaked(ctx, pod.id, str(unknown))
        raise StepFailed(
            f"Pod {pod.id}, kept by an earlier run, was asked to start, and whether it did is not known: "
            f"{unknown}. No other is rented beside it.",
            cause="start_unknown",
        ) from unknown


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
