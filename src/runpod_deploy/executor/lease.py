"""The executor's side of the lease: arms the watchdog on the pod, and lets it know that somebody is there."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import shlex

from runpod_deploy.compiler.lease import BOOT_ENV
from runpod_deploy.compiler.plan import PlanPod
from runpod_deploy.compiler.scripts import BOOT_SCRIPT
from runpod_deploy.errors import StepFailed, TransportError
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.money import capped_at
from runpod_deploy.executor.untrusted import first_lines

SCRIPT = "lease"
ARM_WITHIN_SEC = 180.0
BEAT_EVERY_SEC = 10.0
BEAT_WITHIN_SEC = 30.0
RESTORE_WITHIN_SEC = 300.0  # the log may be long
# Steps before the run, results on their way home: what a run may take beside its script.
AROUND_SEC = 6 * 3600.0
# No GPU of RunPod's is cheaper, in USD per hour: a pod's money lasts at most so long.
CHEAPEST_GPU_USD = 0.05
CHEAPEST_VCPU_USD = 0.01

_ARMED = re.compile(r"armed (-|curl|python3|wget|runpodctl)")


async def arm(ctx: RunContext) -> None:
    """Begin the watch on the pod, test whether it can act, and go on telling it that we are here.

    Armed again, as by a run that is resumed, it takes up the new terms.

    Raises:
        StepFailed: `lease.required` is set, and nothing on the pod reaches RunPod's API.
        TransportError: The connection broke.
    """
    if not _has_lease(ctx):
        return
    via = await _begin(ctx)
    ctx.journal.write("lease_armed", verified=via is not None, via=via)
    if via is None:
        _unverified(ctx)
    go_on(ctx)


def go_on(ctx: RunContext) -> None:
    """Tell an armed watchdog from now on that somebody is there."""
    stop_beating(ctx)
    if _has_lease(ctx):
        ctx.heartbeat = asyncio.create_task(_beat(ctx))


def stop_beating(ctx: RunContext) -> None:
    """Fall silent: the watchdog counts from here."""
    beating, ctx.heartbeat = ctx.heartbeat, None
    if beating is not None:
        beating.cancel()


async def disarm(ctx: RunContext) -> None:
    """End the watch on a pod that is to stay on purpose; never raises."""
    await _tell(ctx, "disarm", "is ended for being orphaned although it was to stay")


async def hold(ctx: RunContext) -> None:
    """Let only the money's end act on a pod that holds results which are nowhere else; never raises."""
    await _tell(ctx, "hold", "may be ended before its results are fetched")


async def restore(ctx: RunContext) -> None:
    """Let a pod that its watchdog stopped find again how its job ended; never raises.

    The watchdog lays that beside the results, since the stop wipes the rest. A pod that was stopped
    otherwise finds nothing.
    """
    if not _has_lease(ctx):
        return
    with contextlib.suppress(TransportError, StepFailed, TimeoutError):
        await ctx.need_transport().run(_command(ctx, "restore"), timeout=RESTORE_WITHIN_SEC)


def latest_end(ctx: RunContext) -> float:
    """Return when the pod in hand will have been ended at the latest, if nobody comes back for it.

    Seconds since the epoch; infinity when nothing ends it. For a run whose script has been started.
    """
    money = ctx.capped_at()
    if not _has_lease(ctx):
        return math.inf
    if ctx.plan.lease.spares_results:
        if math.isinf(money):
            return ctx.run_ends_by + ctx.plan.lifecycle.keep_hours * 3600
        return money
    return min(money, ctx.run_ends_by + ctx.plan.lease.silence_minutes * 60)


def cheapest_usd(pod: PlanPod) -> float:
    """Return what the pod costs in an hour at least, in USD, before its price is known."""
    if pod.cpu is not None:
        return CHEAPEST_VCPU_USD * pod.cpu.vcpus
    return CHEAPEST_GPU_USD * pod.gpu_count


