"""From what was said to what was meant: every template rendered, all faults told at once."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.scope import Scope
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.plain import escape

Resolved = NewType("Resolved", JobConfig)
"""A `JobConfig` whose strings are rendered; late-bound tokens are what is left open."""

SCRIPT_TEXT = "/run/script/text"
"""Pointer under which the content of `run.script` is rendered."""

_UNTOUCHED = frozenset(("source", "variables", "schema_version", "name", "lint"))


@dataclass(frozen=True, kw_only=True, slots=True)
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
    if isinstance(value, str):
        return scope.render(value, pointer)
    if isinstance(value, tuple):
        return tuple(_walk(item, f"{pointer}/{i}", scope) for i, item in enumerate(value))
    if isinstance(value, Mapping):
        return {key: _walk(item, f"{pointer}/{escape(key)}", scope) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = {
            item.name: _walk(getattr(value, item.name), f"{pointer}/{item.name}", scope)
            for item in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **items)
    return value
