"""Exit statuses: the table that the help shows, and which one an error or a run's end gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runpod_deploy.errors import (
    EXIT_CHANGED,
    EXIT_OK,
    EXIT_SIGINT,
    EXIT_SIGTERM,
    AccountError,
    InternalError,
    InvalidInput,
    JobFailed,
    Kept,
    Leaked,
    PlanRefused,
    RunpodDeployError,
    StockOut,
    UnknownOutcome,
)

if TYPE_CHECKING:
    from runpod_deploy.record.run import Run

EXIT_TABLE: tuple[tuple[int, str], ...] = (
    (EXIT_OK, "it worked"),
    (JobFailed.exit_code, "the job, or a step on the way to it, failed"),
    (EXIT_CHANGED, "something differs (--detailed-exitcode), or cleanup left a pod"),
    (StockOut.exit_code, "no candidate GPU could be had"),
    (InvalidInput.exit_code, "the job file, the plan file or the usage is wrong"),
    (AccountError.exit_code, "API key or balance"),
    (PlanRefused.exit_code, "the plan is stale, used up, changed or against policy"),
    (Leaked.exit_code, "LEAKED: a pod could not be confirmed gone and may go on costing"),
    (Kept.exit_code, "a pod was kept or left running on purpose"),
    (UnknownOutcome.exit_code, "how the job ended is not known"),
    (InternalError.exit_code, "a bug in runpod-deploy"),
    (EXIT_SIGINT, "interrupted (Ctrl-C)"),
    (EXIT_SIGTERM, "terminated (SIGTERM, SIGHUP)"),
)


def of_error(error: BaseException) -> int:
    """Return the exit status of an error that ended a command."""
    if isinstance(error, RunpodDeployError):
        return error.exit_code
    if isinstance(error, OSError):
        return JobFailed.exit_code
    return InternalError.exit_code


def of_run(run: Run, failure: BaseException | None, signal: str | None) -> int:
    """Return the exit status of a run; what may still cost money outranks why it failed.

    Args:
        signal: Name of the signal that ended the run, None when a person or nothing did.
    """
    state = run.state.value
    if state in BY_STATE:
        return BY_STATE[state]
    if state == "CANCELLED":
        return EXIT_SIGTERM if signal in {"SIGTERM", "SIGHUP"} else EXIT_SIGINT
    return JobFailed.exit_code if failure is None else of_error(failure)


BY_STATE = {
    "SUCCEEDED": EXIT_OK,
    "LEAKED": Leaked.exit_code,
    "KEPT": Kept.exit_code,
    "DETACHED": Kept.exit_code,
    "UNKNOWN": UnknownOutcome.exit_code,
}

OF_CAUSE = {kind.__name__: kind.exit_code for kind in (StockOut, AccountError, PlanRefused)}
"""Exit statuses of what kept every failed run of a sweep from beginning, by its cause."""
