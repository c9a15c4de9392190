"""What can be told before anybody is asked: a plan that was used up, a secret that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runpod_deploy.executor.beforehand import Here, as_error, missing
from runpod_deploy.executor.single_use import refuse_used
from runpod_deploy.facts.project import project_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runpod_deploy.cli.planning import Planned, PlannedSweep


def refuse_hopeless(planned: Planned | PlannedSweep, environ: Mapping[str, str]) -> None:
    """Refuse what cannot begin whatever is answered; nothing is run, claimed or written for it.

    Raises:
        PlanRefused: A saved plan was applied already.
        InvalidInput: Secrets or files are missing; all of them are told.
        OSError: The project's folder cannot be read.
    """
    from runpod_deploy.cli.planning import Planned  # noqa: PLC0415 - loaded already

    root = planned.project_root.resolve()
    if isinstance(planned, Planned):
        plan_id, plans = planned.plan_file.plan_id, [planned.plan_file.plan]
        claimable = planned.saved
    else:
        plan_id = planned.sweep_file.plan_id
        plans = [
            one.plan
            for one in planned.plan_files
            if one.plan.matrix and (planned.only is None or one.plan.matrix.name in planned.only)
        ]
        # The folder of an earlier try is the claim itself.
        claimable = planned.saved and planned.folder is None
    if claimable and not planned.again:
        refuse_used(plan_id, root, file=planned.file)
    allowed = project_at(root, plans[0].job.file, planned.allow_paths).allowed
    here = Here(project_root=root, environ=environ, allowed=allowed)
    problems = [one for plan in plans for one in missing(plan, here)]
    if problems:
        raise as_error("Nothing was done", problems)
