"""Published schemas as editors like them: each description with its default and limits, in Markdown.

An editor's hover shows a key's description and examples, but not its default and not its range, and
it shows the backticks of a plain description as backticks. Both are cured by `markdownDescription`,
a keyword that decides nothing; it is derived here, so that a fact stands in one place only.
"""

import json
from collections.abc import Mapping
from typing import Any

from runpod_deploy.schema.documents import schema_document
from runpod_deploy.schema.key_facts import default_of, limits_of

_SCHEMAS = frozenset(
    {"items", "additionalProperties", "propertyNames", "not", "if", "then", "else"}
)
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAPPINGS = frozenset({"properties", "patternProperties", "$defs"})
_EMBEDDED = {"sweep": ("plan",), "sweep-diff": ("diff",)}
"""Documents that are published as a part of another, so that one file is all that a validator needs."""


def published_schema(name: str) -> bytes:
    """Return the document `name` for editors and other programs, UTF-8.

    Raises:
        KeyError: There is no such document.
    """
    return (json.dumps(_document(name), indent=2, ensure_ascii=False) + "\n").encode()


def _document(name: str) -> Any:
    document = json.loads(schema_document(name))
    told = _told(document, document)
    for part in _EMBEDDED.get(name, ()):
        # With its own `$id` in it, its references go on to lead into itself.
        told["$defs"][part] = _document(part)
    return told


def _told(rule: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(rule, dict):
        return rule
    told: dict[str, Any] = {}
    for keyword, value in rule.items():
        if keyword in _SCHEMAS:
            told[keyword] = _told(value, root)
        elif keyword in _LISTS:
            told[keyword] = [_told(one, root) for one in value]
        elif keyword in _MAPPINGS:
            told[keyword] = {name: _told(one, root) for name, one in value.items()}
        else:
            told[keyword] = value
        if keyword == "description":
            told["markdownDescription"] = _markdown(rule, root)
        if keyword == "enumDescriptions":
            told["markdownEnumDescriptions"] = value
    return told


def _markdown(rule: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    default, limits = default_of(rule, root), limits_of(rule, root)
    parts = [rule["description"]]
    if default is not None:
        parts.append("Not set by default." if default == "null" else f"Default: `{default}`")
    if limits is not None:
        parts.append(f"Limits: {limits}")
    return "\n\n".join(parts)
