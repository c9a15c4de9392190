"""From a pod's id to a place where its SSH server should answer."""

from __future__ import annotations

from runpod_deploy.errors import CloudError, HostUnusable
from runpod_deploy.executor.context import RunContext

FIRST_PAUSE_SEC = 0.25
LONGEST_PAUSE_SEC = 5.0


async def wait_for_endpoint(ctx: RunContext) -> None:
    """Ask for the pod until it has a public port for SSH; `ctx.pod` then holds it.

    RUNNING is not enough: RunPod reports it long before a port exists.

    Raises:
        HostUnusable: The pod vanished, failed, or got no port in time.
    """
    pod = ctx.need_pod()
    began = ctx.clock.monotonic()
    limit = ctx.plan.budget.ssh_ready_timeout_sec
    pause = FIRST_PAUSE_SEC
    trouble = ""
    while pod.ssh is None:
        if ctx.clock.monotonic() - began > limit:
            raise HostUnusable(
                f"pod {pod.id} got no SSH port within {limit:g} s{trouble}", cause="never_ready"
            )
        await ctx.clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SEC)
        try:
            seen = await ctx.cloud.get(pod.id)
        except CloudError as error:
            # One failed look is no verdict on the pod.
            trouble = f" (last answer: {error.message})"
            continue
        if seen is None:
            raise HostUnusable(f"pod {pod.id} vanished while it started", cause="pod_gone")
        if seen.status in {"ERROR", "TERMINATED", "EXITED"}:
            raise HostUnusable(
                f"pod {pod.id} is {seen.status} before it was ready", cause="pod_error"
            )
        pod = ctx.pod = seen
    ctx.journal.write(
        "pod_ready",
        pod_id=pod.id,
        host=pod.ssh.host,
        port=pod.ssh.port,
        duration_sec=round(ctx.clock.monotonic() - began, 3),
    )
