"""release: what becomes of the pod. Gone means that the API says so, never that it took our word."""

from __future__ import annotations

from dataclasses import replace

from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor import kept, lease, spending
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import AT_REST, STOPPED
from runpod_deploy.executor.releasing import end_pod
from runpod_deploy.executor.shielding import finish
from runpod_deploy.executor.standing import Earlier
from runpod_deploy.executor.steps import secrets


async def do(ctx: RunContext) -> None:
    """Release the pod of a job that succeeded, as `lifecycle.on_success` says.

    A cancellation meanwhile changes nothing: this is the last step, and it is done.
    """
    await finish(_end(ctx, ctx.plan.lifecycle.on_success))
    ctx.undo.drop("pod")


async def on_failure(ctx: RunContext) -> None:
    """Release the pod of a run that did not succeed, as `lifecycle.on_failure` says."""
    await _end(ctx, ctx.plan.lifecycle.on_failure)


async def keep(ctx: RunContext) -> None:
    """Keep the pod that holds results which could not be verified: stopped where the disk survives."""
    await _end(ctx, "stop" if _survives_a_stop(ctx) else "hold")
    ctx.undo.drop("pod")


async def may_hold_results(ctx: RunContext) -> bool:
    """Return whether the pod in hand can still hold what was not brought home.

    A pod that is gone holds nothing, and one that was stopped only what lies on its mount. An API
    that does not answer proves neither.
    """
    try:
        seen = await ctx.cloud.get(ctx.need_pod().id)
    except RunpodDeployError:
        return True
    if seen is None or seen.status == "TERMINATED":
        return False
    if seen.status == "BROKEN":
        # What lay on the node that is lost is lost.
        left = {one.rank for one in seen.members if one.status not in AT_REST}
        return any(node.rank in left and node.unproven_here() for node in ctx.nodes)
    return seen.status not in STOPPED or _survives_a_stop(ctx)


def _survives_a_stop(ctx: RunContext) -> bool:
    mount = ctx.plan.storage.mount if ctx.plan.cluster is None else None
    return mount is not None and all(
        artifact.remote_path.startswith(f"{mount.rstrip('/')}/") for artifact in ctx.plan.artifacts
    )


async def discard(ctx: RunContext, *, reason: str) -> None:
    """Delete the pod in hand, whatever the lifecycle says; afterwards none is in hand."""
    pod = ctx.need_pod()
    await _hang_up(ctx)
    await delete_pod(ctx, pod.id, reason=reason)
    kept.forget(ctx, pod.id)
    ctx.undo.drop("pod")
    ctx.undo.drop("nodes")
    ctx.dismiss_peers()
    ctx.pod = None
    ctx.earlier = Earlier()


async def rest(ctx: RunContext) -> bool:
    """Stop the pod in hand again, which goes on being the run's; True when that was confirmed."""
    pod = ctx.need_pod()
    await _hang_up(ctx)
    done = await stop_pod(ctx, pod.id)
    ctx.pod = replace(pod, status="EXITED" if done else pod.status, ssh=None)
    return done


async def _hang_up(ctx: RunContext) -> None:
    for node in ctx.nodes:
        await _hang_up_on(node)


async def _hang_up_on(ctx: RunContext) -> None:
    lease.stop_beating(ctx)
    transport, ctx.transport = ctx.transport, None
    if transport is None:
        return
    try:
        await transport.close()
    except Exception as error:  # noqa: BLE001 - a connection that will not close must not keep a pod
        ctx.warn("close-failed", f"The connection to the pod was left open: {error}")


async def _end(ctx: RunContext, action: str) -> None:
    pod = ctx.pod
    if pod is None:
        return  # an earlier executor of this run released it
    for node in ctx.nodes:
        if action != "delete":
            await secrets.remove(node)
        if action == "preserve":
            await lease.disarm(node)
        elif action == "hold":
            await lease.hold(node)
    await _hang_up(ctx)
    if action == "recycle":
        await _recycle(ctx, pod.id)
        return
    if action == "delete":
        await delete_pod(ctx, pod.id, reason="released")
    elif action == "stop":
        await stop_pod(ctx, pod.id)
    # What is left on it is not for another run to work on.
    kept.forget(ctx, pod.id)


async def _recycle(ctx: RunContext, pod_id: str) -> None:
    """Stop the pod for the next run of the job; one that cannot be remembered is deleted."""
    if not kept.remember(ctx):
        await delete_pod(ctx, pod_id, reason="released")
        kept.forget(ctx, pod_id)
    elif not await stop_pod(ctx, pod_id):
        kept.forget(ctx, pod_id)


async def delete_pod(ctx: RunContext, pod_id: str, *, reason: str) -> bool:
    """Delete a pod and ask until the API no longer knows it; True when that was confirmed."""
    ctx.note("pod_delete_intended", op_id=f"delete-{pod_id}", pod_id=pod_id, reason=reason)

    error = await end_pod(ctx.cloud, ctx.clock, pod_id, "delete")
    ctx.leaks.pop(pod_id, None)
    if error:
        # Said at once, and also where the journal cannot be written any more.
        ctx.leak(pod_id)
        ctx.progress.message(f"Pod {pod_id} could not be confirmed gone: {error}")
    else:
        ctx.ended.add(pod_id)
        spending.ended(ctx, pod_id, "gone")
    ctx.note(
        "pod_delete_settled",
        op_id=f"delete-{pod_id}",
        pod_id=pod_id,
        outcome="leaked" if error else "gone",
        error=error,
    )
    return error is None


async def stop_pod(ctx: RunContext, pod_id: str) -> bool:
    """Stop a pod and ask until it is EXITED; True when that was confirmed."""
    ctx.note("pod_action_intended", op_id=f"stop-{pod_id}", pod_id=pod_id, action="stop")

    error = await end_pod(ctx.cloud, ctx.clock, pod_id, "stop")
    ctx.leaks.pop(pod_id, None)
    if error:
        ctx.leak(pod_id)
        ctx.progress.message(f"Pod {pod_id} could not be confirmed stopped: {error}")
    else:
        ctx.ended.add(pod_id)
        spending.ended(ctx, pod_id, "stopped")
    ctx.note(
        "pod_action_settled",
        op_id=f"stop-{pod_id}",
        pod_id=pod_id,
        outcome="leaked" if error else "stopped",
        error=error,
    )
    return error is None
