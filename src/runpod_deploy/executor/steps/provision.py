"""provision: walks the candidate ring until a pod is had whose SSH port is open to us."""

from __future__ import annotations

import asyncio
from functools import partial

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.errors import (
    CandidateRefused,
    EffectUnknown,
    HostUnusable,
    RateLimited,
    StepFailed,
    Unavailable,
    Unreachable,
)
from runpod_deploy.executor import kept, recycling, retrying
from runpod_deploy.executor.choosing import ROUND_PAUSE_SEC, arrange, nothing_had, reached, refuse
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.creation import create_settled, settle_price, settle_strays
from runpod_deploy.executor.mounted_volume import mounted_volume
from runpod_deploy.executor.pod_request import pod_request
from runpod_deploy.executor.ports import Pod, Volume
from runpod_deploy.executor.readiness import wait_for_endpoint
from runpod_deploy.executor.ring import Ring
from runpod_deploy.executor.shielding import finish
from runpod_deploy.executor.steps import release

SAME_CANDIDATE_TRIES = 3
RATE_LIMIT_PATIENCE_SEC = 600.0
# A price that differs by rounding alone is the same.
DEARER = 1.005


async def do(ctx: RunContext) -> None:
    """Try candidates until one gives a pod with an SSH endpoint; the ring goes on after a bad host.

    Raises:
        StockOut: Every candidate refused; each refusal is named.
        AccountError: Key or balance.
        Unavailable: The API could not be reached, or failed for every candidate.
        StepFailed: The network volume does not exist, or lies elsewhere.
    """
    if ctx.ring is None:
        ctx.ring = new_ring(ctx)
    pod, asked_for = ctx.pod, ctx.candidate  # of an earlier executor of this run
    if pod and asked_for and await _ready(ctx, pod, asked_for):
        await _settle_strays(ctx)
        return
    volume = await reached(ctx, ctx.ring, lambda: mounted_volume(ctx))
    await arrange(ctx, ctx.ring, volume)
    if await _reuse(ctx, volume):
        await _settle_strays(ctx)
        return
    while True:
        candidate = ctx.ring.take()
        if candidate is None:
            if not ctx.ring.next_round(ctx.clock.monotonic()):
                raise nothing_had(ctx.ring)
            await ctx.clock.sleep(ROUND_PAUSE_SEC)
            await arrange(ctx, ctx.ring, volume)
            continue
        if await reached(ctx, ctx.ring, partial(_try, ctx, candidate, volume)):
            await _settle_strays(ctx)
            return


def new_ring(ctx: RunContext) -> Ring:
    """Return the candidates of the plan, none tried yet."""
    wait = ctx.plan.capacity.wait_minutes
    until = ctx.clock.monotonic() + wait * 60 if wait else None
    avoid = retrying.to_avoid(ctx.journal.events, ctx.plan.candidates)
    return Ring(ctx.plan.candidates, ctx.plan.capacity.attempts, until, avoid=avoid)


async def _settle_strays(ctx: RunContext) -> None:
    # Now and not at the end of the run: a stray pod bills meanwhile.
    _, cancelled = await finish(settle_strays(ctx, last=False))
    if cancelled:
        raise asyncio.CancelledError


async def give_up_host(ctx: RunContext, problem: HostUnusable) -> None:
    """Delete a pod whose host will not do and note its candidate as refused.

    A cancellation meanwhile waits for the end: `on_failure` may say to keep pods, but not this one.
    """
    pod, again = ctx.need_pod(), kept.in_hand(ctx)
    reason = f"{kept.RECYCLED}: {problem.cause}" if again else problem.cause
    _, cancelled = await finish(release.discard(ctx, reason=reason))
    if again:
        # Its host says nothing about those that the candidates stand for.
        recycling.tell_unfit(ctx, pod.id, problem.message)
    elif ctx.candidate is not None:
        refuse(ctx, ctx.candidate, problem.message)
    if cancelled:
        raise asyncio.CancelledError


async def _try(ctx: RunContext, candidate: Candidate, volume: Volume | None) -> bool:
    tries, patience = 0, ctx.clock.monotonic() + RATE_LIMIT_PATIENCE_SEC
    while True:
        _refuse_a_second(ctx)
        ctx.billed_since = ctx.clock.now()
        try:
            pod = await create_settled(
                ctx, ctx.new_pod_name(), candidate, partial(pod_request, ctx, candidate, volume)
            )
        except CandidateRefused as error:
            refuse(ctx, candidate, error.message, error.status)
            return False
        except RateLimited as error:
            # The next candidate would hear the same: the limit is waited out.
            if ctx.clock.monotonic() > patience:
                refuse(ctx, candidate, error.message, error.status, api_failed=True)
                return False
            await ctx.clock.sleep(error.retry_after or ROUND_PAUSE_SEC)
            continue
        except (Unavailable, EffectUnknown) as error:
            tries += 1
            if tries < SAME_CANDIDATE_TRIES:
                await ctx.clock.sleep(error.retry_after or 2.0**tries)
                continue
            if isinstance(error, Unreachable):
                raise
            refuse(ctx, candidate, error.message, error.status, api_failed=True)
            return False
        return await _ready(ctx, pod, candidate)


