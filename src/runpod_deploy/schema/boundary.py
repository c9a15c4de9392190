"""What a job file may touch on this machine.

A job file may come from a stranger's pull request: every path in it must lead, links resolved, below
the git top level, or below the job file's folder where there is no repository. More is a matter of
the person at the keyboard: `--allow-path DIR`.
"""

import posixpath
from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.frozen import frozen


@frozen
class Boundary:
    """The folders that a job file's paths may lead into, absolute, links resolved.

    Attributes:
        toplevel: The git work tree that the job file lies in; None outside of one.
        allowed: Those folders.
        name: What the first of them is, in words.
    """

    toplevel: Path | None
    allowed: tuple[Path, ...]
    name: str

    def holds(self, place: Path) -> bool:
        """Return whether the resolved path `place` may be touched; see `is_within`."""
        return is_within(place, self.allowed)


def boundary_of(folder: Path, allow_paths: Sequence[Path] = ()) -> Boundary:
    """Return what a job file in `folder`, a resolved path, may touch.

    Args:
        folder: Where the job file lies.
        allow_paths: Further folders, as the user named them.
    """
    toplevel = git_toplevel(folder)
    bounded = toplevel is not None and not is_everything(toplevel)
    first = toplevel if toplevel is not None and bounded else folder
    # A job file that lies in the home folder itself may not read all of a user's files for that.
    own = () if is_everything(first) else (first,)
    return Boundary(
        toplevel=toplevel,
        allowed=(*own, *(_resolved(path) for path in allow_paths)),
        name="repository" if bounded else "job file's folder",
    )


def is_within(place: Path, allowed: Sequence[Path]) -> bool:
    """Return whether the resolved path `place` is below one of `allowed`, and not in git's own folder.

    What lies in `.git` is not in the repository: its `config` may hold a token.
    """
    path = f"{place}/"
    for folder in allowed:
        top = posixpath.join(folder, "")
        if path.startswith(top) and ".git" not in path[len(top) :].lower().split("/"):
            return True
    return False


def git_toplevel(folder: Path) -> Path | None:
    """Return the nearest folder at or above `folder` that holds a `.git`, a folder or a file."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def is_everything(folder: Path) -> bool:
    """Return whether `folder` is the home folder or the root: never a project."""
    home = posixpath.expanduser("~")
    try:
        return str(folder) == "/" or (home != "~" and posixpath.samefile(folder, home))
    except OSError:  # there is no such folder
        return False


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except RuntimeError:  # `~` without a home folder, or links that go round in circles
        return path
