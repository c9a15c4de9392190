"""How a run can end: the reason as a word, as a sentence, and as the error that the caller gets."""

from __future__ import annotations

import asyncio

from runpod_deploy import errors
from runpod_deploy.errors import (
    InvalidInput,
    JobFailed,
    RunpodDeployError,
    StepFailed,
    UnknownOutcome,
)
from runpod_deploy.record.run import JobEnd, RunState


class Detached(Exception):
    """The run was left alone on purpose."""


class TakenOver(JobFailed):
    """Another executor carries the run on; nothing more is done or written here."""


_INVALID_INPUT = "invalid_input"
TAKEN = "Another executor has taken this run over."


def cause_of(error: BaseException | None) -> str:
    """Return the short machine-readable reason of a failure."""
    if isinstance(error, StepFailed):
        return error.cause
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, Detached):
        return "asked"
    if isinstance(error, InvalidInput):
        return _INVALID_INPUT
    if isinstance(error, RunpodDeployError):
        return type(error).__name__
    return "internal_error"


def failure_of(cause: str | None, text: str) -> BaseException:
    """Return the failure of which only the journal is left: `cause_of` the other way round."""
    if cause == "cancelled":
        return asyncio.CancelledError()
    if cause == _INVALID_INPUT:
        return InvalidInput(text)
    kind = getattr(errors, cause or "", None)
    if isinstance(kind, type) and issubclass(kind, RunpodDeployError):
        return (
            kind(text) if not issubclass(kind, StepFailed) else StepFailed(text, cause=cause or "")
        )
    return StepFailed(text, cause=cause or "failed")


def raise_verdict(end: JobEnd | None) -> None:
    """Raise what the end of the job means for the run; nothing for a success.

    Raises:
        UnknownOutcome: There is no exit code.
        StepFailed: The job failed.
    """
    if end is None or end.outcome == "unknown":
        raise UnknownOutcome(
            "The run left no exit code on the pod: it is not known whether it succeeded."
        )
    if end.outcome == "failed":
        raise StepFailed(_failure_text(end.cause, end.exit_code), cause=end.cause or "failed")


def final_state(failure: BaseException | None, *, leaked: bool, kept: bool) -> RunState:
    """Return the state of a run that was undone, or that has nothing to undo."""
    if leaked:
        return RunState.LEAKED
    if kept:
        return RunState.KEPT
    if failure is None:
        return RunState.SUCCEEDED
    if isinstance(failure, asyncio.CancelledError):
        return RunState.CANCELLED
    if isinstance(failure, UnknownOutcome):
        return RunState.UNKNOWN
    return RunState.FAILED


def _failure_text(cause: str | None, exit_code: int | None) -> str:
    texts = {
        "exit_code": f"The run ended with exit code {exit_code}.",
        "marker_missing": "The run exited 0, but its success marker never came.",
        "failure_marker": "The run exited 0, but its log holds a failure marker.",
        "max_runtime": "The run was ended: budget.max_runtime_minutes was reached.",
        "idle_gpu": "The run was ended: no GPU did anything for budget.idle_gpu_minutes.",
        "cost_cap": "The run was ended: the part of its money that budget.soft_cap_fraction gives to the "
        "job was spent.",
        "cancelled": "The run was cancelled.",
    }
    return texts.get(cause or "", f"The run was ended: {cause}.")
