"""Talks to the supervisor on the pod: its command lines and its one-line answers."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass

from runpod_deploy.errors import ConnectionLost, StepFailed, UnknownOutcome
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.untrusted import first_lines

# A pod is not trusted to answer in numbers that fit.
_ANSWER = re.compile(r"(running|exited|lost) (-|-?[0-9]{1,9}) ([0-9]{1,18}) (-|[a-z_]{1,40})")


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
    line = output.decode("utf-8", "replace").strip().rpartition("\n")[2]
    answer = _ANSWER.fullmatch(line)
    if answer is None:
        raise StepFailed(f"The supervisor answered {output[-200:]!r}.", cause="supervisor")
    state, code, size, reason = answer.groups()
    return Report(
        state=state,
        exit_code=None if code == "-" else int(code),
        log_bytes=int(size),
        ended_by=None if reason == "-" else reason,
    )


async def start(ctx: RunContext, seconds: float, reason: str) -> Report:
    """Begin the run; asked twice, it is begun once.

    Args:
        seconds: Limit after which the supervisor ends it because of `reason`; infinity sets none.

    Raises:
        ConnectionLost: What starts it was killed, as by a pod that is switched off: ask again.
        StepFailed: The supervisor did not start.
    """
    # 0 means no limit there, so a limit that has passed already is one second.
    limit = 0 if math.isinf(seconds) else max(1, int(seconds))
    done = await ctx.need_transport().run(command(ctx, "start", str(limit), reason), timeout=60)
    if done.exit_status < 0:
        raise ConnectionLost("What started the run on the pod was killed.")
    if done.exit_status != 0:
        why = first_lines(done.stderr)
        raise StepFailed(f"The run could not be started on the pod: {why}", cause="supervisor")
    return parse_report(done.stdout)


async def wait(ctx: RunContext) -> Report:
    """Wait until the run on the pod has ended.

    Raises:
        ConnectionLost: The question was killed: of the run nothing is known but that, so ask again.
        UnknownOutcome: The supervisor gave no answer, as after a restart that wiped the pod's disk.
    """
    done = await ctx.need_transport().run(command(ctx, "wait"))
    if done.exit_status < 0:
        # A pod that is switched off kills everything on it, and its connections a moment later.
        raise ConnectionLost("What waited on the pod for the end of the run was killed.")
    try:
        return parse_report(done.stdout)
    except StepFailed as error:
        raise UnknownOutcome(
            f"It is not known how the run ended: {error.message} {first_lines(done.stderr)}".strip()
        ) from error


async def stop(ctx: RunContext, reason: str) -> Report:
    """End the run on the pod and wait until it has."""
    done = await ctx.need_transport().run(command(ctx, "stop", reason), timeout=60)
    return parse_report(done.stdout)
