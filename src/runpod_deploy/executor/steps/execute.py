"""execute: starts the run under the supervisor, follows it to its end, and judges how it ended."""

from __future__ import annotations

import shlex
from dataclasses import asdict

from runpod_deploy.errors import ConnectFailed, ConnectionLost, StepFailed, TransportError
from runpod_deploy.executor import spending, supervision
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.follow import drain, follow, reach, reconnect
from runpod_deploy.executor.log_mirror import LogMirror
from runpod_deploy.executor.money import deadline
from runpod_deploy.executor.steps import collect
from runpod_deploy.executor.supervision import Report
from runpod_deploy.executor.verdict import judge
from runpod_deploy.record.run import fold

# Asked again after a lost answer, the supervisor does not begin a second time.
START_TRIES = 3


async def do(ctx: RunContext) -> None:
    """Start the run and stay until it has ended; `ctx.job_end` then holds the verdict.

    Raises:
        StepFailed: The run could not be started, or its pod died.
    """
    if ctx.transport is None:
        await _reach(ctx)
    if ctx.job_end is not None:
        return  # an earlier executor of this run saw its end
    mirror = LogMirror(ctx)
    ctx.undo.drop("artifacts")
    ctx.undo.push("artifacts", lambda: collect.salvage(ctx))
    push_end_of_run(ctx, mirror)
    if not ctx.earlier.started:
        await _begin(ctx)
    ctx.on_begun()
    try:
        report = await follow(ctx, mirror)
        mirror.finish()
    except TimeoutError:
        raise
    except OSError as error:
        why = f"The log cannot be written to {mirror.path}: {error.strerror or error}."
        raise StepFailed(why, cause="log_unwritten") from error
    ctx.undo.drop("run")
    _conclude(ctx, mirror, report)


async def _reach(ctx: RunContext) -> None:
    try:
        await reach(ctx)
    except (StepFailed, TransportError) as error:
        settle_lost_start(ctx, str(error))
        raise


def settle_lost_start(ctx: RunContext, why: str) -> None:
    """Settle a start of which nobody can be asked any more whether it was one."""
    for event in fold(ctx.journal.events).open_intents.values():
        if event.event == "exec_start_intended":
            ctx.note("exec_start_settled", op_id=event["op_id"], outcome="unknown", error=why)


def push_end_of_run(ctx: RunContext, mirror: LogMirror | None = None) -> None:
    """Let the undo end the run on the pod, and bring the last bytes of its log."""
    ctx.undo.drop("run")
    ctx.undo.push("run", lambda: _end_run(ctx, mirror or LogMirror(ctx)))


async def _begin(ctx: RunContext) -> None:
    """Start the run, once: asked again after a crash, the supervisor says that it runs or has run."""
    script = ctx.plan.script(ctx.plan.run.script)
    ctx.journal.write("exec_start_intended", op_id="exec", script=script.name, sha256=script.sha256)
    try:
        await _start(ctx)
    except BaseException as error:
        # Only a supervisor that said no is known not to have begun.
        outcome = "failed" if isinstance(error, StepFailed) else "unknown"
        why = str(error) or type(error).__name__
        ctx.note("exec_start_settled", op_id="exec", outcome=outcome, error=why)
        raise
    ctx.journal.write("exec_start_settled", op_id="exec", outcome="started", error=None)


def _spent_before(ctx: RunContext, cause: str) -> StepFailed:
    budget = ctx.plan.budget
    return StepFailed(
        f"`budget.cost_cap_usd` ({budget.cost_cap_usd:g} USD, of which the job may use "
        f"{budget.soft_cap_fraction:.0%}) was spent before the job began: the pod's start and setup "
        "are paid for, too.",
        cause=cause,
        help="Raise it. What a run is expected to cost:\n"
        f"  runpod-deploy estimate {shlex.quote(ctx.plan.job.file)}",
    )


async def _start(ctx: RunContext) -> None:
    now = ctx.clock.now()
    limit = deadline(
        billed_since=ctx.billed_since,
        started=now,
        rate_usd_per_hour=ctx.rate(),
        cost_cap_usd=ctx.job_limit_usd(),
        max_runtime_minutes=ctx.plan.budget.max_runtime_minutes,
    )
    if limit.at <= now:
        raise _spent_before(ctx, limit.reason)
    ctx.run_ends_by = limit.at
    for left in range(START_TRIES - 1, -1, -1):
        try:
            await supervision.start(ctx, limit.seconds_left(ctx.clock.now()), limit.reason)
        except (ConnectionLost, ConnectFailed) as error:
            if left == 0:
                raise
            await reconnect(ctx, error)
        else:
            return


async def _end_run(ctx: RunContext, mirror: LogMirror) -> None:
    """End a run that is being undone and bring the last bytes of its log."""
    try:
        if ctx.transport is None:
            return
        report = await supervision.stop(ctx, "cancelled")
        await drain(ctx, mirror, report.log_bytes)
    except (TransportError, StepFailed, OSError) as error:
        path = ctx.fill(ctx.plan.run.log_path)
        ctx.note("remote_log_pull_failed", path=path, error=str(error))
        return
    finally:
        mirror.finish()
    _conclude(ctx, mirror, report)


def _conclude(ctx: RunContext, mirror: LogMirror, report: Report) -> None:
    end = judge(ctx.plan.run, report, mirror.scanner)
    ctx.job_end = end
    fields = asdict(end)
    ctx.journal.write(
        "job_ended",
        **{**fields, "failure_markers_seen": list(end.failure_markers_seen)},
    )
    if end.cause == "cost_cap":
        spending.reached(ctx, "soft_cap")
    if end.outcome == "succeeded" and end.failure_markers_seen:
        seen = ", ".join(map(repr, end.failure_markers_seen))
        ctx.warn("failure-marker", f"The run exited 0, but its log holds {seen}.")
