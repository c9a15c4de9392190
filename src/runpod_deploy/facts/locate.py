"""Where the project of a saved plan lies on this machine."""

import shlex
from pathlib import Path

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.project import git_toplevel


def find_project_root(
    plan_job_file: str,
    *,
    explicit: Path | None,
    cwd: Path,
    git_prefix: str | None,
    file: str = "plan.json",
) -> Path:
    """Return the folder that `plan_job_file`, as in `plan.job.file`, is relative to.

    Args:
        plan_job_file: Path of the job file relative to the project root.
        explicit: What `--project` says; nothing else is tried then.
        cwd: The working folder.
        git_prefix: The root relative to the top level of the repository the plan was made in.
        file: How the plan's file was named, for messages.

    Raises:
        InvalidInput: The job file is not where it was looked for.
    """
    toplevel = git_toplevel(cwd.resolve())
    if explicit is not None:
        tried = [explicit]
    else:
        above = [] if toplevel is None else [toplevel / (git_prefix or ""), toplevel]
        tried = [*above, cwd, *cwd.resolve().parents]
    for folder in tried:
        if (folder / plan_job_file).is_file():
            return folder.resolve()
    places = (
        f"below {explicit}"
        if explicit is not None
        else f"below {cwd}, a folder above it"
        + (f" or the git top level {toplevel}" if toplevel else "")
    )
    raise InvalidInput(
        f"the plan is for the job file {plan_job_file}, and there is none {places}",
        help=f"Say where the project lies:\n  runpod-deploy apply {shlex.quote(file)} --project DIR",
    )
