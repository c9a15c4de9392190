"""How values, types and choices of a document are put into a sentence."""

from collections.abc import Iterable
from typing import Any

from runpod_deploy.schema.report import shorten

_TYPE_WORDS = {
    "object": "a section of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
}
_BOOLEAN_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false"}


def listed(words: Iterable[str], last: str) -> str:
    """Return `words` in backquotes, joined by commas and, before the last one, by `last`."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def type_words(types: Iterable[str]) -> str:
    """Return JSON type names as people call them: `text, a number or a list`."""
    words = [_TYPE_WORDS[name] for name in types]
    if len(words) == 1:
        return words[0]
    words = ["a boolean" if word == _TYPE_WORDS["boolean"] else word for word in words]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def kind_of(value: Any) -> str:
    """Return what kind of thing `value` is: `a number`, `a list`."""
    if isinstance(value, bool):
        return _TYPE_WORDS["boolean"]
    if isinstance(value, (int, float)):
        return _TYPE_WORDS["number"]
    if isinstance(value, str):
        return _TYPE_WORDS["string"]
    return _TYPE_WORDS["array" if isinstance(value, list) else "object"]


def written(value: Any) -> str:
    """Return a scalar as YAML writes it, shortened."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return shorten(str(value))


def converted(value: Any, wanted: list[str]) -> str | None:
    """Return how `value` was probably meant in one of the types `wanted`, or None."""
    if "array" in wanted and isinstance(value, str):
        return shorten(f"[{value}]")
    if wanted == ["integer"] and isinstance(value, float) and value == int(value):
        return str(int(value))
    if isinstance(value, str) and wanted == ["boolean"]:
        word = value.lower()
        return _BOOLEAN_WORDS.get(word, word if word in ("true", "false") else None)
    if isinstance(value, str) and wanted[0] in ("integer", "number"):
        return value if value.isascii() and value.replace(".", "", 1).isdecimal() else None
    return None


def no_template(value: Any) -> str:
    """Return the sentence to add when `value` holds a template where none is rendered."""
    if isinstance(value, str) and "{{" in value:
        return " Templates do not work in this key."
    return ""