def dead_after(ctx: RunContext) -> int:
    """Return the epoch second after which nobody can still want a pod that is about to be made.

    By the money that the run has left: its cap, or what the month allows, less its earlier pods.
    """
    plan = ctx.plan
    now = ctx.clock.now()
    lowest = cheapest_usd(plan.pod) * plan.nodes
    latest = capped_at(now, lowest, max(0.0, ctx.limit() - ctx.spent()))
    minutes = plan.budget.max_runtime_minutes
    if minutes is not None and not plan.lease.spares_results:
        latest = min(latest, now + plan.budget.ssh_ready_timeout_sec + minutes * 60)
    grace = (plan.lease.boot_grace_minutes + plan.lease.silence_minutes) * 60
    return int(latest + grace + AROUND_SEC)


def boot_env(ctx: RunContext) -> dict[str, str]:
    """Return what the container's command needs to watch from the pod's start on; nothing without."""
    for script in ctx.plan.scripts:
        if script.name == BOOT_SCRIPT:
            return {BOOT_ENV: ctx.fill_script(script)}
    return {}


def _has_lease(ctx: RunContext) -> bool:
    names = {script.name for script in ctx.plan.scripts}
    return SCRIPT in names and ctx.plan.lifecycle.on_orphaned != "preserve"


def _command(ctx: RunContext, *words: str) -> str:
    return shlex.join(["sh", f"{ctx.fill(ctx.plan.home)}/bin/lease.sh", *words])


async def _begin(ctx: RunContext) -> str | None:
    money = ctx.capped_at() - ctx.clock.now()
    # 0 means no money deadline there, so one that has passed already is one second.
    seconds = 0 if math.isinf(money) else max(1, int(money))
    try:
        done = await ctx.need_transport().run(
            _command(ctx, "arm", str(seconds)), timeout=ARM_WITHIN_SEC
        )
    except TimeoutError:
        return None
    answer = _ARMED.fullmatch(done.stdout.decode("utf-8", "replace").strip())
    if done.exit_status != 0 or answer is None:
        why = first_lines(done.stderr) or first_lines(done.stdout) or "it said nothing"
        ctx.warn("lease-failed", f"The lease on the pod could not be started: {why}")
        return None
    return None if answer[1] == "-" else answer[1]


def _unverified(ctx: RunContext) -> None:
    ctx.warn(
        "lease-unverified",
        "Nothing on the pod reaches RunPod's API with the pod's own key (tried: curl, python3, wget, "
        "runpodctl). If this machine is lost, nothing ends the pod.",
    )
    if ctx.plan.lease.required:
        raise StepFailed(
            "The pod cannot end itself: nothing on it reaches RunPod's API with its own key.",
            cause="lease_unverified",
            help="The image needs curl, python3 or wget with HTTPS. To go on without a lease, leave "
            "out `lease.required`.",
        )


async def _beat(ctx: RunContext) -> None:
    """Tell the watchdog again and again, over whichever connection is open, that somebody is there."""
    every = min(BEAT_EVERY_SEC, ctx.plan.lease.silence_minutes * 60 / 4)
    while True:
        await ctx.clock.sleep(every)
        transport = ctx.transport
        if transport is None:
            continue
        # Missed, it comes with the next: a broken connection is the steps' business.
        with contextlib.suppress(TransportError, StepFailed, TimeoutError):
            await transport.run(_command(ctx, "beat"), timeout=BEAT_WITHIN_SEC)


async def _tell(ctx: RunContext, word: str, otherwise: str) -> None:
    if not _has_lease(ctx):
        return
    why = "there is no connection to it"
    try:
        if ctx.transport is not None:
            done = await ctx.transport.run(_command(ctx, word), timeout=BEAT_WITHIN_SEC)
            if done.exit_status == 0:
                return
            why = first_lines(done.stderr)
    except (TransportError, StepFailed, TimeoutError) as error:
        why = str(error)
    ctx.warn(
        "lease-not-told", f"The pod's watchdog could not be told ({why}): the pod {otherwise}."
    )
