"""Whether data fits a schema, yes or no, fast.

Nearly every job file is valid, and importing the `jsonschema` package takes longer than all else that
`plan` does. So this module says yes for the keywords that `job.schema.json` uses; only when it says no is
`jsonschema` asked to say why. A test holds the two against each other.
"""

from collections.abc import Callable, Mapping
from typing import Any

from runpod_deploy.schema.dialect import compiled, first_duplicate, is_integer

Schema = Mapping[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": is_integer,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}

ANNOTATIONS = frozenset(
    {
        "$schema",
        "$id",
        "$defs",
        "title",
        "description",
        "default",
        "examples",
        "enumDescriptions",
        "patternErrorMessage",
        "then",
        "properties",
    }
)
"""Keywords that decide nothing by themselves; `then` is read with `if`, `properties` with
`additionalProperties`."""


def conforms(data: Any, schema: Schema, root: Schema) -> bool:
    """Tell whether `data` fits `schema`, whose references point into `root`.

    Raises:
        KeyError: The schema uses a keyword that is not known here.
    """
    for keyword, rule in schema.items():
        if keyword not in ANNOTATIONS and not _CHECKS[keyword](data, rule, schema, root):
            return False
    return "properties" not in schema or _properties(data, schema["properties"], root)


def type_matches(value: Any, types: str | list[str]) -> bool:
    """Tell whether `value` is of one of the JSON types named."""
    if isinstance(types, str):
        return _TYPES[types](value)
    return any(_TYPES[name](value) for name in types)


def _properties(data: Any, properties: Mapping[str, Schema], root: Schema) -> bool:
    if not isinstance(data, dict):
        return True
    return all(
        conforms(value, properties[key], root) for key, value in data.items() if key in properties
    )


def _additional(data: Any, rule: Any, schema: Schema, root: Schema) -> bool:
    if not isinstance(data, dict):
        return True
    known = schema.get("properties", {})
    extra = [value for key, value in data.items() if key not in known]
    if rule is False:
        return not extra
    return all(conforms(value, rule, root) for value in extra)


def _if(data: Any, rule: Schema, schema: Schema, root: Schema) -> bool:
    return not conforms(data, rule, root) or conforms(data, schema["then"], root)


def _same(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _number(check: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    return lambda data, rule, schema, root: not _TYPES["number"](data) or check(data, rule)


def _string(check: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    return lambda data, rule, schema, root: not isinstance(data, str) or check(data, rule)


def _list(check: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    return lambda data, rule, schema, root: not isinstance(data, list) or check(data, rule)


def _mapping(check: Callable[[Any, Any, Schema], bool]) -> Callable[..., bool]:
    return lambda data, rule, schema, root: not isinstance(data, dict) or check(data, rule, root)


_CHECKS: dict[str, Callable[[Any, Any, Schema, Schema], bool]] = {
    "$ref": lambda data, rule, schema, root: conforms(
        data, root["$defs"][rule.rpartition("/")[2]], root
    ),
    "type": lambda data, rule, schema, root: type_matches(data, rule),
    "const": lambda data, rule, schema, root: _same(data, rule),
    "enum": lambda data, rule, schema, root: any(_same(data, value) for value in rule),
    "anyOf": lambda data, rule, schema, root: any(conforms(data, one, root) for one in rule),
    "oneOf": lambda data, rule, schema, root: sum(conforms(data, one, root) for one in rule) == 1,
    "if": _if,
    "additionalProperties": _additional,
    "items": lambda data, rule, schema, root: (
        not isinstance(data, list) or all(conforms(item, rule, root) for item in data)
    ),
    "minimum": _number(lambda value, bound: value >= bound),
    "maximum": _number(lambda value, bound: value <= bound),
    "exclusiveMinimum": _number(lambda value, bound: value > bound),
    "minLength": _string(lambda value, bound: len(value) >= bound),
    "maxLength": _string(lambda value, bound: len(value) <= bound),
    "pattern": _string(lambda value, pattern: compiled(pattern).search(value) is not None),
    "minItems": _list(lambda value, bound: len(value) >= bound),
    "maxItems": _list(lambda value, bound: len(value) <= bound),
    "uniqueItems": _list(lambda value, rule: not rule or first_duplicate(value) is None),
    "required": _mapping(lambda value, keys, root: all(key in value for key in keys)),
    "maxProperties": _mapping(lambda value, bound, root: len(value) <= bound),
    "propertyNames": _mapping(
        lambda value, rule, root: all(conforms(key, rule, root) for key in value)
    ),
}
