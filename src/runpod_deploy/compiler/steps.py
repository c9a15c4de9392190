"""The eleven steps of every run, with the time each may take."""

from collections.abc import Iterable

from runpod_deploy.compiler.plan import Candidate, PlanStaging, StepPlan
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.scripts import max_runtime_sec
from runpod_deploy.schema.job import CommandEntry

MARGIN_SEC = 60.0
INSTALL_PYTHON_SEC = 300.0
UPLOAD_CHECK_SEC = 60.0
_CREATE_SEC = 60.0
SLOWEST_BYTES_PER_SEC = 2**20


def all_steps(
    config: Resolved, candidates: tuple[Candidate, ...], staging: tuple[PlanStaging, ...]
) -> tuple[StepPlan, ...]:
    """Return the steps in their order; a time-out of None leaves it to the money deadline.

    A host that never gets ready is given up within `provision` and `connect`, so that the next
    candidate is tried; their limits are beyond that. `collect` has none: results are what the money
    was for, and a transfer that stands still is given up by the transport. It and `release` repeat
    what can be repeated themselves.
    """
    budget = config.budget
    host = _CREATE_SEC + budget.ssh_ready_timeout_sec
    provision = config.capacity.wait_minutes * 60 + host * len(candidates)
    sent = sum(entry.bytes for entry in staging)
    install = INSTALL_PYTHON_SEC if config.pod.python_version is not None else 0.0
    uploads = sum(entry.upload is not None for entry in config.artifacts)
    asked = UPLOAD_CHECK_SEC * uploads
    return (
        StepPlan(name="check", timeout_sec=120.0),
        StepPlan(name="provision", timeout_sec=provision),
        StepPlan(name="connect", timeout_sec=budget.ssh_ready_timeout_sec + MARGIN_SEC),
        StepPlan(name="admit", timeout_sec=120.0, retries=1),
        StepPlan(name="setup", timeout_sec=_sum(config.setup)),
        StepPlan(name="stage", timeout_sec=600.0 + sent // SLOWEST_BYTES_PER_SEC, retries=2),
        StepPlan(name="secrets", timeout_sec=120.0, retries=2),
        StepPlan(name="preflight", timeout_sec=_sum(config.preflight) + install + asked),
        StepPlan(name="execute", timeout_sec=max_runtime_sec(config)),
        StepPlan(name="collect", timeout_sec=None),
        StepPlan(name="release", timeout_sec=600.0),
    )


def _sum(commands: Iterable[CommandEntry]) -> float:
    return sum((command.timeout_sec for command in commands), start=MARGIN_SEC)
