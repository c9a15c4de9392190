"""Another attempt after a pod was lost: `lifecycle.retry` times at most, elsewhere, within the same money.

A pod is lost when the API says that it is gone or broken, never because nobody answers, and not while it may
hold what its job has made. It is written down first (`attempt_lost`), then its end is confirmed, and only
then another one is asked for: whoever is killed in between goes on there, and there are never two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.errors import RunpodDeployError, StepFailed, TransportError
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import STOPPED
from runpod_deploy.executor.shielding import finish
from runpod_deploy.executor.standing import Earlier, read_earlier
from runpod_deploy.executor.steps import release
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.metrics import METRICS_NAME

LOST = "lost"
"""Why the pod of a lost attempt is deleted."""

LOOK_AGAIN_SEC = 5.0
SAVE_SEC = 300.0
ANSWER_SEC = 10.0
_STEPS = frozenset({"setup", "stage", "secrets", "preflight", "execute", "collect"})
_OF_ONE_ATTEMPT = ("run.log", METRICS_NAME)


async def begin_again(ctx: RunContext, step: str, error: BaseException) -> bool:
    """Clear up after a lost pod so that the run can go on with `provision`; False: it cannot.

    A cancellation meanwhile waits for the end of that.
    """
    if step not in _STEPS or not isinstance(error, (StepFailed, TransportError)):
        return False
    done = attempts_lost(ctx.journal.events)
    left = ctx.plan.lifecycle.retry - done
    if left <= 0 or ctx.pod is None:
        return False
    state = None if _results_are_here(ctx) else await _lost(ctx)
    if state is None:
        return False
    if ctx.limit() * ctx.plan.budget.soft_cap_fraction <= ctx.spent():
        ctx.warn("retry-without-money", "There is no money left for another attempt.")
        return False
    if state in STOPPED:
        await _save_what_is_left(ctx)
        if _results_are_here(ctx):
            return False
    asked_as = ctx.candidate
    ctx.journal.write(
        "attempt_lost",
        attempt=done + 1,
        left=left - 1,
        pod_id=ctx.pod.id,
        state=state,
        error=error.message,
        gpu_id=asked_as.gpu if asked_as else "",
        datacenter_id=asked_as.datacenter if asked_as else None,
        cloud_type=asked_as.cloud if asked_as else "",
    )
    _, cancelled = await finish(_clear(ctx, done + 1))
    if cancelled:
        raise asyncio.CancelledError
    return True


async def clear_up(ctx: RunContext) -> None:
    """Finish what an executor that was killed after `attempt_lost` left to do."""
    last = _last_lost(ctx.journal.events)
    if last is None or _asked_since(ctx.journal.events):
        return
    pod_id = tolerant.text(last.fields, "pod_id")
    deleted = any(
        event.event == "pod_delete_settled" and event.fields.get("pod_id") == pod_id
        for event in ctx.journal.events
    )
    if pod_id is not None and not deleted:
        await release.delete_pod(ctx, pod_id, reason=LOST)
    number = attempts_lost(ctx.journal.events)
    await asyncio.to_thread(set_aside, ctx.folder.path, number)


def attempts_lost(events: Sequence[Event]) -> int:
    """Return how many attempts of the run ended with a lost pod."""
    return sum(event.event == "attempt_lost" for event in events)


def of_this_attempt(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events since the last pod was lost, all of them when none was."""
    for index in range(len(events) - 1, -1, -1):
        if events[index].event == "attempt_lost":
            return events[index + 1 :]
    return events


def to_avoid(events: Sequence[Event], candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate whose pod was lost last: it is asked for last."""
    last = _last_lost(events)
    if last is None:
        return None
    named = tuple(last.fields.get(key) for key in ("gpu_id", "datacenter_id", "cloud_type"))
    for candidate in candidates:
        if (candidate.gpu, candidate.datacenter, candidate.cloud) == named:
            return candidate
    return None


def set_aside(folder: Path, attempt: int) -> None:
    """Give the files of a lost attempt, which the next one writes anew, names of their own."""
    for name in _OF_ONE_ATTEMPT:
        file = folder / name
        kept = file.with_name(f"{file.stem}.attempt-{attempt}{file.suffix}")
        if file.exists() and not kept.exists():
            file.rename(kept)


async def _lost(ctx: RunContext) -> str | None:
    """Return what the API says, twice, of a pod that is lost; None for one that is not, or nobody knows."""
    if await _seen_lost(ctx) is None:
        return None
    # One answer may be wrong, and who ends a pod on purpose has the time to say so.
    await ctx.clock.sleep(LOOK_AGAIN_SEC)
    return await _seen_lost(ctx)


async def _seen_lost(ctx: RunContext) -> str | None:
    try:
        seen = await ctx.cloud.get(ctx.need_pod().id)
    except RunpodDeployError:
        return None
    state = "gone" if seen is None else seen.status
    if state in {"gone", "TERMINATED"}:
        return state
    if state not in STOPPED:
        return None
    # A job that was begun may have ended since: what it made lies on a disk that is still there.
    begun = read_earlier(ctx.journal.events).intended_at is not None
    return None if begun and await release.may_hold_results(ctx) else state


def _results_are_here(ctx: RunContext) -> bool:
    """Return whether the job succeeded and all that is required of it is here: nothing to do again."""
    if ctx.job_end is None or ctx.job_end.outcome != "succeeded":
        return False
    return all(one.label in ctx.verified for one in ctx.plan.artifacts if one.required)


async def _save_what_is_left(ctx: RunContext) -> None:
    """Bring home what a pod that still answers has, though the API calls it lost; never fails the run."""
    saving = ctx.undo.find("artifacts")
    if saving is None or ctx.transport is None:
        return
    try:
        async with asyncio.timeout(SAVE_SEC):
            await ctx.transport.run("true", timeout=ANSWER_SEC)
            for action in filter(None, (ctx.undo.find("run"), saving)):
                await action()
    except (RunpodDeployError, OSError) as error:  # a time-out is an OSError
        ctx.warn(
            "not-saved",
            f"Nothing more came from the pod that is lost: {str(error) or 'no answer'}.",
        )


async def _clear(ctx: RunContext, attempt: int) -> None:
    for name in ctx.undo.names():
        ctx.undo.drop(name)
    await release.discard(ctx, reason=LOST)
    _forget(ctx)
    await asyncio.to_thread(set_aside, ctx.folder.path, attempt)


def _forget(ctx: RunContext) -> None:
    """Let nothing of the lost attempt count for the next one."""
    ctx.ring = None
    ctx.candidate = None
    ctx.job_end = None
    ctx.earlier = Earlier()
    ctx.pull_memory.clear()
    ctx.filled_scripts.clear()
    for known in (ctx.artifact_files, ctx.refused_files, ctx.tree_sha256):
        known.clear()
    ctx.verified.clear()
    ctx.missing.clear()


def _last_lost(events: Sequence[Event]) -> Event | None:
    return next((event for event in reversed(events) if event.event == "attempt_lost"), None)


def _asked_since(events: Sequence[Event]) -> bool:
    return any(
        event.event in {"pod_create_intended", "pod_claimed"} for event in of_this_attempt(events)
    )
