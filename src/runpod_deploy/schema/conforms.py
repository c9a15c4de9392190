"""Whether data fits a schema, yes or no, fast.

Nearly every job file is valid, and importing the `jsonschema` package takes longer than all else
that `plan` does. So this module says yes for the keywords that `job.schema.json` uses; only when it
says no is `jsonschema` asked to say why. A test holds the two against each other.
"""

from collections.abc import Callable, Mapping
from typing import Any

from runpod_deploy.schema.dialect import compiled, first_duplicate, is_integer

Schema = Mapping[str, Any]
Check = Callable[[Any], bool]

_MADE: dict[int, tuple[Schema, Check]] = {}
"""Id of a schema to the schema, so that the id stays its own, and its check."""

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
        "else",
    }
)
"""Keywords that decide nothing by themselves; `then` and `else` are read with `if`."""


def conforms(data: Any, schema: Schema, root: Schema) -> bool:
    """Tell whether `data` fits `schema`, whose references point into `root`.

    Raises:
        KeyError: The schema uses a keyword that is not known here.
    """
    return _check_of(schema, root)(data)


def _check_of(schema: Schema, root: Schema) -> Check:
    """Return the check that a schema makes, made once: many files are held against the same one."""
    known = _MADE.get(id(schema))
    if known is None or known[0] is not schema:
        known = _MADE[id(schema)] = (schema, _make(schema, root))
    return known[1]


def _make(schema: Schema, root: Schema) -> Check:
    checks = []
    for keyword, rule in schema.items():
        if keyword in _VALUE_RULES:
            checks.append(_value_check(*_VALUE_RULES[keyword], rule))
        elif keyword in _COMBINED:
            if keyword != "additionalProperties" or "properties" not in schema:
                checks.append(_COMBINED[keyword](schema, root))
        elif keyword not in ANNOTATIONS:
            raise KeyError(keyword)
    if len(checks) == 1:
        return checks[0]

    def check(data: Any) -> bool:
        for one in checks:  # noqa: SIM110 - a generator costs more than all that it calls
            if not one(data):
                return False
        return True

    return check


def _value_check(kind: str, holds: Callable[[Any, Any], bool], rule: Any) -> Check:
    if kind == "any":
        return lambda data: holds(data, rule)
    is_kind = _TYPES[kind]
    return lambda data: not is_kind(data) or holds(data, rule)


def has_type(value: Any, types: str | list[str]) -> bool:
    """Tell whether `value` is of one of the JSON types named."""
    if isinstance(types, str):
        return _TYPES[types](value)
    return any(_TYPES[name](value) for name in types)


def _same(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


_VALUE_RULES: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "type": ("any", has_type),
    "const": ("any", _same),
    "enum": ("any", lambda value, allowed: any(_same(value, one) for one in allowed)),
    "minimum": ("number", lambda value, bound: value >= bound),
    "maximum": ("number", lambda value, bound: value <= bound),
    "exclusiveMinimum": ("number", lambda value, bound: value > bound),
    "minLength": ("string", lambda value, bound: len(value) >= bound),
    "maxLength": ("string", lambda value, bound: len(value) <= bound),
    "pattern": ("string", lambda value, pattern: bool(compiled(pattern).search(value))),
    "minItems": ("array", lambda value, bound: len(value) >= bound),
    "maxItems": ("array", lambda value, bound: len(value) <= bound),
    "uniqueItems": ("array", lambda value, on: not on or first_duplicate(value) is None),
    "required": ("object", lambda value, keys: all(key in value for key in keys)),
    "maxProperties": ("object", lambda value, bound: len(value) <= bound),
}
"""Keyword to the JSON type that it speaks of, and whether a value of that type keeps the rule."""


def _reference(schema: Schema, root: Schema) -> Check:
    return _check_of(root["$defs"][schema["$ref"].rpartition("/")[2]], root)


def _any_of(schema: Schema, root: Schema) -> Check:
    if {} in schema["anyOf"]:
        return lambda _: True  # the other alternatives are what an editor offers
    checks = [_check_of(one, root) for one in schema["anyOf"]]
    return lambda data: any(check(data) for check in checks)


def _one_of(schema: Schema, root: Schema) -> Check:
    checks = [_check_of(one, root) for one in schema["oneOf"]]
    return lambda data: sum(check(data) for check in checks) == 1


def _if_then(schema: Schema, root: Schema) -> Check:
    condition = _check_of(schema["if"], root)
    holds = _check_of(schema.get("then", {}), root)
    fails = _check_of(schema.get("else", {}), root)
    return lambda data: holds(data) if condition(data) else fails(data)


def _items(schema: Schema, root: Schema) -> Check:
    check = _check_of(schema["items"], root)
    return lambda data: not isinstance(data, list) or all(map(check, data))


def _names(schema: Schema, root: Schema) -> Check:
    check = _check_of(schema["propertyNames"], root)
    return lambda data: not isinstance(data, dict) or all(map(check, data))


def _properties(schema: Schema, root: Schema) -> Check:
    known = {key: _check_of(rule, root) for key, rule in schema.get("properties", {}).items()}
    extra = schema.get("additionalProperties", {})
    other: Check = (lambda _: False) if extra is False else _check_of(extra, root)

    def check(data: Any) -> bool:
        if isinstance(data, dict):
            for key, value in data.items():
                if not known.get(key, other)(value):
                    return False
        return True

    return check


_COMBINED: dict[str, Callable[[Schema, Schema], Check]] = {
    "$ref": _reference,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "if": _if_then,
    "items": _items,
    "propertyNames": _names,
    "properties": _properties,
    "additionalProperties": _properties,
}
"""Keyword to what makes the check of the schema that holds it; references form no circles."""

KEYWORDS = ANNOTATIONS | _VALUE_RULES.keys() | _COMBINED.keys()
"""Every keyword that a schema read here may use."""
