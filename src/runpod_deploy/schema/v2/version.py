"""Which of the two formats a document is meant to be."""

from collections.abc import Iterator, Mapping
from typing import Any

from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.validate import job_schema


def is_version_2(data: Any) -> bool:
    """Tell whether a document is meant as version 2: it says so, or says nothing.

    A document that says nothing, is no job of version 2, and would be whole in version 3 or is at
    least more like one, has lost that one line, and is left to the rules of version 3.
    """
    if not isinstance(data, dict):
        return False
    if "schema_version" in data:
        return type(data["schema_version"]) is int and data["schema_version"] == 2
    from runpod_deploy.schema.v2.schema import version_2_schema  # noqa: PLC0415 - few files need it

    older, newer = version_2_schema(), job_schema()
    if conforms(data, older, older):
        return True
    return not conforms({**data, "schema_version": 3}, newer, newer) and not _looks_newer(data)


def _looks_newer(data: dict[str, Any]) -> bool:
    """Tell whether a faulty document is more like version 3, which needs fewer keys and has more."""
    from runpod_deploy.schema.v2.schema import version_2_schema  # noqa: PLC0415 - few files need it

    older, newer = version_2_schema(), job_schema()["properties"]
    said = {(name, key) for name, value in data.items() for key in _keys_in(value)}
    only_older, only_newer = (
        _keys_of(older["properties"]) - _keys_of(newer),
        _keys_of(newer) - _keys_of(older["properties"]),
    )
    if said & only_older or not any(isinstance(data.get(one), dict) for one in ("run", "pod")):
        return False
    lacking = _needed(older) - said
    return len(lacking) > 1 or bool(lacking and said & only_newer)


def _needed(schema: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return every section that a schema needs, and every key that one of these needs."""
    return {
        (name, key)
        for name in schema["required"]
        for key in ("", *schema["properties"][name].get("required", ()))
    }


def _keys_of(sections: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return every section, and every key of one."""
    return {
        (name, key) for name, rule in sections.items() for key in ("", *rule.get("properties", {}))
    }


def _keys_in(value: Any) -> Iterator[str]:
    yield ""
    if isinstance(value, dict):
        yield from (key for key in value if isinstance(key, str))
