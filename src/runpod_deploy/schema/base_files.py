"""Where the files come from that a job file extends: the work tree, bounded, or what a caller gives."""

import errno
from collections.abc import Callable, Sequence
from pathlib import Path

from runpod_deploy.schema.boundary import Boundary, boundary_of
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.opening import NotAFile, read_judged
from runpod_deploy.schema.yaml_text import MAX_BYTES

ReadBase = Callable[[str], bytes]
"""Returns the bytes of a job file; the path is relative to the folder of the file that is loaded,
with `/` separators and `..` only at its start. Raises `BaseRefused`, or OSError when there is no
such file or it cannot be read."""

SUFFIXES = (".yaml", ".yml")
_MAX_NEIGHBOURS = 1000


class BaseRefused(Exception):
    """A file that may not be extended, or is not there.

    Attributes:
        code: And all below: as of a `Diagnostic`.
        suggestion: Name of a file in the same folder that was probably meant.
    """

    def __init__(
        self,
        code: str,
        summary: str,
        detail: str,
        *,
        suggestion: str | None = None,
        help: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.summary = summary
        self.detail = detail
        self.suggestion = suggestion
        self.help = help


class WorkTree:
    """Reads files below the boundary of a job file: links are followed only inside of it."""

    def __init__(self, folder: Path, allow_paths: Sequence[Path]) -> None:
        """Read beside a job file in `folder`; `allow_paths` as of `boundary_of`."""
        self._folder = folder
        self._allow_paths = allow_paths

    def __call__(self, path: str) -> bytes:
        """Return the content, at most one byte beyond the limit of a job file."""
        boundary = boundary_of(self._folder.resolve(), self._allow_paths)
        try:
            place = (self._folder / path).resolve()
        except RuntimeError as error:  # Python before 3.13, where links go round in circles
            raise OSError(errno.ELOOP, "Too many levels of symbolic links") from error
        if ".git" in map(str.lower, place.parts):
            raise not_a_job_file(path)
        _refuse_outside(path, place, boundary)
        if place.suffix not in SUFFIXES:
            raise not_a_job_file(path)
        try:
            return _read(place, path)
        except FileNotFoundError:
            near = near_miss(place.name, _neighbours(place.parent))
            raise missing(path, near) from None


def missing(path: str, near: str | None = None) -> BaseRefused:
    """Return the refusal of a file that is not there; `near` is the name of one that is."""
    return BaseRefused(
        "missing-file",
        "Extended file not found",
        f"There is no file `{path}` beside the job file.",
        suggestion=near,
        help="The path is relative to the folder of the file that names it.",
    )


def not_a_job_file(path: str) -> BaseRefused:
    """Return the refusal of a file that is no YAML by its name; nothing of it may be shown."""
    return BaseRefused(
        "not-a-job-file",
        "Only YAML files can be extended",
        f"`{path}` is, or leads to, something whose name does not end in `.yaml` or `.yml`, or that "
        "lies in git's own folder.",
    )


def _refuse_outside(path: str, place: Path, boundary: Boundary) -> None:
    if not boundary.holds(place):
        raise BaseRefused(
            "path-outside",
            "A path leads out of the project",
            f"`{path}` leads out of the {boundary.name}, and a job file may touch nothing outside.",
            help=f"If that is meant:\n  --allow-path {place.parent}",
        )


def _read(place: Path, path: str) -> bytes:
    try:
        return read_judged(place, MAX_BYTES + 1)
    except NotAFile:
        refusal = BaseRefused("not-a-file", "Extended file is no file", f"`{path}` is no file.")
        raise refusal from None


def _neighbours(folder: Path) -> list[str]:
    try:
        names = [one.name for one, _ in zip(folder.iterdir(), range(_MAX_NEIGHBOURS), strict=False)]
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(SUFFIXES))
