"""The files of a saved plan as they are now, chosen as the plan chose them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry, Plan, PlanStaging
from runpod_deploy.errors import PlanRefused
from runpod_deploy.facts.grown import as_planned
from runpod_deploy.facts.payload import find_payload
from runpod_deploy.facts.project import Project, is_everything, project_at

Read = dict[tuple[Path, tuple[str, ...], bool], tuple[PayloadEntry, ...]]
"""Files by their source, the patterns, and whether `.gitignore` counts."""


def payload_now(
    plan: Plan,
    project_root: Path,
    *,
    allow_paths: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    planned: Mapping[str, Sequence[PayloadEntry]] | None = None,
    read: Read | None = None,
) -> dict[str, tuple[PayloadEntry, ...]]:
    """Return the payload of `plan` read anew, for `can_apply`; no remembered digest is used.

    A saved plan may come from somebody else, so its paths are held to the same bounds as those of
    a job file.

    Args:
        planned: Its files as they were planned, where one that only grew counts as unchanged.
        read: What was read for other runs of the same sweep a moment ago; added to.

    Raises:
        PlanRefused: A local path of the plan leads out of the project, or a file of it could not
            travel; nothing was read then.
    """
    project = project_at(project_root, plan.job.file, allow_paths)
    if is_everything(project.root):
        raise PlanRefused(f"the project root {project.root} is not a project")
    for path in _local_paths(plan):
        if not project.may_touch(project.locate(path)):
            raise PlanRefused(
                f"the plan names the local path {path}, which leads out of the {project.bound}",
                help=f"If that is meant:\n  --allow-path {project.locate(path)}",
            )
    environ = os.environ if environ is None else environ
    read = {} if read is None else read
    now = {staging.label: _once(staging, project, environ, read) for staging in plan.staging}
    if planned is None:
        return now
    sources = {staging.label: project.locate(staging.source) for staging in plan.staging}
    return {
        label: as_planned(sources[label], planned.get(label, ()), entries)
        for label, entries in now.items()
    }


def _local_paths(plan: Plan) -> Iterator[str]:
    yield "."
    for staging in plan.staging:
        yield staging.source
    for secret in plan.secrets:
        if secret.file is not None:
            yield secret.file
    if plan.notify is not None and plan.notify.webhook_file is not None:
        yield plan.notify.webhook_file
    yield from plan.required_paths


def _once(
    staging: PlanStaging, project: Project, environ: Mapping[str, str], read: Read
) -> tuple[PayloadEntry, ...]:
    key = (project.locate(staging.source), staging.excludes, staging.gitignore)
    if key not in read:
        read[key] = _read(staging, project, environ)
    return read[key]


def _read(
    staging: PlanStaging, project: Project, environ: Mapping[str, str]
) -> tuple[PayloadEntry, ...]:
    source = project.locate(staging.source)
    if not source.exists():
        return ()
    found = find_payload(
        source,
        staging.excludes,
        ignore_top=project.toplevel or project.root,
        gitignore=staging.gitignore,
        use_cache=False,
        environ=environ,
    )
    for kind, paths in found.obstacles.items():
        raise PlanRefused(
            f"the plan is stale: {staging.source} now holds what cannot travel: {paths[0]} ({kind})"
        )
    return found.entries.entries
