"""What holds for a key beside its prose, in words: its type, its default, its limits."""

import json
from collections.abc import Mapping
from typing import Any

Rule = Mapping[str, Any]


def resolved(rule: Rule, root: Rule) -> Rule:
    """Return `rule` with its reference into `root` followed; what is said at the place wins."""
    name = rule.get("$ref", "").rpartition("/")[2]
    return {**root["$defs"][name], **rule} if name else rule


def type_of(rule: Rule, root: Rule) -> str:
    """Return which values there may be: `integer`, `list of string`, `string or null`."""
    rule = resolved(rule, root)
    named = rule.get("type")
    if named is None:
        return _type_without_name(rule, root)
    names = [named] if isinstance(named, str) else named
    return " or ".join(_one_type(name, rule, root) for name in names)


def default_of(rule: Rule, root: Rule) -> str | None:
    """Return the default as it would be written into a file, None where there is none."""
    rule = resolved(rule, root)
    if "default" not in rule:
        return None
    value = rule["default"]
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def example_of(rule: Rule, root: Rule) -> Any:
    """Return a value of a key: its first example, or one made of the examples of the keys below it."""
    rule = resolved(rule, root)
    if rule.get("examples"):
        return rule["examples"][0]
    if "const" in rule:
        return rule["const"]
    if "properties" in rule:
        return {key: example_of(below, root) for key, below in rule["properties"].items()}
    if isinstance(rule.get("items"), dict):
        return [example_of(rule["items"], root)]
    if isinstance(rule.get("additionalProperties"), dict):
        return {"label": example_of(rule["additionalProperties"], root)}
    parts = [part for word in ("anyOf", "oneOf") for part in rule.get(word, ())]
    wanted = [part for part in parts if part.get("type") != "null"]
    return example_of(wanted[0], root) if wanted else None


def limits_of(rule: Rule, root: Rule) -> str | None:
    """Return a key's range, and the form of its text, as sentences; None where anything goes."""
    rule = resolved(rule, root)
    said = [_range(rule), _sizes(rule), rule.get("patternErrorMessage", "")]
    return " ".join(part for part in said if part) or None


def _type_without_name(rule: Rule, root: Rule) -> str:
    values = [rule["const"]] if "const" in rule else rule.get("enum", ())
    if values:
        return " or ".join(dict.fromkeys(_NAMES[type(value)] for value in values))
    parts = [type_of(part, root) for part in rule.get("anyOf", ())]
    return " or ".join(dict.fromkeys(parts)) or "any value"


def _one_type(name: str, rule: Rule, root: Rule) -> str:
    below = {"array": rule.get("items"), "object": rule.get("additionalProperties")}.get(name)
    if name == "array":
        return f"list of {type_of(below, root)}" if below else "list"
    if name == "object":
        return f"mapping to {type_of(below, root)}" if isinstance(below, dict) else "mapping"
    return name


def _range(rule: Rule) -> str:
    low, above = rule.get("minimum"), rule.get("exclusiveMinimum")
    high, below = rule.get("maximum"), rule.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}."
    parts = [
        f"{word} {limit:,}"
        for word, limit in (
            ("at least", low),
            ("above", above),
            ("at most", high),
            ("below", below),
        )
        if limit is not None
    ]
    return _sentence(" and ".join(parts))


def _sizes(rule: Rule) -> str:
    said = [_size(rule, *row) for row in _SIZES]
    return " ".join(
        [*filter(None, said), *(["No entry twice."] if rule.get("uniqueItems") else [])]
    )


def _size(rule: Rule, least: str, most: str, what: str) -> str:
    low, high = rule.get(least, 0), rule.get(most)
    if high is not None:
        return f"{f'{low:,} to' if low else 'At most'} {high:,} {what}."
    if low > 1:
        return f"At least {low:,} {what}."
    return "May not be empty." if low else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


_NAMES = {
    bool: "boolean",
    dict: "mapping",
    float: "number",
    int: "integer",
    list: "list",
    str: "string",
    type(None): "null",
}
_SIZES = (
    ("minItems", "maxItems", "entries"),
    ("minProperties", "maxProperties", "keys"),
    ("minLength", "maxLength", "characters"),
)
