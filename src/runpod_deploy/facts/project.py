"""Where a project lies, and which local paths its job file may name."""

import os
from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.frozen import frozen
from runpod_deploy.schema.boundary import boundary_of, git_toplevel, is_everything, is_within

__all__ = [
    "RESULTS",
    "RUN_FOLDERS",
    "Project",
    "at_home",
    "find_project",
    "git_toplevel",
    "is_everything",
    "project_at",
]

RESULTS = "artifacts"
RUN_FOLDERS = f"{RESULTS}/runpod"


@frozen
class Project:
    """The places of a project, absolute, links resolved.

    Attributes:
        job_file: The job file; its folder is resolved, its name is as the user said it.
        root: What local paths of the job are relative to.
        toplevel: The git work tree the job file lies in; None outside of one.
        allowed: Folders that paths may lead into.
        bound: What the first of them is, in words.
    """

    job_file: Path
    root: Path
    toplevel: Path | None
    allowed: tuple[Path, ...]
    bound: str

    @property
    def job_path(self) -> str:
        """The job file relative to the root, `/` separators."""
        file, folder = str(self.job_file), os.path.join(self.root, "")  # noqa: PTH118 - as text
        if file.startswith(folder):
            return file[len(folder) :]
        return Path(os.path.relpath(file, self.root)).as_posix()

    def locate(self, path: str) -> Path:
        """Return the absolute path, links resolved, of a path in the job file."""
        return Path(os.path.realpath(self.root / at_home(path)))

    def may_touch(self, place: Path) -> bool:
        """Return whether the resolved path `place` may be touched: below an allowed folder."""
        return is_within(place, self.allowed)


def at_home(path: str) -> Path:
    """Return a path whose `~` or `~name` is filled in, as it is when there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def find_project(job_file: Path, project_root: str, allow_paths: Sequence[Path]) -> Project:
    """Return the project of `job_file`, whose `local.project_root` is given."""
    folder = Path(os.path.realpath(job_file.parent))
    return _project(
        folder / job_file.name, Path(os.path.realpath(folder / project_root)), allow_paths
    )


def project_at(root: Path, job_path: str, allow_paths: Sequence[Path]) -> Project:
    """Return the project at `root` whose job file lies at `job_path`, as a plan says it."""
    resolved = Path(os.path.realpath(root))
    job_file = resolved / job_path
    folder = Path(os.path.realpath(job_file.parent))
    return _project(folder / job_file.name, resolved, allow_paths)


def _project(job_file: Path, root: Path, allow_paths: Sequence[Path]) -> Project:
    boundary = boundary_of(job_file.parent, allow_paths)
    return Project(
        job_file=job_file,
        root=root,
        toplevel=boundary.toplevel,
        bound=boundary.name,
        allowed=boundary.allowed,
    )
