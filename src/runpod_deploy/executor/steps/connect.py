"""connect: the first login, which is what makes a pod ready, and the scripts of the run."""

from __future__ import annotations

import asyncio
import io
import tarfile

from runpod_deploy.errors import (
    AuthRejected,
    CommandFailed,
    ConnectFailed,
    ConnectionLost,
    HostUnusable,
    RunpodDeployError,
    StepFailed,
)
from runpod_deploy.executor import host_key, lease, pod_secrets
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import LOST, Transport
from runpod_deploy.executor.untrusted import first_lines

LOGIN_TIMEOUT_SEC = 20.0
FIRST_PAUSE_SEC = 0.3
LONGEST_PAUSE_SEC = 5.0


async def do(ctx: RunContext) -> None:
    """Log in, hold the host key against the pod's log, lay the scripts on the pod, and arm its lease.

    Raises:
        HostUnusable: Nobody answered in time.
        StepFailed: The pod answers but does not know our key, or its lease is required and cannot work.
        HostKeyChanged: Another machine answers, or the log names another key.
        ConnectionLost: Connections break until the time for the login is over.
    """
    give_up = ctx.clock.monotonic() + ctx.plan.budget.ssh_ready_timeout_sec
    await login(ctx)
    while True:
        try:
            await host_key.confirm(ctx)
            await _upload_scripts(ctx)
            await lease.arm(ctx)
        except ConnectionLost:
            # A network that stumbles, or an image that starts its sshd twice: no reason for another pod.
            if ctx.clock.monotonic() >= give_up:
                raise
            await ctx.clock.sleep(FIRST_PAUSE_SEC)
            await again(ctx)
        else:
            return


async def login(ctx: RunContext) -> None:
    """Open the connection, asking again until the deadline: sshd starts some time after the port exists."""
    limit = ctx.plan.budget.ssh_ready_timeout_sec
    give_up = ctx.clock.monotonic() + limit
    pause = FIRST_PAUSE_SEC
    while True:
        try:
            ctx.transport = await _connect_once(ctx)
        except (ConnectFailed, ConnectionLost, AuthRejected) as error:
            if ctx.clock.monotonic() >= give_up:
                raise _verdict(ctx, error, limit) from error
        else:
            break
        await ctx.clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SEC)
        await _refresh_endpoint(ctx)
    ctx.journal.write(
        "host_key_enrolled",
        pod_id=ctx.need_pod().id,
        fingerprint=host_key.fingerprint(ctx.need_transport().host_key()),
    )


async def again(ctx: RunContext) -> None:
    """Replace a broken connection by a new one."""
    if ctx.transport is not None:
        await ctx.transport.close()
        ctx.transport = None
    await login(ctx)


async def _connect_once(ctx: RunContext) -> Transport:
    pod = ctx.need_pod()
    if pod.ssh is None:
        raise ConnectFailed(f"Pod {pod.id} has no SSH port at the moment.")
    transport = await ctx.connector.connect(pod.ssh, pod.id, timeout=LOGIN_TIMEOUT_SEC)
    # A login that cannot run a trivial command is no login.
    try:
        done = await transport.run("true", timeout=LOGIN_TIMEOUT_SEC)
        if done.exit_status != 0:
            raise ConnectFailed("The pod's SSH server answers but runs no commands.")
        await pod_secrets.learn(ctx, transport)
    except BaseException as error:
        await transport.close()
        if isinstance(error, TimeoutError):
            raise ConnectFailed("The pod's SSH server answers but its commands hang.") from error
        raise
    return transport


async def _refresh_endpoint(ctx: RunContext) -> None:
    """Look the pod up again: RunPod may report a stale port for a while."""
    try:
        seen = await ctx.cloud.get(ctx.need_pod().id)
    except RunpodDeployError:
        return
    if seen is None or seen.status in LOST:
        state = seen.status if seen else "gone"
        raise HostUnusable(f"pod {ctx.need_pod().id} is {state} before a login", cause="pod_gone")
    ctx.pod = seen


def _verdict(ctx: RunContext, error: Exception, limit: float) -> StepFailed:
    pod = ctx.need_pod()
    if isinstance(error, AuthRejected):
        return StepFailed(
            f"Pod {pod.id} answers over SSH but refused the run's key for {limit:g} s.",
            cause="auth_rejected",
            help="The image must install env.PUBLIC_KEY as an authorized key, as RunPod's official "
            "images do in /start.sh; pod.start_command can do it for others.",
        )
    return HostUnusable(
        f"no SSH login to pod {pod.id} within {limit:g} s: {error}", cause="no_login"
    )


async def _upload_scripts(ctx: RunContext) -> None:
    archive = await asyncio.to_thread(_archive, ctx)
    command = "umask 077 && tar -xpf - --no-same-owner -C /"
    done = await ctx.need_transport().run(command, stdin=archive, timeout=120)
    if done.exit_status != 0:
        why = first_lines(done.stderr)
        raise CommandFailed(
            f"The scripts could not be laid on the pod: {why}", exit_status=done.exit_status
        )


def _archive(ctx: RunContext) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for script in ctx.plan.scripts:
            content = ctx.fill_script(script).encode()
            member = tarfile.TarInfo(ctx.fill(script.path).lstrip("/"))
            member.size = len(content)
            member.mode = int(script.mode, 8)
            member.mtime = int(ctx.clock.now())
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