async def _reuse(ctx: RunContext, volume: Volume | None) -> bool:
    """Tell whether a pod that an earlier run of the job kept serves this one."""
    again, cancelled = await finish(recycling.start_kept(ctx, volume))
    if cancelled:
        raise asyncio.CancelledError
    if again is None:
        return False
    _bind(ctx, again.pod, again.candidate)
    _tell_selected(ctx)
    return await _fit(ctx, again.pod, again.candidate)


def _refuse_a_second(ctx: RunContext) -> None:
    """Rent nothing beside a pod that could not be confirmed gone: it may go on costing money.

    Raises:
        StepFailed: There is one.
    """
    left = [record.pod_id for record in ctx.leaked() if record.pod_id is not None]
    if not left:
        return
    named = ", ".join(left)
    raise StepFailed(
        f"Pod {named} could not be confirmed gone, and no other is rented beside it.",
        cause="pod_left",
        help="See to it that it is gone, then run again:\n  runpod-deploy cleanup last",
    )


async def _ready(ctx: RunContext, pod: Pod, candidate: Candidate) -> bool:
    """Tell whether a pod is what was asked for and opens its SSH port; else it is given back."""
    _take(ctx, pod, candidate)
    return await _fit(ctx, pod, candidate)


async def _fit(ctx: RunContext, pod: Pod, candidate: Candidate) -> bool:
    try:
        # What a cluster costs is known for certain once all its nodes are there.
        final = ctx.plan.cluster is None
        _hold_against_plan(ctx, pod, candidate, final=final)
        await wait_for_endpoint(ctx)
        if not final:
            settle_price(ctx)
            _hold_against_plan(ctx, ctx.need_pod(), candidate, final=True)
    except HostUnusable as problem:
        await give_up_host(ctx, problem)
        return False
    return True


def _bind(ctx: RunContext, pod: Pod, candidate: Candidate) -> None:
    ctx.candidate = candidate
    ctx.late_bound["pod_id"] = pod.id
    ctx.late_bound["gpu_id"] = pod.gpu or candidate.gpu
    ctx.late_bound["datacenter_id"] = pod.datacenter or candidate.datacenter or ""


def _tell_selected(ctx: RunContext) -> None:
    ctx.journal.write(
        "gpu_selected",
        gpu_id=ctx.late_bound["gpu_id"],
        datacenter_id=ctx.late_bound["datacenter_id"] or None,
    )


def _take(ctx: RunContext, pod: Pod, candidate: Candidate) -> None:
    _bind(ctx, pod, candidate)
    last = ctx.ring.refusals[-1] if ctx.ring and ctx.ring.refusals else None
    if last and last.candidate.datacenter != candidate.datacenter:
        ctx.journal.write(
            "datacenter_failover",
            **{
                "from": last.candidate.datacenter,
                "to": candidate.datacenter,
                "reason": last.reason,
            },
        )
    if last and last.candidate.cloud != candidate.cloud:
        ctx.journal.write(
            "cloud_type_fallback",
            from_cloud_type=last.candidate.cloud,
            to_cloud_type=candidate.cloud,
            gpu_id=ctx.late_bound["gpu_id"],
            datacenter_id=ctx.late_bound["datacenter_id"] or None,
        )
    _tell_selected(ctx)


def _hold_against_plan(ctx: RunContext, pod: Pod, candidate: Candidate, *, final: bool) -> None:
    plan = ctx.plan.pod
    ceiling = plan.max_price_per_hour_usd
    wrong = []
    if pod.gpu is not None and pod.gpu != candidate.gpu:
        wrong.append(f"{pod.gpu} instead of {candidate.gpu}")
    if pod.gpu_count is not None and pod.gpu_count != plan.gpu_count:
        wrong.append(f"{pod.gpu_count} GPUs instead of {plan.gpu_count}")
    if plan.cpu is not None and pod.vcpus is not None and pod.vcpus != plan.cpu.vcpus:
        wrong.append(f"{pod.vcpus} vCPUs instead of {plan.cpu.vcpus}")
    if pod.cloud is not None and pod.cloud != candidate.cloud:
        wrong.append(f"{pod.cloud} cloud instead of {candidate.cloud}")
    named = candidate.datacenter not in (None, "@volume")
    if named and pod.datacenter is not None and pod.datacenter != candidate.datacenter:
        wrong.append(f"data center {pod.datacenter} instead of {candidate.datacenter}")
    if ceiling is not None and pod.cost is None and final:
        wrong.append(f"no price known while max_price_per_hour_usd is {ceiling:g}")
    if ceiling is not None and pod.cost is not None and pod.cost > ceiling + 1e-9:
        wrong.append(f"${pod.cost:.4g}/h, above max_price_per_hour_usd {ceiling:g}")
    if wrong:
        raise HostUnusable(f"the pod is not what was asked for: {'; '.join(wrong)}", cause="drift")
    if not final:
        return
    if pod.cost is None:
        ctx.warn(
            "price-unknown",
            f"RunPod gives no price for pod {pod.id}: the cost cap cannot be watched.",
        )
        return
    told = ctx.ring.prices.get(candidate) if ctx.ring else None
    if told is not None and pod.cost > told * DEARER:
        ctx.warn(
            "price-differs",
            f"Pod {pod.id} costs ${pod.cost:.4g}/h, and the catalog said ${told:.4g}/h. The caps count "
            "what it costs.",
        )
