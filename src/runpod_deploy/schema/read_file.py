"""Reads the bytes of the one file that this package reads."""

import errno
from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.schema.boundary import boundary_of
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.opening import NotAFile, read_judged
from runpod_deploy.schema.report import Report, Stop
from runpod_deploy.schema.yaml_text import MAX_BYTES

_MAX_NEIGHBOURS = 1000


def read_inside(path: Path, allow_paths: Sequence[Path], report: Report) -> bytes:
    """Return the content of the job file `path`, unless it is a link out of its repository.

    What was judged is what is read, whatever is put in its place meanwhile.

    Raises:
        Stop: It is such a link, or it cannot be read; `report` says why.
    """
    return read_file(path, report, place=_judged(path, allow_paths, report))


def read_file(path: Path, report: Report, *, place: Path | None = None) -> bytes:
    """Return the content of `path`, at most one byte beyond the limit of a job file.

    Args:
        path: What messages are about.
        report: Takes what is wrong.
        place: Where `path` leads to, links resolved, when nothing else may be read.

    Raises:
        Stop: It cannot be read; `report` says why.
    """
    try:
        if place is not None:
            return read_judged(place, MAX_BYTES + 1)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except NotAFile as error:
        if error.errno == errno.EISDIR:
            raise _directory(path, report) from None
        problem = "It is a pipe, a socket or a device."
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


def _judged(path: Path, allow_paths: Sequence[Path], report: Report) -> Path | None:
    """Return where a job file is, links resolved; None for what is read as it is named.

    A stranger's pull request may hold a link, and findings quote lines of the file. What the shell
    hands over (`/dev/stdin`, `<(command)`) is nobody's but the user's.
    """
    try:
        folder = path.parent.resolve()
        place = path.resolve() if path.is_symlink() else folder / path.name
    except (OSError, RuntimeError, ValueError):  # no such name, links in circles: reading says so
        return None
    if any(folder.is_relative_to(own) for own in ("/dev", "/proc")):
        return None
    if place == folder / path.name:
        return place
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
    return place


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
