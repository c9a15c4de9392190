"""What is seen while planning and stands beside the plan: the hour, the tool, git, the lock file."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from runpod_deploy._version import __version__
from runpod_deploy.compiler.plan import Observed
from runpod_deploy.facts.git import git_state
from runpod_deploy.facts.lockfile import find_lockfile
from runpod_deploy.facts.project import git_toplevel


def observe(
    project_root: Path,
    *,
    overrides: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Observed:
    """Return what is seen of `project_root`.

    Args:
        overrides: Variables set on the command line, as they were given.
        now: By default the present.
    """
    root = project_root.resolve()
    state = git_state(root)
    return Observed(
        compiled_at=(now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        tool_version=__version__,
        git=None if state is None else state.facts,
        lockfile=find_lockfile(root, git_toplevel(root)),
        overrides=overrides or {},
    )
