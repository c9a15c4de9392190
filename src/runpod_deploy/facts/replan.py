"""A saved plan's world as it is now: its files read anew, its job file compiled anew."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from runpod_deploy._version import __version__
from runpod_deploy.compiler.compile import compile_resolution
from runpod_deploy.compiler.freshness import Now
from runpod_deploy.compiler.plan import PayloadEntry, Plan, PlanFile
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.facts.gather import gather_resolution, project_of
from runpod_deploy.facts.git import git_state
from runpod_deploy.facts.lockfile import find_lockfile
from runpod_deploy.facts.payload_now import Read, payload_now
from runpod_deploy.facts.project import git_toplevel
from runpod_deploy.schema.load import load


def world_of(
    plan_file: PlanFile,
    project_root: Path,
    *,
    allow_paths: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    growing: bool = False,
    read: Read | None = None,
) -> Now:
    """Return what `plan_file` is to be held against; every file of the payload is read.

    Args:
        project_root: Absolute, links resolved.
        allow_paths: Folders outside of the repository that local paths may lead into.
        growing: Whether a file that only grew since counts as unchanged.
        read: As of `payload_now`.

    Raises:
        PlanRefused: A path of the plan leads out of the project, or a file of it could not travel.
    """
    environ = os.environ if environ is None else environ
    payload = payload_now(
        plan_file.plan,
        project_root,
        allow_paths=allow_paths,
        environ=environ,
        planned=plan_file.payload if growing else None,
        read=read,
    )
    plan, problem = _compiled(plan_file, project_root, payload, allow_paths)
    git = git_state(project_root, environ)
    return Now(
        payload=payload,
        tool_version=__version__,
        plan=plan,
        problem=problem,
        git=None if git is None else git.facts,
        lockfile=find_lockfile(project_root, git_toplevel(project_root)),
    )


def _compiled(
    plan_file: PlanFile,
    project_root: Path,
    payload: Mapping[str, tuple[PayloadEntry, ...]],
    allow_paths: Sequence[Path],
) -> tuple[Plan | None, str | None]:
    """Return the plan that the job file gives now, or why it gives none; neither without the file."""
    name = plan_file.plan.job.file
    job_file = project_root / name
    if not job_file.is_file():
        return None, None
    try:
        overrides = plan_file.observed.overrides
        config = load(job_file, overrides, display=name, allow_paths=allow_paths)
        resolution = resolve(config)
        project = project_of(resolution, job_file, allow_paths)
        facts = gather_resolution(resolution, project, payload=payload)
        return compile_resolution(resolution, facts)[0], None
    except InvalidInput as error:
        return None, first_problem(error)


def first_problem(error: InvalidInput) -> str:
    """Return why a job cannot be planned, in one line: the first of its errors."""
    errors = [one for one in error.diagnostics if one.severity is Severity.ERROR]
    return _told(errors[0]) if errors else error.message


def _told(diagnostic: Diagnostic) -> str:
    where = f"{diagnostic.where}: " if diagnostic.where else ""
    return f"{where}{diagnostic.summary}: {diagnostic.detail}"
