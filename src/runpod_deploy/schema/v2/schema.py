"""Whether a document is a job file of version 2: every fault of it, told at once."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.documents import schema_document
from runpod_deploy.schema.pointer import child, dotted
from runpod_deploy.schema.refused_keys import report_refused_keys
from runpod_deploy.schema.report import Report
from runpod_deploy.schema.rules import report_ports, report_shadowed
from runpod_deploy.schema.v2.placeholders import BUILT_INS
from runpod_deploy.schema.validate import job_schema
from runpod_deploy.schema.yaml_source import YamlSource


@cache
def version_2_schema() -> Mapping[str, Any]:
    """Return the description of a job file of version 2; shared, not to be changed."""
    schema: Mapping[str, Any] = json.loads(schema_document("job.v2"))
    return schema


def validate(source: YamlSource, report: Report) -> None:
    """Note everything in `source` that a job file of version 2 may not say."""
    schema = version_2_schema()
    newer = frozenset(_report_newer_keys(source, schema, report))
    refused = newer | report_refused_keys(
        source, schema, report, planned=(), idle=(False, None), version=2
    )
    if refused or not conforms(source.data, schema, schema):
        # Importing `jsonschema` takes longer than loading a valid file.
        from runpod_deploy.schema.explain import report_misfits  # noqa: PLC0415

        report_misfits(source, schema, refused, report)
    report_shadowed(source.data, BUILT_INS, source, report)
    report_ports(source.data, source, report)


def _report_newer_keys(
    source: YamlSource, schema: Mapping[str, Any], report: Report
) -> Iterator[str]:
    for pointer in _newer_keys(source.data, schema, job_schema(), ""):
        report.error(
            "newer-key",
            "Key of version 3",
            f"`{dotted(pointer)}` belongs to version 3 of the format, and this file is "
            + ("of version 2." if "schema_version" in source.data else "read as version 2."),
            source.key_positions[pointer],
            help="Take the key out, write the file in version 3, and put it in again:\n\n"
            f"  runpod-deploy migrate {report.file} -o {report.file}"
            if "schema_version" in source.data
            else "If the file is meant as version 3, say so in it:\n\n  schema_version: 3",
        )
        yield pointer


def _newer_keys(
    data: Any, old: Mapping[str, Any], new: Mapping[str, Any], pointer: str
) -> Iterator[str]:
    """Yield the pointer of each key that only `new` describes."""
    if isinstance(data, dict):
        here, there = old.get("properties", {}), new.get("properties", {})
        for key, value in data.items():
            if key in there and key not in here:
                yield child(pointer, key)
            elif key in there:
                old_rule, new_rule = _resolved(here[key], 2), _resolved(there[key], 3)
                yield from _newer_keys(value, old_rule, new_rule, child(pointer, key))
    elif isinstance(data, list) and "items" in old and "items" in new:
        old_rule, new_rule = _resolved(old["items"], 2), _resolved(new["items"], 3)
        for index, value in enumerate(data):
            yield from _newer_keys(value, old_rule, new_rule, child(pointer, index))


def _resolved(rule: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    target = rule.get("$ref", "").rpartition("/")[2]
    schema = job_schema() if version == 3 else version_2_schema()
    resolved: Mapping[str, Any] = schema["$defs"][target] if target else rule
    return resolved
