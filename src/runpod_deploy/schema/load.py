"""From a job file to a typed `JobConfig`, or to everything that is wrong with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.schema.job import JobConfig, JobSource
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.plain import from_plain
from runpod_deploy.schema.read_file import read_file
from runpod_deploy.schema.report import MAX_DIAGNOSTICS, Report, Stop, shorten
from runpod_deploy.schema.validate import validate
from runpod_deploy.schema.yaml_nodes import Node
from runpod_deploy.schema.yaml_source import YamlSource, read_yaml

_TEXT_MAPS = ("/variables", "/pod/env", "/remote_env/exports", "/run/env")


def load(
    path: str | Path, variables: Mapping[str, str] | None = None, *, display: str | None = None
) -> JobConfig:
    """Read the job file at `path`.

    Args:
        path: The job file.
        variables: Values from the command line; they override those of the file's `variables`.
        display: The file's name in messages and positions; by default `path` as given.

    Raises:
        InvalidInput: The file cannot be read or says something that cannot be; holds every
            diagnostic.
    """
    report = Report(file=display if display is not None else str(path))
    try:
        return _load(read_file(Path(path), report), variables or {}, report)
    except Stop:
        raise _invalid(report) from None


def load_bytes(
    raw: bytes, variables: Mapping[str, str] | None = None, *, display: str
) -> JobConfig:
    """Read a job file that is not in the work tree, such as one of another git revision.

    Raises:
        InvalidInput: As `load`.
    """
    report = Report(file=display)
    try:
        return _load(raw, variables or {}, report)
    except Stop:
        raise _invalid(report) from None


def _load(raw: bytes, variables: Mapping[str, str], report: Report) -> JobConfig:
    source = read_yaml(raw, report)
    validate(source, report)
    _check_overrides(source, variables, report)
    if report.found:
        raise Stop
    data = dict(source.data)
    for pointer in _TEXT_MAPS:
        _take_as_written(data, pointer, source.root)
    data["variables"] = {**data.get("variables", {}), **variables}
    place = JobSource(
        path=report.file,
        positions=source.positions,
        keys=source.key_positions,
        lines=source.lines,
    )
    return from_plain(JobConfig, data, ready={"source": place})


def _invalid(report: Report) -> InvalidInput:
    found = sorted(report.found, key=_order)
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    if len(found) >= MAX_DIAGNOSTICS:
        found.append(_MORE)
    return InvalidInput(f"{report.file}: {count}", diagnostics=tuple(found))


_MORE = Diagnostic(
    severity=Severity.NOTE,
    code="more-findings",
    summary="There may be more",
    detail=f"The reading ended after {MAX_DIAGNOSTICS} errors.",
)


def _order(diagnostic: Diagnostic) -> tuple[int, int]:
    where = diagnostic.where
    return (0, 0) if where is None else (where.line, where.column)


def _check_overrides(source: YamlSource, variables: Mapping[str, str], report: Report) -> None:
    data = source.data.get("variables") if isinstance(source.data, dict) else None
    declared = list(data) if isinstance(data, dict) else []
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


def _take_as_written(data: dict[str, Any], pointer: str, root: Node) -> None:
    """Replace the values of the mapping at `pointer` by their text in the file."""
    node = root.find(pointer)
    if node is None or not isinstance(node.items, dict):
        return
    *above, last = pointer.split("/")[1:]
    section = data
    for key in above:
        section[key] = dict(section[key])
        section = section[key]
    section[last] = {key: item.text for key, item in node.items.items()}
