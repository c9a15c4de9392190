"""From a job file to a typed `JobConfig`, or to everything that is wrong with it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.schema.as_written import as_written
from runpod_deploy.schema.base_files import BaseRefused, ReadBase, WorkTree
from runpod_deploy.schema.extends import extends, with_bases
from runpod_deploy.schema.job import JobConfig, JobSource
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.plain import from_plain
from runpod_deploy.schema.read_file import read_inside
from runpod_deploy.schema.report import MAX_DIAGNOSTICS, Report, Stop, shorten
from runpod_deploy.schema.v2.version import is_version_2
from runpod_deploy.schema.validate import VERSION, job_schema, validate
from runpod_deploy.schema.yaml_source import YamlSource, read_yaml


class Misfit(InvalidInput):
    """A job file that does not fit its schema, and what it says besides.

    Attributes:
        config: The job without what does not fit.
        doubtful: Pointers about which nothing can be said therefore.
    """

    def __init__(self, refusal: InvalidInput, config: JobConfig, doubtful: frozenset[str]) -> None:
        super().__init__(refusal.message, diagnostics=refusal.diagnostics, help=refusal.help)
        self.config = config
        self.doubtful = doubtful


class _Partly(Stop):
    def __init__(self, config: JobConfig, doubtful: frozenset[str]) -> None:
        self.config = config
        self.doubtful = doubtful


def load(
    path: str | Path,
    variables: Mapping[str, str] | None = None,
    *,
    display: str | None = None,
    allow_paths: Sequence[Path] = (),
) -> JobConfig:
    """Read the job file at `path`, and the files it extends.

    Args:
        path: The job file.
        variables: Values from the command line; they override those of the file's `variables`.
        display: The file's name in messages and positions; by default `path` as given. It ends in
            the file's own name.
        allow_paths: Folders outside of the repository that it may extend files of.

    Raises:
        InvalidInput: The file cannot be read or says something that cannot be; holds every
            diagnostic. A `Misfit` where enough of it can be read for the rest to be checked.
    """
    path = Path(path)
    report = Report(file=display if display is not None else str(path))
    try:
        raw = read_inside(path, allow_paths, report)
        tree = WorkTree(path.parent, allow_paths)
        return _load(raw, variables or {}, path.name, tree, report)
    except _Partly as left:
        raise Misfit(invalid(report), left.config, left.doubtful) from None
    except Stop:
        raise invalid(report) from None


def load_bytes(
    raw: bytes,
    variables: Mapping[str, str] | None = None,
    *,
    display: str,
    read_base: ReadBase | None = None,
) -> JobConfig:
    """Read a job file that is not in the work tree, such as one of another git revision.

    Args:
        raw: The content of the file.
        variables: As of `load`.
        display: The file's name in messages and positions, such as `main:jobs/train.yaml`.
        read_base: Reads what it extends, by a path relative to the file's folder; without one,
            a file that extends another is refused.

    Raises:
        InvalidInput: As `load`.
    """
    report = Report(file=display)
    own = display.rpartition("/")[2].rpartition(":")[2]
    try:
        return _load(raw, variables or {}, own, read_base or _no_base, report)
    except Stop:
        raise invalid(report) from None


def read_job_file(path: Path) -> bytes:
    """Return the bytes of the job file at `path`, for what works on its text.

    Raises:
        InvalidInput: It cannot be read.
    """
    report = Report(file=str(path))
    try:
        return read_inside(path, (), report)
    except Stop:
        raise invalid(report) from None


def _no_base(path: str) -> bytes:
    raise BaseRefused(
        "unreadable-file",
        "Extended file cannot be read",
        f"`{path}` cannot be read: the job file was given without the files beside it.",
    )


def _load(
    raw: bytes, variables: Mapping[str, str], own: str, read_base: ReadBase, report: Report
) -> JobConfig:
    source = read_yaml(raw, report)
    extended = extends(source.data)
    if extended:
        source = with_bases(source, raw, own, read_base, report)
    version = 2 if not extended and is_version_2(source.data) else 3
    if version == 2:
        from runpod_deploy.schema.v2.read import upgraded  # noqa: PLC0415 - few files need it

        data = upgraded(source, variables, report)
    else:
        data = _data(source, variables, report)
    if report.found:
        raise Stop
    return _config(source, data, version, variables, report)


def _config(
    source: YamlSource,
    data: Mapping[str, Any],
    version: int,
    variables: Mapping[str, str],
    report: Report,
) -> JobConfig:
    place = JobSource(
        path=report.file,
        positions=source.positions,
        keys=source.key_positions,
        lines=source.lines,
        version=version,
        notes=tuple(report.notes),
        overrides=dict(variables),
        texts=report.texts,
    )
    return from_plain(JobConfig, data, ready={"source": place})


def _data(source: YamlSource, variables: Mapping[str, str], report: Report) -> dict[str, Any]:
    refused = validate(source, report)
    _check_overrides(source, variables, report)
    if report.found:
        _leave_the_rest(source, refused, variables, report)
        raise Stop
    data = as_written(source)
    data["variables"] = {**data.get("variables", {}), **variables}
    return data


def _leave_the_rest(
    source: YamlSource, refused: frozenset[str], variables: Mapping[str, str], report: Report
) -> None:
    """Raise with what can still be checked; return when that is too little."""
    # Importing `jsonschema` takes longer than loading a valid file.
    from runpod_deploy.schema.remainder import in_doubt, misfits, without  # noqa: PLC0415

    gone = misfits(source.data, job_schema(), refused)
    if gone is None:
        return
    data = without(as_written(source), gone)
    data["variables"] = {**data.get("variables", {}), **variables}
    raise _Partly(_config(source, data, VERSION, variables, report), in_doubt(source.data, gone))


def invalid(report: Report) -> InvalidInput:
    """Return the refusal of a file, with everything that was found."""
    found = in_order(report.found, report.file)
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    if len(found) >= MAX_DIAGNOSTICS:
        found.append(_MORE)
    found += report.notes
    return InvalidInput(f"{report.file}: {count}", diagnostics=tuple(found))


_MORE = Diagnostic(
    severity=Severity.NOTE,
    code="more-findings",
    summary="There may be more",
    detail=f"The reading ended after {MAX_DIAGNOSTICS} errors.",
)


def in_order(found: Iterable[Diagnostic], first: str) -> list[Diagnostic]:
    """Return diagnostics by their places; those in the file `first` before those in others."""
    return sorted(found, key=lambda one: _order(one, first))


def _order(diagnostic: Diagnostic, first: str) -> tuple[bool, str, int, int]:
    where = diagnostic.where
    if where is None:
        return (False, "", 0, 0)
    return (where.file != first, where.file, where.line, where.column)


def _axes(data: Any) -> list[str]:
    """Return the names of the axes of a sweep, each a variable that is set from outside."""
    matrix = data.get("matrix") if isinstance(data, dict) else None
    axes = matrix.get("axes") if isinstance(matrix, dict) else None
    return list(axes) if isinstance(axes, dict) else []


def _check_overrides(source: YamlSource, variables: Mapping[str, str], report: Report) -> None:
    data = source.data.get("variables") if isinstance(source.data, dict) else None
    declared = list(data) if isinstance(data, dict) else []
    declared += _axes(source.data)
    for name in variables:
        if name not in declared:
            known = ", ".join(f"`{shorten(one)}`" for one in declared[:20])
            report.error(
                "undeclared-variable",
                "Undeclared variable",
                f"The command line sets `{shorten(name)}`, and the job file declares no such "
                "variable. " + (f"It declares {known}." if known else "It declares none."),
                None,
                suggestion=near_miss(name, declared),
                help="Declare it under `variables` with the value it has when none is given.",
            )
