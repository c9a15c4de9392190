"""One create call, settled: afterwards it is known whether a pod exists, whatever happened to the answer.

RunPod has no idempotency key. The name of the pod is unique per attempt and journalled before the call, so
a pod whose answer was lost is found by its name and adopted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.errors import EffectUnknown, RunpodDeployError
from runpod_deploy.executor import spending
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.lost_answers import look_for
from runpod_deploy.executor.ports import Pod, PodRequest
from runpod_deploy.executor.shielding import finish
from runpod_deploy.executor.steps import release
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.run import fold

LATEST_LISTED_SEC = 30.0
LOOK_EVERY_SEC = 3.0


async def create_settled(
    ctx: RunContext, name: str, candidate: Candidate, request_of: Callable[[str], PodRequest]
) -> Pod:
    """Create a pod and journal intent and outcome; adopts a pod whose answer was lost.

    `request_of` is asked once it is known what the run may cost: the pod is told when that is spent.
    The pod is in hand, and its release on the undo stack, before anything is written about it. A
    cancellation that comes while the call is under way waits for its end, so that a pod cannot be
    created unseen.

    Raises:
        CloudError: No pod was created, as far as can be known: see `settle_strays`.
        AccountError: Key or balance; no pod was created.
    """
    await spending.enter(ctx, name, _known_price(ctx, candidate))
    try:
        request = request_of(name)
        ctx.journal.write(
            "pod_create_intended",
            op_id=name,
            name=name,
            gpu_id=candidate.gpu,
            datacenter_id=request.datacenter,
            cloud_type=candidate.cloud,
        )
    except BaseException:
        spending.never(ctx, name)
        raise
    pod, cancelled = await finish(_create(ctx, request))
    if cancelled:
        raise asyncio.CancelledError
    return pod


def _known_price(ctx: RunContext, candidate: Candidate) -> float | None:
    return ctx.ring.prices.get(candidate) if ctx.ring else None


async def _create(ctx: RunContext, request: PodRequest) -> Pod:
    try:
        pod = await ctx.cloud.create(request)
    except EffectUnknown as error:
        return _adopt(ctx, request, await _reconcile(ctx, request, error))
    except RunpodDeployError as error:
        _settle(ctx, request, "refused", None, error.message)
        raise
    except Exception as error:  # noqa: BLE001 - an answer we cannot read may stand for a pod that bills
        lost = EffectUnknown(f"The answer to the create call cannot be read: {error!r}")
        return _adopt(ctx, request, await _reconcile(ctx, request, lost))
    _have(ctx, pod)
    _settle(ctx, request, "created", pod)
    return pod


def _adopt(ctx: RunContext, request: PodRequest, pod: Pod) -> Pod:
    _have(ctx, pod)
    _settle(ctx, request, "adopted", pod)
    return pod


def _have(ctx: RunContext, pod: Pod) -> None:
    ctx.pod = pod
    ctx.undo.push("pod", lambda: release.on_failure(ctx))


async def _reconcile(ctx: RunContext, request: PodRequest, error: EffectUnknown) -> Pod:
    found = await look_for(lambda: ctx.cloud.find(request.name), ctx.clock)
    if found:
        for extra in found[1:]:
            await release.delete_pod(ctx, extra.id, reason="duplicate of a create call")
        return found[0]
    looked = found is not None
    outcome = "none" if looked else "unknown"
    if not looked:
        ctx.leak(None, request.name)
    _settle(ctx, request, outcome, None, error.message)
    if not looked:
        ctx.warn(
            "create-unsettled",
            f"It is not known whether a pod called {request.name} exists: look for it in the console.",
        )
    raise error


async def settle_open_create(ctx: RunContext, intent: Event) -> None:
    """Settle a create call whose executor ended before its answer came, by looking for its pod.

    Until a pod that was created at the last moment must be listed, not finding it proves nothing.

    Raises:
        CloudError: It cannot be looked for; the call stays open.
        AccountError: The key is refused.
    """
    name = str(intent["op_id"])
    listed_at = (tolerant.seconds(intent.ts_utc) or 0.0) + LATEST_LISTED_SEC
    while not (found := await ctx.cloud.find(name)):
        left = listed_at - ctx.clock.now()
        if left <= 0:
            settle_call(ctx, name, "none", None, "its executor ended, and no pod is there")
            return
        await ctx.clock.sleep(min(left, LOOK_EVERY_SEC))
    for extra in found[1:]:
        await release.delete_pod(ctx, extra.id, reason="duplicate of a create call")
    settle_call(ctx, name, "adopted", found[0])


def _settle(
    ctx: RunContext, request: PodRequest, outcome: str, pod: Pod | None, error: str | None = None
) -> None:
    settle_call(ctx, request.name, outcome, pod, error)


def settle_call(
    ctx: RunContext, name: str, outcome: str, pod: Pod | None, error: str | None = None
) -> None:
    """Write down what became of the create call for the pod `name`, in ledger and journal."""
    if pod is not None:
        spending.created(ctx, pod, name)
    elif outcome in {"refused", "none"}:
        spending.never(ctx, name)
    ctx.journal.write(
        "pod_create_settled",
        op_id=name,
        outcome=outcome,
        pod_id=pod.id if pod else None,
        cost_per_hour_usd=pod.cost if pod else None,
        error=error,
    )


def settle_price(ctx: RunContext) -> None:
    """Write down what the pod in hand costs, if that became known, or changed, after it was made."""
    pod = ctx.need_pod()
    mine = [one for one in fold(ctx.journal.events).pods.values() if one.pod_id == pod.id]
    if pod.cost is not None and mine and mine[-1].cost_per_hour_usd != pod.cost:
        settle_call(ctx, mine[-1].name, "created", pod)


async def settle_strays(ctx: RunContext, *, last: bool) -> None:
    """Look once more for pods of create calls that seemed to have no effect, and delete what is found.

    The last look comes no sooner than `LATEST_LISTED_SEC` after the answer was lost. A name that cannot
    be looked up is settled as `unknown`, which counts as a leak.
    """
    run = fold(ctx.journal.events)
    for event in list(ctx.journal.events):
        if event.event != "pod_create_settled" or event["outcome"] not in {"none", "unknown"}:
            continue
        name = event["op_id"]
        if last:
            lost_at = tolerant.seconds(event.ts_utc) or 0.0
            await ctx.clock.sleep(max(0.0, lost_at + LATEST_LISTED_SEC - ctx.clock.now()))
        try:
            found = await ctx.cloud.find(name)
        except RunpodDeployError as error:
            if event["outcome"] == "unknown":
                ctx.warn("create-unsettled", f"Pod {name} could not be looked up: {error.message}")
            continue
        gone = [
            await release.delete_pod(ctx, pod.id, reason="stray of a create call") for pod in found
        ]
        if all(gone):
            ctx.leaks.pop(name, None)
        if run.pods[name].status == "leaked" and all(gone):
            _settle_again(ctx, name)


def _settle_again(ctx: RunContext, name: str) -> None:
    ctx.note(
        "pod_create_settled",
        op_id=name,
        outcome="none",
        pod_id=None,
        cost_per_hour_usd=None,
        error=None,
    )
