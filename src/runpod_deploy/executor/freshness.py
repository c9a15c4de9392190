"""Whether a plan still means what it says here: asked before anything is claimed or created."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.freshness import Drift, can_apply, is_stale
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.errors import PlanRefused
from runpod_deploy.facts.payload_now import payload_now

SHOWN = 20


def refuse_if_stale(
    plan_file: PlanFile,
    project_root: Path,
    *,
    allow_paths: Sequence[Path],
    environ: Mapping[str, str],
) -> None:
    """Hold the plan's payload against the files as they are now, each read anew.

    Args:
        project_root: Absolute, links resolved.
        allow_paths: Folders outside of the repository that the plan's paths may lead into.

    Raises:
        PlanRefused: A file was added, removed or changed, or a path leads out of the project.
    """
    now = payload_now(plan_file.plan, project_root, allow_paths=allow_paths, environ=environ)
    drifts = can_apply(plan_file, now)
    if is_stale(drifts):
        raise PlanRefused(
            "The plan is stale: the project changed since it was made, and nothing was created.\n"
            + _table(drifts),
            help="Look at the change, then make a new plan:\n"
            f"  runpod-deploy plan {plan_file.plan.job.file} -o plan.json",
        )


def _table(drifts: Sequence[Drift]) -> str:
    rows = [
        f"  {drift.field}\n    planned  {drift.planned or 'not there'}\n"
        f"    now      {drift.now or 'not there'}"
        for drift in drifts[:SHOWN]
    ]
    if len(drifts) > SHOWN:
        rows.append(f"  and {len(drifts) - SHOWN} more")
    return "\n".join(rows)
