"""A saved plan is applied once: claimed as the last thing before it begins, told as soon as it is known."""

from __future__ import annotations

import shlex
from pathlib import Path

from runpod_deploy.errors import PlanRefused
from runpod_deploy.executor.ports import Clock
from runpod_deploy.record.journal import utc_stamp
from runpod_deploy.record.run import Run
from runpod_deploy.record.run_folder import PlanUse, claim_plan, give_plan_back, plan_uses


def refuse_used(plan_id: str, project_root: Path, *, file: str) -> None:
    """Refuse a saved plan that was applied before, without claiming it.

    Args:
        file: The plan's file as it was named, for the message.

    Raises:
        PlanRefused: It was applied already.
        OSError: The project's `artifacts/` cannot be read.
    """
    used = plan_uses(project_root, plan_id)
    if used:
        raise _refusal(used[-1], file)


def use_up(plan_id: str, project_root: Path, clock: Clock, *, again: bool, file: str) -> None:
    """Claim a saved plan, which is applied once unless asked again.

    Raises:
        PlanRefused: It was applied already.
        OSError: The project's `artifacts/` cannot be written.
    """
    used = claim_plan(project_root, plan_id, utc_stamp(clock.now()))
    if used and not again:
        raise _refusal(used[-1], file)


def give_back_unused(plan_id: str, project_root: Path, run: Run, folder: Path) -> None:
    """Let a saved plan be applied anew whose run was refused in its first step: nothing was asked for.

    Raises:
        OSError: The claim cannot be removed.
    """
    if not run.pods and all(step.name == "check" for step in run.steps):
        give_plan_back(project_root, plan_id, folder)


def _refusal(use: PlanUse, file: str) -> PlanRefused:
    return PlanRefused(
        f"This plan was applied already, {_when(use)}; a saved plan is applied once.",
        help="Make a new plan from the job file, or carry this one out once more:\n"
        f"  runpod-deploy apply {shlex.quote(file)} --again",
    )


def _when(use: PlanUse) -> str:
    where = f"in {use.run}" if use.run else "and its run did not get as far as a run folder"
    return f"at {use.at}, {where}"
