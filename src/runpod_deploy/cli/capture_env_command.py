"""`capture-env`: what git and the lock file say of a project, to stamp into results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.history import AsJson
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import InvalidInput


def capture_env_command(
    project_root: Annotated[
        Path, typer.Option("--project-root", metavar="DIR", help="The project.")
    ] = Path(),
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Print commit, branch, changes and lock file of a project as JSON."""
    from runpod_deploy.facts.observe import observe  # noqa: PLC0415 - not for `--help`

    del as_json  # it is never anything else
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    if not project_root.is_dir():
        raise InvalidInput(f"{project_root} is not a folder")
    seen = observe(project_root)
    git, lock = seen.git, seen.lockfile
    terminal.document(
        {
            "captured_at_utc": seen.compiled_at,
            "tool_version": seen.tool_version,
            "local_git_sha": git.sha if git else None,
            "local_git_branch": git.branch if git else None,
            "local_git_dirty": git.dirty if git else None,
            "payload_lockfile": lock.name if lock else None,
            "payload_lockfile_sha256": lock.sha256 if lock else None,
        }
    )
