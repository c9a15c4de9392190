"""Files of this machine that a plan names: where they are, and their content, judged and read as one."""

from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.facts.project import at_home
from runpod_deploy.schema.boundary import is_within
from runpod_deploy.schema.opening import read_judged


def place_of(said: str, project_root: Path) -> Path:
    """Return where a file is, links resolved: relative to the project root, `~` is the home folder.

    Raises:
        OSError: Links go round in circles.
    """
    try:
        return (project_root / at_home(said)).resolve()
    except RuntimeError as error:  # Python before 3.13
        raise OSError(str(error)) from error


def read_named(said: str, project_root: Path, allowed: Sequence[Path] | None) -> bytes:
    """Return the content of a file that a plan names.

    Args:
        said: The path as the plan has it.
        project_root: What it is relative to.
        allowed: Folders it may lead into, links resolved; None when that was judged at the begin of
            the run. It is judged here, at the last moment: a link may have come into its place.

    Raises:
        OSError: It leads elsewhere, is no file, or cannot be read.
    """
    place = place_of(said, project_root)
    if allowed is not None and not is_within(place, allowed):
        raise PermissionError(1, "it leads out of the project", str(place))
    return read_judged(place, -1)
