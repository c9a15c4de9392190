"""Finds the keys that are refused by name, planned or impossible, and says so."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.described import described
from runpod_deploy.schema.newer_keys import with_way_to_version_3
from runpod_deploy.schema.planned import PLANNED, Planned
from runpod_deploy.schema.pointer import child, dotted, split
from runpod_deploy.schema.report import Report
from runpod_deploy.schema.unsupported import UNSUPPORTED
from runpod_deploy.schema.yaml_source import YamlSource


def report_refused_keys(
    source: YamlSource,
    schema: Mapping[str, Any],
    report: Report,
    *,
    planned: Iterable[Planned] = PLANNED,
    idle: tuple[object, ...] = (),
    version: int = 3,
) -> frozenset[str]:
    """Note every refused key of `source`; return their JSON pointers.

    Of a reserved key only a value of the right shape is refused here, as planned; what is wrong with
    another one is left to be told.

    Args:
        source: The document.
        schema: The description of the document.
        report: Takes the findings.
        planned: The keys that are reserved.
        version: Of the document.
        idle: Values of an unsupported key that ask for nothing, so that the key may stand.
    """
    refused: set[str] = set()
    for key in UNSUPPORTED:
        for pointer, value in _matches(source.data, key.pointer):
            if any(value is one for one in idle):
                continue
            refused.add(pointer)
            place = source.key_positions[pointer]
            cure = with_way_to_version_3(key.help, version, report.file)
            report.error("unsupported-key", key.summary, key.detail, place, help=cure)
    for row in planned:
        for pointer, value in _matches(source.data, row.pattern):
            if row.value is None or (value == row.value and type(value) is type(row.value)):
                refused.add(pointer)
                if conforms(value, described(schema, pointer), schema):
                    _report_planned(row, pointer, source, report)
    return frozenset(refused)


def _report_planned(row: Planned, pointer: str, source: YamlSource, report: Report) -> None:
    if row.value is None:
        subject, place = f"`{dotted(pointer)}`", source.key_positions[pointer]
        cure = "Remove the key"
    else:
        said = row.value if isinstance(row.value, str) else json.dumps(row.value)
        subject = f"`{dotted(pointer)}: {said}`"
        place, cure = source.positions[pointer], "Remove the line"
    report.error(
        "planned",
        "Planned for a later version",
        f"{subject} is planned for {row.purpose}. It would have no effect yet, so it is refused.",
        place,
        help=f"{cure}. For now, {row.for_now}.",
    )


def _matches(data: Any, pattern: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [("", data)]
    for part in split(pattern):
        below: list[tuple[str, Any]] = []
        for pointer, value in found:
            if part == "*" and isinstance(value, list):
                below += [(child(pointer, index), item) for index, item in enumerate(value)]
            elif isinstance(value, dict) and part in value:
                below.append((child(pointer, part), value[part]))
        found = below
    return found
