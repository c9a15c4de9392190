"""Reads the bytes of the one file that this package reads."""

from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.schema.boundary import boundary_of
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.report import Report, Stop
from runpod_deploy.schema.yaml_text import MAX_BYTES

_MAX_NEIGHBOURS = 1000


def read_file(path: Path, report: Report) -> bytes:
    """Return the content of `path`, at most one byte beyond the limit of a job file.

    Raises:
        Stop: It cannot be read; `report` says why.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _missing(path, report) from None
    except IsADirectoryError:
        raise _directory(path, report) from None
    except PermissionError:
        problem = "The system does not allow you to read it."
    except (OSError, ValueError) as error:
        problem = f"The system says: {getattr(error, 'strerror', None) or error}."
    raise report.fatal(
        "unreadable-file",
        f"{report.what.capitalize()} cannot be read",
        f"`{report.file}` cannot be read. {problem}",
        None,
    )


def refuse_link_outside(path: Path, allow_paths: Sequence[Path], report: Report) -> None:
    """Refuse a job file that is a link out of its repository: findings quote lines of the file.

    A stranger's pull request may hold such a link. What the shell hands over (`/dev/stdin`,
    `<(command)`) is nobody's but the user's.

    Raises:
        Stop: It is one; `report` says so, and nothing has been read.
    """
    try:
        if not path.is_symlink():
            return
        folder, place = path.parent.resolve(), path.resolve()
    except (
        OSError,
        RuntimeError,
        ValueError,
    ):  # no such name, or links in circles: reading says so
        return
    if any(folder.is_relative_to(own) for own in ("/dev", "/proc")):
        return
    boundary = boundary_of(folder, allow_paths)
    if not boundary.holds(place):
        raise report.fatal(
            "path-outside",
            f"{report.what.capitalize()} is a link that leads out of the project",
            f"`{report.file}` is a link that leads out of the {boundary.name}, or into git's own "
            "folder, and what lies there is not shown.",
            None,
            help=f"If that is meant, name the file itself:\n  {place}",
        )


def _missing(path: Path, report: Report) -> Stop:
    near = near_miss(path.name, [one.name for one in _neighbours(path.parent)])
    return report.fatal(
        "missing-file",
        f"{report.what.capitalize()} not found",
        f"There is no file `{report.file}`.",
        None,
        suggestion=None if near is None else report.file.removesuffix(path.name) + near,
        help=None if near else report.kind.begin,
    )


def _directory(path: Path, report: Report) -> Stop:
    inside = _neighbours(path)
    return report.fatal(
        "not-a-file",
        f"{report.what.capitalize()} is a folder",
        f"`{report.file}` is a folder; a {report.what} is needed.",
        None,
        suggestion=f"{report.file.rstrip('/')}/{inside[0].name}" if len(inside) == 1 else None,
        help=None if len(inside) == 1 else "Name the file in it.",
    )


def _neighbours(folder: Path) -> list[Path]:
    try:
        files = [path for path, _ in zip(folder.iterdir(), range(_MAX_NEIGHBOURS), strict=False)]
    except OSError:
        return []
    return sorted(path for path in files if path.suffix in (".yaml", ".yml"))
