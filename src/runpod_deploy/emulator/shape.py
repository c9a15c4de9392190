"""A checker for the part of JSON Schema that the API's request bodies use.

It words violations as the API's own validator was seen to, one line each, led by a JSON path:
`$: missing property 'name'`, `$.disk: got string, want integer`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return _is_number(value) and (not isinstance(value, float) or value.is_integer())


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": _is_integer,
    "number": _is_number,
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def violations(value: object, schema: Schema, path: str = "$") -> list[str]:
    """List every way in which a decoded JSON value breaks the schema, in a stable order."""
    return list(_check(value, schema, path))


def _check(value: object, schema: Schema, path: str) -> Iterator[str]:
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if kinds and not any(_KINDS[kind](value) for kind in kinds):
        yield f"{path}: got {_kind_of(value)}, want {' or '.join(kinds)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        choices = ", ".join(f"'{choice}'" for choice in schema["enum"])
        yield f"{path}: value must be one of {choices}"
    if isinstance(value, dict):
        yield from _check_object(value, schema, path)
    elif isinstance(value, list):
        yield from _check_array(value, schema, path)
    elif isinstance(value, str):
        yield from _check_string(value, schema, path)
    elif _is_number(value):
        yield from _check_number(value, schema, path)


def _check_object(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[str]:
    required: Sequence[str] = schema.get("required", ())
    yield from _listing(path, "missing", [key for key in required if key not in value])
    if len(value) < schema.get("minProperties", 0):
        yield f"{path}: minProperties: got {len(value)}, want {schema['minProperties']}"
    known: Mapping[str, Schema] = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    if others is False:
        strange = sorted(set(value) - set(known))
        if strange:
            names = ", ".join(f"'{name}'" for name in strange)
            yield f"{path}: additional properties {names} not allowed"
    for key, item in value.items():
        inner = known.get(key, others)
        if isinstance(inner, Mapping):
            yield from _check(item, inner, f"{path}.{key}")


def _check_array(value: Sequence[object], schema: Schema, path: str) -> Iterator[str]:
    if len(value) > schema.get("maxItems", math.inf):
        yield f"{path}: maxItems: got {len(value)}, want {schema['maxItems']}"
    if "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], f"{path}[{index}]")


def _check_string(value: str, schema: Schema, path: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{path}: minLength: got {len(value)}, want {schema['minLength']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: '{value}' does not match pattern '{schema['pattern']}'"


def _check_number(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if value < schema.get("minimum", -math.inf):
        yield f"{path}: minimum: got {value}, want {schema['minimum']}"
    if value > schema.get("maximum", math.inf):
        yield f"{path}: maximum: got {value}, want {schema['maximum']}"


def _listing(path: str, what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        word = "property" if len(names) == 1 else "properties"
        yield f"{path}: {what} {word} " + ", ".join(f"'{name}'" for name in names)


def _kind_of(value: object) -> str:
    return next(kind for kind, fits in _KINDS.items() if fits(value))
