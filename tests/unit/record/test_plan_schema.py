"""The published schema of a plan is held against the dataclasses that read and write it."""

import dataclasses
import json
import types
import typing
from collections.abc import Sequence
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from record_cases import plan_file, schema, validator
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.schema.plain import from_plain, to_plain

SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
SHAPE = {
    "type",
    "enum",
    "items",
    "anyOf",
    "$ref",
    "properties",
    "required",
    "additionalProperties",
}


def shape_of(kind: Any, defs: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 - one per kind of type
    """Return the schema of a type annotation, without words; dataclasses go into `defs`."""
    if kind is Any:
        return {}
    if kind in SCALARS:
        return {"type": SCALARS[kind]}
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        if kind.__name__ not in defs:
            defs[kind.__name__] = {}
            defs[kind.__name__].update(shape_of_dataclass(kind, defs))
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (tuple, Sequence):
        return {"type": "array", "items": shape_of(arguments[0], defs)}
    if origin in (typing.Union, types.UnionType):
        parts = [shape_of(one, defs) for one in arguments]
        if all(set(part) == {"type"} for part in parts):
            return {"type": [part["type"] for part in parts]}
        return {"anyOf": parts}
    return {"type": "object", "additionalProperties": shape_of(arguments[1], defs)}


def shape_of_dataclass(cls: type, defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a dataclass: all its fields, those without a default required."""
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    none = dataclasses.MISSING
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [f.name for f in fields if f.default is none and f.default_factory is none],
        "properties": {f.name: shape_of(hints[f.name], defs) for f in fields},
    }


def without_words(described: Any) -> Any:
    """Return a schema with only the keywords of its shape."""
    if not isinstance(described, dict):
        return described
    shape: dict[str, Any] = {}
    for key, value in described.items():
        if key == "properties":
            shape[key] = {name: without_words(one) for name, one in value.items()}
        elif key == "anyOf":
            shape[key] = [without_words(one) for one in value]
        elif key in SHAPE:
            shape[key] = without_words(value)
    return shape


def test_the_schema_is_valid_and_has_its_address() -> None:
    """The plan schema is a valid 2020-12 schema with the fixed `$id`."""
    Draft202012Validator.check_schema(schema("plan"))

    assert schema("plan")["$id"] == "urn:runpod-deploy:schema:plan:1"


def test_the_schema_has_the_shape_of_the_dataclasses() -> None:
    """Every dataclass of a plan file, with its fields, types and required ones, and nothing else."""
    expected: dict[str, Any] = {}
    root = shape_of_dataclass(PlanFile, expected)
    described = schema("plan")

    assert root == without_words(described)
    assert expected == {name: without_words(one) for name, one in described["$defs"].items()}


def test_every_field_is_described() -> None:
    """A stranger finds a sentence at every field."""
    described = schema("plan")
    missing = [
        f"{name}.{key}"
        for name, one in [("", described), *described["$defs"].items()]
        for key, field in one["properties"].items()
        if not field.get("description", "").endswith(".")
    ]

    assert missing == []


def test_a_saved_plan_validates_and_reads_back() -> None:
    """A plan as it is written satisfies the schema, and the reader gives the same plan."""
    data = json.loads(json.dumps(to_plain(plan_file())))
    validator("plan").validate(data)

    assert plan_file() == from_plain(PlanFile, data)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("format", "runpod-deploy.plan/2"),
        ("plan_hash", "sha256:x"),
        ("plan_id", "../../etc"),
        ("surprise", 1),
    ],
)
def test_a_file_that_is_no_plan_is_refused(pointer: str, value: Any) -> None:
    """Another format, a hash or id of another form and unknown keys do not validate."""
    assert not validator("plan").is_valid({**to_plain(plan_file()), pointer: value})
