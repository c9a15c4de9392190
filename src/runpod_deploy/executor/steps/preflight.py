"""preflight: last checks on the pod, with everything in place, before the job starts."""

import shlex

from runpod_deploy.compiler.steps import INSTALL_PYTHON_SEC as INSTALL_SEC
from runpod_deploy.errors import StepFailed
from runpod_deploy.executor import uploading
from runpod_deploy.executor.commands import LONGEST_SHOWN, run_phase
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import Completed
from runpod_deploy.executor.untrusted import printable

ASK_PYTHON = "python3 -c 'import platform; print(platform.python_version())'"
UV_PATH = 'PATH="$PATH:$HOME/.local/bin:$HOME/.cargo/bin"'
"""Where the installers of uv put it, which a session without a login shell does not know."""
_NO_UV = 66
_LONGEST_VERSION = 40


async def do(ctx: RunContext) -> None:
    """Check the Python pin and the buckets of results, then run the preflight commands in order.

    Raises:
        StepFailed: The pod's python3 is not `pod.python_version` and uv cannot provide it, a bucket
            refuses the pod, or a command failed.
    """
    await _check_python(ctx)
    await uploading.check(ctx)
    await run_phase(ctx, "preflight")


async def _check_python(ctx: RunContext) -> None:
    pinned = ctx.plan.pod.python_version
    if pinned is None:
        return
    home, transport = ctx.fill(ctx.plan.home), ctx.need_transport()
    environment = f'. "{home}/bin/base-env.sh"; . "{home}/bin/env.sh"'
    done = await transport.run(f"{environment}; {ASK_PYTHON}", timeout=60)
    found = printable(done.stdout.decode("utf-8", "replace").strip(), _LONGEST_VERSION)
    if found == pinned or found.startswith(f"{pinned}."):
        return
    # As in version 2: programs that are started by uv get the version from it.
    install = f"{environment}; {UV_PATH}; command -v uv >/dev/null || exit {_NO_UV}; "
    done = await transport.run(
        f"{install}uv python install {shlex.quote(pinned)}", timeout=INSTALL_SEC
    )
    if done.exit_status == 0:
        return
    raise StepFailed(
        f"pod.python_version asks for {pinned}, but python3 on the pod is {found or 'missing'}, and "
        + _why_not(done),
        cause="python_version",
        help="Choose an image that has it, or install it in setup and put it first on PATH "
        "through remote_env.exports.",
    )


def _why_not(done: Completed) -> str:
    if done.exit_status == _NO_UV:
        return "uv, which could install it, is not there."
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    said = f": {printable(lines[-1], LONGEST_SHOWN)}" if lines else "."
    return f"uv could not install it{said}"
