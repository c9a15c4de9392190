"""Brings a run context to where the journal left it: every open intent settled by asking the cloud.

Nothing here concludes from silence. When the API cannot be asked, the run is left as it stands, to be
carried on later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.errors import RunpodDeployError, StepFailed, TransportError
from runpod_deploy.executor import (
    kept,
    lease,
    mounted_volume,
    nodes,
    retrying,
    spending,
    starting,
    telemetry,
    uploading,
    waking,
)
from runpod_deploy.executor.choosing import candidate_of, refuse
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.creation import settle_call, settle_open_create
from runpod_deploy.executor.ownership import look_at
from runpod_deploy.executor.ports import STOPPED, Pod
from runpod_deploy.executor.recalling import (
    job_ended,
    open_intents,
    recall_deadline,
    recall_results,
    recall_ring,
    settle_the_rest,
)
from runpod_deploy.executor.shielding import finish
from runpod_deploy.executor.standing import (
    Earlier,
    Standing,
    on_this_pod,
    only_stop_failed,
    read_earlier,
)
from runpod_deploy.executor.steps import check, collect, connect, execute, release
from runpod_deploy.record import tolerant
from runpod_deploy.record.run import PodRecord, fold

# Reasons for which a pod is deleted that say nothing about its host.
NOT_THE_HOST = frozenset(
    {"released", retrying.LOST, "duplicate of a create call", "stray of a create call"}
)


async def take_up(ctx: RunContext, where: Standing) -> Exception | None:
    """Bring `ctx` to where the run was left; a cancellation meanwhile waits for the end of that.

    Returns:
        Why that cannot be done now; nothing was concluded then, and the run is as it was.
    """
    try:
        _, cancelled = await finish(_restore(ctx, where))
    except asyncio.CancelledError as stop:
        if not isinstance(stop.__cause__, Exception):
            raise
        # Asked to end meanwhile, it still is only half known: ended now, its pod would stay, untold of.
        return resumable(stop.__cause__, ctx.folder.path, asked_to_end=True)
    except Exception as error:  # noqa: BLE001 - a run that is only half known must not be undone
        return resumable(error, ctx.folder.path)
    if cancelled:
        raise asyncio.CancelledError
    return None


async def _restore(ctx: RunContext, where: Standing) -> None:
    """Settle what is open and fill `ctx` and its undo stack with what is known of the run.

    Raises:
        CloudError: The API cannot be asked; nothing was concluded.
        AccountError: The key is refused.
        InvalidInput: A secret is missing.
    """
    ctx.attempts = sum(event.event == "pod_create_intended" for event in ctx.journal.events)
    if not where.over and (not job_ended(ctx) or uploading.needs_keys(ctx)):
        await check.read_secrets(ctx)
    # Asked before anything else: without an answer to this, nothing is done at all.
    ours = await _pods_of_run(ctx)
    await _settle_deletes(ctx)
    await _settle_actions(ctx)
    await _settle_creates(ctx)
    await _adopt_unknown(ctx, ours)
    await retrying.clear_up(ctx)
    await _take_pod(ctx, where)
    spending.recall(ctx)
    # What was done on a pod that is gone is to be done anew on the next one.
    ctx.earlier = read_earlier(ctx.journal.events) if ctx.pod is not None else Earlier()
    recall_ring(ctx)
    recall_results(ctx)
    recall_deadline(ctx)
    settle_the_rest(ctx, where)
    if ctx.pod is None and (where.over or where.failure is not None):
        kept.give_back(ctx)
    if ctx.pod is not None:
        ctx.undo.push("pod", lambda: release.on_failure(ctx))
        if ctx.plan.cluster is not None:
            await _recall_nodes(ctx, where)
        _restore_undo(ctx, where)
        if ctx.pod.status in STOPPED:
            await waking.start(ctx, where)
        elif ctx.earlier.lease and not where.over:
            lease.go_on(ctx)
    await _settle_leaks(ctx)


async def reach(ctx: RunContext, step: str | None) -> None:
    """Log in again where the step to go on with takes a connection for granted; None: for the undo.

    Raises:
        StepFailed: The pod is gone, or does not let us in.
        TransportError: Likewise.
    """
    if ctx.pod is None or ctx.transport is not None or ctx.pod.status in STOPPED:
        return
    if step in {"setup", "stage", "secrets", "preflight", "collect"}:
        await connect.login(ctx)
    elif _useful(ctx, step):
        try:
            await connect.login(ctx)
        except (StepFailed, TransportError) as error:
            ctx.warn("not-reached", f"The pod could not be reached again: {error}")


def _useful(ctx: RunContext, step: str | None) -> bool:
    """Return whether there is anything on the pod to see to before it is let go."""
    lifecycle = ctx.plan.lifecycle
    if step == "release":
        return lifecycle.on_success != "delete"
    if step is not None or not (ctx.earlier.lease or ctx.earlier.commands):
        return False  # the step logs in by itself, or nobody ever did
    return lifecycle.on_failure != "delete" or bool({"run", "artifacts"} & set(ctx.undo.names()))


async def _pods_of_run(ctx: RunContext) -> list[Pod]:
    """Return the pods of the account that carry the run's mark."""
    return [
        pod
        for pod in await ctx.cloud.pods()
        if (seen := look_at(pod, ctx.owner)).ours and seen.run_id == ctx.run_id
    ]


