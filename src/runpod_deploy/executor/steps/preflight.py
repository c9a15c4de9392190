"""preflight: last checks on the pod, with everything in place, before the job starts."""

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.commands import run_phase
from runpod_deploy.executor.context import RunContext

ASK_PYTHON = "python3 -c 'import platform; print(platform.python_version())'"


async def do(ctx: RunContext) -> None:
    """Check the Python pin, then run the preflight commands in order.

    Raises:
        StepFailed: The pod's python3 is not `pod.python_version`, or a command failed.
    """
    await _check_python(ctx)
    await run_phase(ctx, "preflight")


async def _check_python(ctx: RunContext) -> None:
    pinned = ctx.plan.pod.python_version
    if pinned is None:
        return
    home = ctx.fill(ctx.plan.home)
    command = f'. "{home}/bin/base-env.sh"; . "{home}/bin/env.sh"; {ASK_PYTHON}'
    done = await ctx.need_transport().run(command, timeout=60)
    found = done.stdout.decode("utf-8", "replace").strip()
    if found != pinned and not found.startswith(f"{pinned}."):
        raise StepFailed(
            f"pod.python_version asks for {pinned}, but python3 on the pod is {found or 'missing'}.",
            cause="python_version",
            help="Choose an image that has it, or install it in setup and put it first on PATH "
            "through remote_env.exports.",
        )
