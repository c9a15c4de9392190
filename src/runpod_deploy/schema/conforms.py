"""Whether data fits a schema, yes or no, fast.

Nearly every job file is valid, and importing the `jsonschema` package takes longer than all else
that `plan` does. So this module says yes for the keywords that `job.schema.json` uses; only when it
says no is `jsonschema` asked to say why. A test holds the two against each other.
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
        "else",
    }
)
"""Keywords that decide nothing by themselves; `then` and `else` are read with `if`."""


def conforms(data: Any, schema: Schema, root: Schema) -> bool:
    """Tell whether `data` fits `schema`, whose references point into `root`.

    Raises:
        KeyError: The schema uses a keyword that is not known here.
    """
    for keyword, rule in schema.items():
        if keyword in ANNOTATIONS:
            continue
        if keyword in _VALUE_RULES:
            kind, holds = _VALUE_RULES[keyword]
            if _TYPES.get(kind, _anything)(data) and not holds(data, rule):
                return False
        elif keyword in _COMBINED:
            if not _COMBINED[keyword](data, schema, root):
                return False
        elif not _inside(keyword, data, schema, root):
            return False
    return True


def _anything(_: Any) -> bool:
    return True


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


def _reference(data: Any, schema: Schema, root: Schema) -> bool:
    return conforms(data, root["$defs"][schema["$ref"].rpartition("/")[2]], root)


def _any_of(data: Any, schema: Schema, root: Schema) -> bool:
    return any(conforms(data, one, root) for one in schema["anyOf"])


def _one_of(data: Any, schema: Schema, root: Schema) -> bool:
    return sum(conforms(data, one, root) for one in schema["oneOf"]) == 1


def _if_then(data: Any, schema: Schema, root: Schema) -> bool:
    rule = schema.get("then" if conforms(data, schema["if"], root) else "else")
    return rule is None or conforms(data, rule, root)


_COMBINED: dict[str, Callable[[Any, Schema, Schema], bool]] = {
    "$ref": _reference,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "if": _if_then,
}


_INSIDE = frozenset({"items", "properties", "additionalProperties", "propertyNames"})
KEYWORDS = ANNOTATIONS | _VALUE_RULES.keys() | _COMBINED.keys() | _INSIDE
"""Every keyword that a schema read here may use."""


def _inside(keyword: str, data: Any, schema: Schema, root: Schema) -> bool:
    if keyword not in _INSIDE:
        raise KeyError(keyword)
    rule = schema[keyword]
    if keyword == "items":
        return not isinstance(data, list) or all(conforms(item, rule, root) for item in data)
    if not isinstance(data, dict):
        return True
    if keyword == "propertyNames":
        return all(conforms(key, rule, root) for key in data)
    known = schema.get("properties", {})
    if keyword == "properties":
        return all(conforms(data[key], rule[key], root) for key in data if key in known)
    extra = [value for key, value in data.items() if key not in known]
    return not extra if rule is False else all(conforms(value, rule, root) for value in extra)
