"""Which of the two formats a document is meant to be."""

from typing import Any

from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.validate import job_schema


def is_version_2(data: Any) -> bool:
    """Tell whether a document is meant as version 2: it says so, or says nothing.

    A document that says nothing, is no job of version 2, and would be whole in version 3, has lost
    that one line, and is left to the rules of version 3.
    """
    if not isinstance(data, dict):
        return False
    if "schema_version" in data:
        return type(data["schema_version"]) is int and data["schema_version"] == 2
    from runpod_deploy.schema.v2.schema import version_2_schema  # noqa: PLC0415 - few files need it

    older, newer = version_2_schema(), job_schema()
    return conforms(data, older, older) or not conforms({**data, "schema_version": 3}, newer, newer)
