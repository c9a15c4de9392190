"""From a pod's id to a place where its SSH server should answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runpod_deploy.errors import CloudError, HostUnusable
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import LOST, Clock, Pod

FIRST_PAUSE_SEC = 0.25
LONGEST_PAUSE_SEC = 5.0


class PodReader(Protocol):
    """As much of a cloud as it takes to watch a pod."""

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod, None when the API says that it is not there."""


async def wait_for_endpoint(ctx: RunContext) -> None:
    """Ask for the pod until it has a public port for SSH; `ctx.pod` then holds it.

    Raises:
        HostUnusable: The pod vanished, failed, or got no port in time.
    """
    began = ctx.clock.monotonic()

    def seen(pod: Pod) -> None:
        ctx.pod = pod

    limit = ctx.plan.budget.ssh_ready_timeout_sec
    pod = await reachable(ctx.cloud, ctx.clock, ctx.need_pod(), limit, seen)
    ctx.journal.write(
        "pod_ready",
        pod_id=pod.id,
        host=pod.ssh.host if pod.ssh else None,
        port=pod.ssh.port if pod.ssh else None,
        duration_sec=round(ctx.clock.monotonic() - began, 3),
    )


async def reachable(
    cloud: PodReader,
    clock: Clock,
    pod: Pod,
    limit: float,
    seen: Callable[[Pod], None] = lambda _pod: None,
) -> Pod:
    """Return the pod once it has a public port for SSH.

    RUNNING is not enough: RunPod reports it long before a port exists.

    Args:
        limit: Seconds that it may take.
        seen: Told of each look at the pod.

    Raises:
        HostUnusable: The pod vanished, failed, or got no port in time.
    """
    began = clock.monotonic()
    pause = FIRST_PAUSE_SEC
    trouble = ""
    while not pod.ready:
        if clock.monotonic() - began > limit:
            raise HostUnusable(
                f"pod {pod.id} got no SSH port within {limit:g} s{trouble}", cause="never_ready"
            )
        await clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SEC)
        try:
            now = await cloud.get(pod.id)
        except CloudError as error:
            # One failed look is no verdict on the pod.
            trouble = f" (last answer: {error.message})"
            continue
        if now is None:
            raise HostUnusable(f"pod {pod.id} vanished while it started", cause="pod_gone")
        if now.status in LOST:
            raise HostUnusable(
                f"pod {pod.id} is {now.status} before it was ready", cause="pod_error"
            )
        pod = now
        seen(pod)
    return pod
