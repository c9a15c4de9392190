"""Whether a document is a job file of version 3: every fault of it, told at once."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.documents import schema_document
from runpod_deploy.schema.refused_keys import report_refused_keys
from runpod_deploy.schema.report import Report, Stop
from runpod_deploy.schema.rules import report_broken_rules
from runpod_deploy.schema.yaml_source import YamlSource

VERSION = 3


@cache
def job_schema() -> Mapping[str, Any]:
    """Return the description of the job file; shared, not to be changed."""
    schema: Mapping[str, Any] = json.loads(schema_document("job"))
    return schema


def validate(source: YamlSource, report: Report) -> frozenset[str]:
    """Note everything in `source` that a job file of version 3 may not say.

    Returns:
        JSON pointers of the keys that are refused whatever their value.

    Raises:
        Stop: The file is of another version, or the report is full.
    """
    data = source.data
    if isinstance(data, dict) and type(data.get("schema_version")) is int:
        _check_version(data["schema_version"], source, report)
    schema = job_schema()
    refused = report_refused_keys(source, schema, report)
    if refused or not conforms(data, schema, schema):
        # Importing `jsonschema` takes longer than loading a valid file.
        from runpod_deploy.schema.explain import report_misfits  # noqa: PLC0415

        report_misfits(source, schema, refused, report)
    report_broken_rules(source, report)
    return refused


def _check_version(said: int, source: YamlSource, report: Report) -> None:
    """Refuse any other version before its keys are judged by the rules of this one."""
    if said == VERSION:
        return
    place = source.positions["/schema_version"]
    if said > VERSION:
        report.error(
            "newer-version",
            "File of a newer version",
            f"This file has schema version {said}, and this release reads version {VERSION}.",
            place,
            help="Upgrade runpod-deploy.",
        )
    else:
        report.error(
            "older-version",
            "File of another version",
            f"This file has schema version {said}, and this release reads versions 2 and {VERSION}.",
            place,
            help=f"Write `schema_version: {VERSION}`, and `validate` names every key that has to "
            "change.",
        )
    raise Stop
