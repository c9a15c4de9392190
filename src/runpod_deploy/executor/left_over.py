"""Pods that nothing on record accounts for at a run's end: no run ends with one that nobody meant to keep."""

from __future__ import annotations

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor import kept, spending
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.lost_answers import look_for
from runpod_deploy.executor.ownership import look_at
from runpod_deploy.executor.steps import release
from runpod_deploy.record.run import PodRecord, Run, RunState, fold

REASON = "left over at the run's end"


def left_over(plan: Plan, run: Run) -> tuple[PodRecord, ...]:
    """Return the pods of a run that is over which its record has alive, and which were not to be kept.

    One that was leaked is none of these: it was told of.
    """
    if not run.state.final or run.state is RunState.LEAKED:
        return ()
    return _unended(plan, run, failed=run.cause is not None, held=run.state is RunState.KEPT)


async def end_left_over(ctx: RunContext, *, failed: bool, held: bool) -> None:
    """Release what `left_over` tells of, as the lifecycle says; what cannot be released is leaked.

    Args:
        failed: Whether the run did not succeed.
        held: Whether its pod was kept for the results on it.
    """
    for record in _unended(ctx.plan, fold(ctx.journal.events), failed=failed, held=held):
        if _settled_here(ctx, record):
            continue
        if record.pod_id is None:
            await _end_unanswered(ctx, record.name)
        elif not await _is_of_another_run(ctx, record.pod_id):
            action = ctx.plan.lifecycle.on_failure if failed else ctx.plan.lifecycle.on_success
            if action == "stop":
                await release.stop_pod(ctx, record.pod_id)
            else:
                await release.delete_pod(ctx, record.pod_id, reason=REASON)
            kept.forget(ctx, record.pod_id)


def _unended(plan: Plan, run: Run, *, failed: bool, held: bool) -> tuple[PodRecord, ...]:
    action = plan.lifecycle.on_failure if failed else plan.lifecycle.on_success
    meant = run.pod if held or action == "preserve" else None
    return tuple(
        pod
        for pod in run.pods.values()
        if pod.status == "intended" or (pod.status == "alive" and pod != meant)
    )


def _settled_here(ctx: RunContext, record: PodRecord) -> bool:
    """Return whether this executor saw to it, and only the journal could not be told."""
    pod_id = record.pod_id
    if pod_id is None and ctx.pod is not None and ctx.pod.name == record.name:
        pod_id = ctx.pod.id
    return pod_id in ctx.ended or pod_id in ctx.leaks or record.name in ctx.leaks


async def _is_of_another_run(ctx: RunContext, pod_id: str) -> bool:
    """Return whether a pod is known to have gone over to another run; asked for its end, it would die."""
    try:
        pod = await ctx.cloud.get(pod_id)
    except RunpodDeployError:
        return False  # its end is then not confirmed either
    return pod is not None and look_at(pod, ctx.owner).run_id not in (None, ctx.run_id)


async def _end_unanswered(ctx: RunContext, name: str) -> None:
    """End the pod of a create call of which nobody knows what came."""
    found = await look_for(lambda: ctx.cloud.find(name), ctx.clock)
    if found is None:
        ctx.leak(None, name)
    else:
        gone = [await release.delete_pod(ctx, pod.id, reason=REASON) for pod in found]
        if not all(gone):
            return
        spending.never(ctx, name)
    ctx.note(
        "pod_create_settled",
        op_id=name,
        outcome="unknown" if found is None else "none",
        pod_id=None,
        cost_per_hour_usd=None,
        error=None if found is not None else "it could not be looked for",
    )
