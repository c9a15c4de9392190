"""Warnings and notes that a job file switches off: `lint.ignore`."""

from collections.abc import Iterable, Iterator
from functools import cache

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.errors import Diagnostic, Severity
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.report import shorten
from runpod_deploy.schema.validate import job_schema


@cache
def lint_codes() -> tuple[str, ...]:
    """Return every code that can be switched off, as the description of the job file lists them."""
    codes: list[str] = job_schema()["$defs"]["lint"]["anyOf"][0]["enum"]
    return tuple(codes)


def told(config: JobConfig, diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield the diagnostics about a job that its file does not switch off: every error, at least."""
    for one in diagnostics:
        if one.severity is Severity.ERROR or one.code not in config.lint.ignore:
            yield one


def known_codes(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """A code in `lint.ignore` is one that can be switched off."""
    for index, code in enumerate(config.lint.ignore):
        if code not in lint_codes():
            yield Finding(
                pointer=f"/lint/ignore/{index}",
                severity=Severity.WARNING,
                code="unknown-lint",
                summary="A code switches nothing off",
                detail=f"This release has no warning or note `{shorten(code)}`. Errors cannot be "
                "switched off.",
                suggestion=near_miss(code, lint_codes()),
            )
