"""provision: walks the candidate ring until a pod is had whose SSH port is open to us."""

from __future__ import annotations

import asyncio
import json
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
from runpod_deploy.executor import lease, pod_secrets
from runpod_deploy.executor.choosing import ROUND_PAUSE_SEC, arrange, nothing_had, reached, refuse
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.creation import create_settled, settle_strays
from runpod_deploy.executor.ports import Pod, PodRequest, Volume
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
        StepFailed: The network volume does not exist.
    """
    if ctx.ring is None:
        ctx.ring = new_ring(ctx)
    pod, asked_for = ctx.pod, ctx.candidate  # of an earlier executor of this run
    if pod and asked_for and await _ready(ctx, pod, asked_for):
        await _settle_strays(ctx)
        return
    volume = await reached(ctx, ctx.ring, lambda: _volume(ctx))
    await arrange(ctx, ctx.ring, volume)
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
    return Ring(ctx.plan.candidates, ctx.plan.capacity.attempts, until)


async def _settle_strays(ctx: RunContext) -> None:
    # Now and not at the end of the run: a stray pod bills meanwhile.
    _, cancelled = await finish(settle_strays(ctx, last=False))
    if cancelled:
        raise asyncio.CancelledError


async def give_up_host(ctx: RunContext, problem: HostUnusable) -> None:
    """Delete a pod whose host will not do and note its candidate as refused.

    A cancellation meanwhile waits for the end: `on_failure` may say to keep pods, but not this one.
    """
    _, cancelled = await finish(release.discard(ctx, reason=problem.cause))
    if ctx.candidate is not None:
        refuse(ctx, ctx.candidate, problem.message)
    if cancelled:
        raise asyncio.CancelledError


async def _try(ctx: RunContext, candidate: Candidate, volume: Volume | None) -> bool:
    tries, patience = 0, ctx.clock.monotonic() + RATE_LIMIT_PATIENCE_SEC
    while True:
        request = _request(ctx, candidate, volume)
        ctx.billed_since = ctx.clock.now()
        try:
            pod = await create_settled(ctx, request, candidate)
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


async def _ready(ctx: RunContext, pod: Pod, candidate: Candidate) -> bool:
    """Tell whether a pod is what was asked for and opens its SSH port; else it is given back."""
    _take(ctx, pod, candidate)
    try:
        _hold_against_plan(ctx, pod, candidate)
        await wait_for_endpoint(ctx)
    except HostUnusable as problem:
        await give_up_host(ctx, problem)
        return False
    return True


def _take(ctx: RunContext, pod: Pod, candidate: Candidate) -> None:
    ctx.candidate = candidate
    ctx.late_bound["pod_id"] = pod.id
    ctx.late_bound["gpu_id"] = pod.gpu or candidate.gpu
    datacenter = pod.datacenter or candidate.datacenter or ""
    ctx.late_bound["datacenter_id"] = datacenter
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
            datacenter_id=datacenter or None,
        )
    ctx.journal.write(
        "gpu_selected", gpu_id=ctx.late_bound["gpu_id"], datacenter_id=datacenter or None
    )


def _hold_against_plan(ctx: RunContext, pod: Pod, candidate: Candidate) -> None:
    plan = ctx.plan.pod
    ceiling = plan.max_price_per_hour_usd
    wrong = []
    if pod.gpu is not None and pod.gpu != candidate.gpu:
        wrong.append(f"GPU {pod.gpu} instead of {candidate.gpu}")
    if pod.gpu_count is not None and pod.gpu_count != plan.gpu_count:
        wrong.append(f"{pod.gpu_count} GPUs instead of {plan.gpu_count}")
    if pod.cloud is not None and pod.cloud != candidate.cloud:
        wrong.append(f"{pod.cloud} cloud instead of {candidate.cloud}")
    named = candidate.datacenter not in (None, "@volume")
    if named and pod.datacenter is not None and pod.datacenter != candidate.datacenter:
        wrong.append(f"data center {pod.datacenter} instead of {candidate.datacenter}")
    if ceiling is not None and pod.cost is None:
        wrong.append(f"no price known while max_price_per_hour_usd is {ceiling:g}")
    if ceiling is not None and pod.cost is not None and pod.cost > ceiling + 1e-9:
        wrong.append(f"${pod.cost:.4g}/h, above max_price_per_hour_usd {ceiling:g}")
    if wrong:
        raise HostUnusable(f"the pod is not what was asked for: {'; '.join(wrong)}", cause="drift")
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


def _request(ctx: RunContext, candidate: Candidate, volume: Volume | None) -> PodRequest:
    plan = ctx.plan
    datacenter = volume.datacenter if volume else candidate.datacenter
    env = {key: ctx.fill(value) for key, value in plan.pod.env.items()}
    persistent = plan.storage.mode == "ephemeral"
    return PodRequest(
        name=ctx.new_pod_name(),
        image=plan.pod.image,
        template_id=plan.pod.template_id,
        registry_auth=plan.pod.registry_auth,
        gpu=candidate.gpu,
        gpu_count=plan.pod.gpu_count,
        cloud=candidate.cloud,
        datacenter=datacenter,
        container_disk_gb=plan.pod.container_disk_gb,
        ports=plan.pod.ports,
        min_cuda=plan.pod.min_cuda,
        mount=plan.storage.mount if volume or persistent else None,
        network_volume_id=volume.id if volume else None,
        persistent_gb=plan.storage.volume_gb if persistent else None,
        args=None if plan.pod.args is None else ctx.fill(plan.pod.args),
        env={
            **env,
            **pod_secrets.pod_env(plan),
            "PUBLIC_KEY": ctx.public_keys(),
            "RUNPOD_DEPLOY_META": json.dumps(
                {
                    "run": ctx.run_id,
                    "plan_hash": ctx.plan_file.plan_hash,
                    "owner": ctx.owner,
                    "dead_after": lease.dead_after(ctx),
                    "keep_hours": plan.lifecycle.keep_hours,
                },
                separators=(",", ":"),
            ),
            "RUNPOD_DEPLOY_API_URL": ctx.api_url,
            **lease.boot_env(ctx),
        },
    )


async def _volume(ctx: RunContext) -> Volume | None:
    if ctx.plan.storage.mode != "network_volume":
        return None
    name = ctx.plan.storage.volume_name
    found = [volume for volume in await ctx.cloud.volumes() if name in (volume.name, volume.id)]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(f"{volume.id} in {volume.datacenter}" for volume in found)
        raise StepFailed(
            f"The account has {len(found)} network volumes called {name!r}: {places}.",
            cause="volume_ambiguous",
            help="Write the id of the one you mean as storage.volume_name.",
        )
    raise StepFailed(
        f"The account has no network volume called {name!r}.",
        cause="volume_missing",
        help="Create it in the RunPod console, or correct storage.volume_name.",
    )
