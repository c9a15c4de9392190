"""setup: the commands that make the pod's software ready."""

from runpod_deploy.executor.commands import run_phase
from runpod_deploy.executor.context import RunContext


async def do(ctx: RunContext) -> None:
    """Run the setup commands in order; the first that fails ends the run."""
    await run_phase(ctx, "setup")
