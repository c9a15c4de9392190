"""A document of version 2, checked by its own rules and told in the words of version 3."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runpod_deploy.schema.as_written import as_written
from runpod_deploy.schema.job import JobSource
from runpod_deploy.schema.report import Report, Stop, shorten
from runpod_deploy.schema.v2.names import is_name, known_names, usable_names
from runpod_deploy.schema.v2.notes import Notes
from runpod_deploy.schema.v2.placeholders import PLACEHOLDER, as_template, placeholders
from runpod_deploy.schema.v2.schema import validate, version_2_schema
from runpod_deploy.schema.v2.texts import report_unknown_names, templated, texts
from runpod_deploy.schema.v2.upgrade import upgrade
from runpod_deploy.schema.v2.yaml11 import take_booleans
from runpod_deploy.schema.yaml_source import YamlSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Version2:
    """One document, as written and as version 3 says it.

    Attributes:
        data: As written: plain data, variables and exports as texts.
        job: What a file of version 3 says, without what that version would fill in anyway.
    """

    data: Mapping[str, Any]
    job: dict[str, Any]


def upgraded(source: YamlSource, variables: Mapping[str, str], report: Report) -> dict[str, Any]:
    """Return the data of a `JobConfig`; what a reader should know is noted in `report`.

    Args:
        source: A mapping that is meant as version 2.
        variables: Values from the command line; here they need not be declared.
        report: Takes errors and notes.

    Raises:
        Stop: Something is wrong.
    """
    return read_version_2(source, variables, report).job


def read_version_2(
    source: YamlSource,
    variables: Mapping[str, str],
    report: Report,
    *,
    braces_are_text: bool = False,
) -> Version2:
    """Return both sides of a document; arguments as of `upgraded`.

    Args:
        braces_are_text: Whether placeholders with unknown names stay as they are, instead of being
            errors: what version 3 makes of them.

    Raises:
        Stop: Something is wrong.
    """
    notes = Notes(source=source, report=report)
    if "schema_version" not in source.data:
        notes.version()
    take_booleans(source, version_2_schema(), report)
    validate(source, report)
    if report.found:
        if not braces_are_text:
            _report_names_as_well(source, variables, report)
        raise Stop
    data = as_written(source)
    declared = {**data.get("variables", {}), **variables}
    names = known_names(declared)
    if not braces_are_text:
        report_unknown_names(data, names, _place(source, report), report)
        if report.found:
            raise Stop
    notes.spelling()
    notes.changes(data)
    _note_unused(data, variables, notes)
    job = templated(upgrade(data, declared, notes), names)
    values = _variables(declared, names)
    if values or "variables" in job:
        job["variables"] = values
    return Version2(data=data, job=job)


def _report_names_as_well(source: YamlSource, variables: Mapping[str, str], report: Report) -> None:
    """Note unknown names in a document that has other faults, so that all of them are told at once."""
    declared = source.data.get("variables", {})
    if isinstance(declared, dict):
        names = known_names([*(name for name in declared if isinstance(name, str)), *variables])
        report_unknown_names(source.data, names, _place(source, report), report)


def _place(source: YamlSource, report: Report) -> JobSource:
    return JobSource(path=report.file, positions=source.positions, lines=source.lines)


def _variables(declared: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    values = {}
    usable = {name: text for name, text in declared.items() if is_name(name)}
    for name, text in usable.items():
        if PLACEHOLDER.search(text):
            own = usable_names(name, usable)
            known = {word: names[word] for word in names if word in own or word not in usable}
        else:
            known = {}
        values[names[name]] = as_template(text, known)
    return values


def _note_unused(data: Mapping[str, Any], variables: Mapping[str, str], notes: Notes) -> None:
    declared = data.get("variables", {})
    used = {name for _, text in texts(data) for name, _ in placeholders(text)}
    for name in variables:
        if name not in declared and name not in used:
            notes.add(
                "undeclared-variable",
                "A variable of the command line is not used",
                f"The command line sets `{shorten(name)}`, and the file neither declares nor uses "
                "it.",
                "",
            )
