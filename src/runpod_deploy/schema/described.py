"""Which part of a schema describes a value."""

from collections.abc import Mapping
from typing import Any

from runpod_deploy.schema.pointer import split


def described(schema: Mapping[str, Any], pointer: str) -> Mapping[str, Any]:
    """Return the schema of the value at `pointer`, which a document need not have.

    References are followed; what is said where a reference stands wins. Empty when nothing is said.
    """
    rule = schema
    for part in split(pointer):
        rule = _below(rule, part)
        target = rule.get("$ref", "").rpartition("/")[2]
        if target:
            rule = {**schema["$defs"][target], **{k: v for k, v in rule.items() if k != "$ref"}}
    return rule


def _below(rule: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    below = rule.get("properties", {}).get(part)
    if below is None:
        below = rule.get("items") if "items" in rule else rule.get("additionalProperties")
    return below if isinstance(below, Mapping) else {}
