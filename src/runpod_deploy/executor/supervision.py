"""Talks to the supervisor on the pod: its command lines and its one-line answers."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.context import RunContext


@dataclass(frozen=True, slots=True)
class Report:
    """Where the run on the pod stands.

    Attributes:
        state: `running`, `exited`, or `lost`: the supervisor is gone and left no exit code.
        exit_code: The script's own, when it exited.
        log_bytes: Size of the remote log.
        ended_by: Why the supervisor ended the run; None when it ended by itself.
    """

    state: str
    exit_code: int | None
    log_bytes: int
    ended_by: str | None


def command(ctx: RunContext, *words: str) -> str:
    """Return the remote command line that calls the supervisor."""
    return shlex.join(["sh", f"{ctx.fill(ctx.plan.home)}/bin/supervisor.sh", *words])


def parse_report(output: bytes) -> Report:
    """Read the supervisor's answer, the last line of `output`.

    Raises:
        StepFailed: It is not one, so nothing is known of the run.
    """
    words = output.decode("utf-8", "replace").strip().rpartition("\n")[2].split()
    if len(words) != 4 or words[0] not in {"running", "exited", "lost"}:
        raise StepFailed(f"The supervisor answered {output[-200:]!r}.", cause="supervisor")
    state, code, size, reason = words
    return Report(
        state=state,
        exit_code=int(code) if code.lstrip("-").isdigit() else None,
        log_bytes=int(size) if size.isdigit() else 0,
        ended_by=None if reason == "-" else reason,
    )


async def start(ctx: RunContext, seconds: float, reason: str) -> Report:
    """Begin the run; asked twice, it is begun once.

    Args:
        seconds: Limit after which the supervisor ends it because of `reason`; infinity sets none.

    Raises:
        StepFailed: The supervisor did not start.
    """
    # 0 means no limit there, so a limit that has passed already is one second.
    limit = 0 if math.isinf(seconds) else max(1, int(seconds))
    done = await ctx.need_transport().run(command(ctx, "start", str(limit), reason), timeout=60)
    if done.exit_status != 0:
        why = done.stderr.decode("utf-8", "replace").strip()
        raise StepFailed(f"The run could not be started on the pod: {why}", cause="supervisor")
    return parse_report(done.stdout)


async def wait(ctx: RunContext) -> Report:
    """Wait until the run on the pod has ended."""
    return parse_report((await ctx.need_transport().run(command(ctx, "wait"))).stdout)


async def stop(ctx: RunContext, reason: str) -> Report:
    """End the run on the pod and wait until it has."""
    done = await ctx.need_transport().run(command(ctx, "stop", reason), timeout=60)
    return parse_report(done.stdout)
