"""From what was said to what was meant: every template rendered, all faults told at once."""

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from operator import is_
from typing import Any, NewType

from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.scope import Scope
from runpod_deploy.frozen import frozen
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.plain import escape

Resolved = NewType("Resolved", JobConfig)
"""A `JobConfig` whose strings are rendered; late-bound tokens are what is left open."""

SCRIPT_TEXT = "/run/script/text"
"""Pointer under which the content of `run.script` is rendered."""

_UNTOUCHED = frozenset(("source", "variables", "schema_version", "name", "lint", "matrix"))


@frozen
class Resolution:
    """The outcome of `resolve`.

    Attributes:
        config: The job, rendered; a text with a fault in it stands as it was written.
        findings: The faults of the templates.
        failed: Pointers of the texts that could not be rendered; nothing about them is known.
        scope: Renders further texts of the same job, such as `run.script` files.
    """

    config: Resolved
    findings: tuple[Finding, ...]
    failed: frozenset[str]
    scope: Scope = field(compare=False, repr=False)


def resolve(config: JobConfig) -> Resolution:
    """Render all strings of `config` with its variables and the built-in names."""
    scope = Scope(config)
    variables = {
        name: scope.render(text, f"/variables/{escape(name)}")
        for name, text in config.variables.items()
    }
    rendered = {
        item.name: _walk(getattr(config, item.name), f"/{item.name}", scope)
        for item in dataclasses.fields(config)
        if item.name not in _UNTOUCHED
    }
    name = scope.render(config.name, "/name")
    resolved = dataclasses.replace(config, name=name, variables=variables, **rendered)
    return Resolution(
        config=Resolved(resolved),
        findings=tuple(scope.findings),
        failed=frozenset(scope.failed),
        scope=scope,
    )


def _walk(value: Any, pointer: str, scope: Scope) -> Any:
    """Return `value` rendered; what holds nothing to render is returned as it is."""
    if isinstance(value, str):
        return scope.render(value, pointer)
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, tuple):
        items = tuple([_walk(item, f"{pointer}/{i}", scope) for i, item in enumerate(value)])
        return value if all(map(is_, items, value)) else items
    if isinstance(value, Mapping):
        return {key: _walk(item, f"{pointer}/{escape(key)}", scope) for key, item in value.items()}
    cls: Any = type(value)
    changed = {}
    for name in _field_names(cls):
        item = getattr(value, name)
        new = _walk(item, f"{pointer}/{name}", scope)
        if new is not item:
            changed[name] = new
    return dataclasses.replace(value, **changed) if changed else value


@cache
def _field_names(cls: Any) -> tuple[str, ...]:
    """Return the fields of a dataclass; none for any other type."""
    if not dataclasses.is_dataclass(cls):
        return ()
    return tuple(item.name for item in dataclasses.fields(cls))
