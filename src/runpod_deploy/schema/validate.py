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


def validate(source: YamlSource, report: Report) -> None:
    """Note everything in `source` that a job file of version 3 may not say.

    Raises:
        Stop: The file is of another version, or the report is full.
    """
    data = source.data
    if isinstance(data, dict):
        _check_version(data, source, report)
    schema = job_schema()
    refused = report_refused_keys(source, report)
    if refused or not conforms(data, schema, schema):
        # Takes longer to import than a valid file takes to load.
        from runpod_deploy.schema.explain import report_misfits  # noqa: PLC0415

        report_misfits(source, schema, refused, report)
    report_broken_rules(source, report)


def _check_version(data: dict[str, Any], source: YamlSource, report: Report) -> None:
    said = data.get("schema_version")
    if type(said) is not int or said == VERSION:
        return
    at = source.positions["/schema_version"]
    if said > VERSION:
        report.error(
            "newer-version",
            "File of a newer version",
            f"This file is of schema version {said}; this release reads version {VERSION}.",
            at,
            help="Upgrade runpod-deploy.",
        )
    else:
        report.error(
            "older-version",
            "Planned for a later version",
            f"This file is of schema version {said}; reading version 2 files is planned, and this release "
            f"reads version {VERSION}."
            if said == 2
            else f"There is no schema version {said}; this release reads version {VERSION}.",
            at,
            help=f"Write `schema_version: {VERSION}` and run `runpod-deploy validate`: it names every key "
            "that has to change.",
        )
    raise Stop