async def _adopt_unknown(ctx: RunContext, ours: Sequence[Pod]) -> None:
    """Write down pods of the run that the journal does not know, as when its end was cut off."""
    known = fold(ctx.journal.events).pods
    for pod in ours:
        if pod.name not in known:
            ctx.journal.write(
                "pod_create_intended",
                op_id=pod.name,
                name=pod.name,
                gpu_id=pod.gpu or "",
                datacenter_id=pod.datacenter,
                cloud_type=pod.cloud or "SECURE",
            )
            settle_call(ctx, pod.name, "adopted", pod)


async def _settle_deletes(ctx: RunContext) -> None:
    for event in open_intents(ctx, "pod_delete_intended"):
        pod_id, reason = event["pod_id"], str(event.fields.get("reason"))
        await release.delete_pod(ctx, pod_id, reason=reason)
        if reason not in NOT_THE_HOST and not reason.startswith(kept.RECYCLED):
            record = _record(ctx, pod_id)
            if record is not None:
                refuse(ctx, candidate_of(ctx, record), f"its host was given up: {reason}")


async def _settle_actions(ctx: RunContext) -> None:
    for event in open_intents(ctx, "pod_action_intended"):
        if event.fields.get("action") == "start":
            await starting.settle_open_start(ctx, event)
        else:
            await release.stop_pod(ctx, event["pod_id"])


async def _settle_creates(ctx: RunContext) -> None:
    for event in open_intents(ctx, "volume_create_intended"):
        await mounted_volume.settle_open_create(ctx, event)
    for event in open_intents(ctx, "pod_create_intended"):
        await settle_open_create(ctx, event)


async def _take_pod(ctx: RunContext, where: Standing) -> None:
    """Take the run's living pod in hand, as the API describes it now; others are deleted.

    One that was stopped with the run's results on it is the run's as well.
    """
    run = fold(ctx.journal.events)
    alive = [pod for pod in run.pods.values() if pod.status == "alive"]
    if not alive and run.pod is not None and _was_left(ctx, run.pod):
        alive = [run.pod] if waking.may_hold_the_run(ctx, where) else []
    for extra in alive[:-1]:
        await release.delete_pod(ctx, extra.pod_id or "", reason="duplicate of a create call")
    if run.pod is not None and run.pod.pod_id is not None:
        _bind(ctx, run.pod)
    if not alive or alive[-1].pod_id is None:
        return
    record, pod_id = alive[-1], alive[-1].pod_id
    seen = await ctx.cloud.get(pod_id) or _remembered(record)
    if record.status == "stopped" and starting.runs_for_us(ctx, seen):
        starting.found_running(ctx, seen, record)
        record = fold(ctx.journal.events).pods[record.name]
    cost = record.cost_per_hour_usd if seen.cost is None else seen.cost
    ctx.pod = replace(seen, cost=cost)
    ctx.candidate = candidate_of(ctx, record)
    ctx.billed_since = tolerant.seconds(record.created_at) or ctx.clock.now()
    _bind(ctx, record)
    gone = seen.status == "TERMINATED"
    over = gone or (seen.status in STOPPED and waking.was_used(ctx, where))
    if over and record.status != "stopped":
        waking.note_ended(ctx, record)
    replaceable = waking.is_replaceable(ctx, where)
    if gone and (record.status != "alive" or replaceable):
        # Its lease or somebody else deleted it; asked for its end, the API says so once more.
        await release.delete_pod(ctx, pod_id, reason="gone")
        if replaceable:
            ctx.pod = None


