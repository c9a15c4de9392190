"""Where a project lies, and which local paths its job file may name.

A job file may come from a stranger's pull request: every path in it must lead, links resolved, below
the git top level, or below the job file's folder where there is no repository. More is a matter of
the person at the keyboard: `--allow-path DIR`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RUN_FOLDERS = "artifacts/runpod"


@dataclass(frozen=True, kw_only=True, slots=True)
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
        return Path(os.path.relpath(self.job_file, self.root)).as_posix()

    def locate(self, path: str) -> Path:
        """Return the absolute path, links resolved, of a path in the job file."""
        return Path(os.path.realpath(self.root / Path(path).expanduser()))

    def may_touch(self, place: Path) -> bool:
        """Return whether the resolved path `place` is below one of the allowed folders."""
        return any(place.is_relative_to(folder) for folder in self.allowed)


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
    toplevel = git_toplevel(job_file.parent)
    bounded = toplevel is not None and not is_everything(toplevel)
    boundary = toplevel if toplevel is not None and bounded else job_file.parent
    return Project(
        job_file=job_file,
        root=root,
        toplevel=toplevel,
        bound="repository" if bounded else "job file's folder",
        allowed=(boundary, *(Path(os.path.realpath(path.expanduser())) for path in allow_paths)),
    )


def git_toplevel(folder: Path) -> Path | None:
    """Return the nearest folder at or above `folder` that holds a `.git`, a folder or a file."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def is_everything(folder: Path) -> bool:
    """Return whether `folder` is the home folder or the root: never a project."""
    home = os.path.realpath(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises without one
    return str(folder) in ("/", home)
