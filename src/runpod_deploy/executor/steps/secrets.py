"""secrets: lays secret values on the pod, after staging so that nothing can wipe them."""

from __future__ import annotations

import posixpath
import shlex

from runpod_deploy.compiler.plan import PlanSecret
from runpod_deploy.errors import CommandFailed, TransportError
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.untrusted import first_lines
from runpod_deploy.record.run import fold

PARTIAL = ".runpod-deploy-partial"


async def do(ctx: RunContext) -> None:
    """Write each secret over stdin, never in a command line, with the mode asked for.

    Raises:
        CommandFailed: The destination cannot be written.
    """
    for secret in ctx.plan.secrets:
        await deliver(ctx, secret)
        ctx.journal.write("secret_delivered", name=secret.name)


async def deliver(ctx: RunContext, secret: PlanSecret) -> None:
    """Write one secret.

    Raises:
        CommandFailed: The destination cannot be written.
    """
    destination = ctx.fill(secret.destination)
    folder = posixpath.dirname(destination) or "/"
    partial = shlex.quote(f"{destination}{PARTIAL}")
    command = (
        f"umask 077 && mkdir -p {shlex.quote(folder)} && cat >{partial} && "
        f"chmod {secret.mode} {partial} && mv -f {partial} {shlex.quote(destination)}"
    )
    done = await ctx.need_transport().run(command, stdin=ctx.secret_values[secret.name], timeout=60)
    if done.exit_status != 0:
        why = first_lines(done.stderr)
        raise CommandFailed(
            f"Secret {secret.name!r} could not be written to {destination}: {why}",
            exit_status=done.exit_status,
        )


async def remove(ctx: RunContext) -> None:
    """Remove delivered secrets from a pod that is kept; a failure is a warning."""
    delivered = fold(ctx.journal.events).secrets_delivered
    if ctx.transport is None:
        if delivered:
            ctx.warn("secrets-left", "The pod is kept, cannot be reached, and holds the secrets.")
        return
    if not ctx.plan.secrets:
        return
    files = [ctx.fill(secret.destination) for secret in ctx.plan.secrets]
    paths = shlex.join([name for file in files for name in (file, f"{file}{PARTIAL}")])
    try:
        done = await ctx.transport.run(f"rm -f -- {paths}", timeout=30)
        if done.exit_status == 0:
            return
        why = first_lines(done.stderr)
    except (TransportError, TimeoutError) as error:
        why = str(error)
    ctx.warn("secrets-left", f"The secrets could not be removed from the pod that is kept: {why}")
