"""setup: the commands that make the pod's software ready."""

from runpod_deploy.executor import telemetry
from runpod_deploy.executor.commands import run_phase
from runpod_deploy.executor.context import RunContext


async def do(ctx: RunContext) -> None:
    """Begin to watch the pod, then run the setup commands in order; the first that fails ends the run."""
    await telemetry.begin(ctx)
    await run_phase(ctx, "setup")