def _was_left(ctx: RunContext, record: PodRecord) -> bool:
    """Return whether a pod was stopped, or was to be: what was to be deleted is not taken again."""
    if record.status == "leaked":
        return only_stop_failed(ctx.journal.events, record.pod_id)
    return record.status == "stopped"


def _bind(ctx: RunContext, record: PodRecord) -> None:
    """Bind the tokens that a pod gives a value, and tell again how its scripts were filled."""
    ctx.late_bound["pod_id"] = record.pod_id or ""
    ctx.late_bound["gpu_id"] = record.gpu_id
    ctx.late_bound["datacenter_id"] = record.datacenter_id or ""
    if any(event.event == "host_key_enrolled" for event in on_this_pod(ctx.journal.events)):
        for script in ctx.plan.scripts:
            ctx.fill_script(script)


def _remembered(record: PodRecord) -> Pod:
    """Return a pod that the API no longer knows; whoever works with it finds that out."""
    return Pod(
        id=record.pod_id or "",
        name=record.name,
        status="TERMINATED",
        gpu=record.gpu_id or None,
        gpu_count=None,
        cloud=record.cloud_type,
        datacenter=record.datacenter_id,
        cost=record.cost_per_hour_usd,
        image=None,
        ssh=None,
    )


async def _recall_nodes(ctx: RunContext, where: Standing) -> None:
    """Take up the other nodes of a cluster, each where its own journal left it."""
    steps = [step.name for step in ctx.plan.steps]
    if not where.over and where.failure is None and where.first > steps.index("connect"):
        await nodes.look_again(ctx)
    nodes.bind(ctx, nodes.joined(ctx, ctx.need_pod().members))
    for peer in ctx.peers:
        recall_results(peer)
        recall_deadline(peer)
        settle_the_rest(peer, where)
        _restore_undo(peer, where)
        if peer.earlier.lease and not where.over:
            lease.go_on(peer)


def _restore_undo(ctx: RunContext, where: Standing) -> None:
    """Push again what undoes the steps that were done on a pod, in their order."""
    steps = [step.name for step in ctx.plan.steps]
    if where.over or where.first > steps.index("collect"):
        return
    if where.first > steps.index("setup"):
        ctx.undo.push("telemetry", lambda: telemetry.end(ctx))
    if ctx.earlier.intended_at is not None:
        ctx.undo.push("artifacts", lambda: collect.salvage(ctx))
        if ctx.job_end is None:
            execute.push_end_of_run(ctx)


async def _settle_leaks(ctx: RunContext) -> None:
    """Ask once more for ends that could not be confirmed; a pod that was to be stopped is not deleted."""
    for record in fold(ctx.journal.events).leaked:
        in_hand = ctx.pod is not None and ctx.pod.id == record.pod_id
        if record.pod_id is None or in_hand:
            continue
        if not only_stop_failed(ctx.journal.events, record.pod_id):
            await release.delete_pod(ctx, record.pod_id, reason="leaked")
        elif record.pod_id not in ctx.leaks:  # else it was asked a moment ago
            await release.stop_pod(ctx, record.pod_id)


def _record(ctx: RunContext, pod_id: str) -> PodRecord | None:
    pods = fold(ctx.journal.events).pods.values()
    return next((pod for pod in pods if pod.pod_id == pod_id), None)


def resumable(error: Exception, folder: Path, *, asked_to_end: bool = False) -> Exception:
    """Return the error of a run that cannot be carried on now, with how to do it, or end it, later."""
    if isinstance(error, RunpodDeployError):
        again = f"The run is as it was; carry it on with:\n  runpod-deploy resume {folder}"
        if asked_to_end:
            again += (
                f"\nor, as it was not ended either, end it with:\n  runpod-deploy cancel {folder}"
            )
        error.help = f"{error.help}\n{again}" if error.help else again
    return error
