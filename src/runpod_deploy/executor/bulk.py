"""Further connections to the run's pod, for what is large."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from runpod_deploy.errors import ConnectFailed
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.lanes import Lanes

CONNECT_WITHIN_SEC = 20.0


@asynccontextmanager
async def bulk_lanes(ctx: RunContext) -> AsyncGenerator[Lanes]:
    """Provide connections to the pod in hand, opened when they help and closed at the end."""

    async def more() -> Transport:
        pod = ctx.need_pod()
        if pod.ssh is None:
            raise ConnectFailed(f"Pod {pod.id} has no SSH port at the moment.")
        return await ctx.connector.connect(pod.ssh, pod.id, timeout=CONNECT_WITHIN_SEC)

    lanes = Lanes(more)
    try:
        yield lanes
    finally:
        await lanes.close()
