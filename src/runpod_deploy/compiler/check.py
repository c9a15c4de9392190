"""All findings about a job, in the order of the file: nothing is made of one that has an error."""

from collections.abc import Iterator

from runpod_deploy.compiler.checks.every import RULES
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding, below
from runpod_deploy.compiler.lints import known_codes, told
from runpod_deploy.compiler.resolve import Resolution
from runpod_deploy.errors import Diagnostic, Severity


def check_resolution(resolution: Resolution, facts: Facts) -> tuple[Diagnostic, ...]:
    """Return everything that is wrong or remarkable about a rendered job.

    Nothing is said about a text whose template has a fault: what it means is not known. What the
    job's `lint.ignore` switches off is left out.
    """
    source = resolution.config.source
    placed = [finding.at(source) for finding in _findings(resolution, facts)]
    placed += (*facts.diagnostics, *source.notes)
    return tuple(sorted(dict.fromkeys(told(resolution.config, placed)), key=_order))


def has_errors(diagnostics: tuple[Diagnostic, ...]) -> bool:
    """Return whether one of `diagnostics` stops the work."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def headline(file: str, diagnostics: tuple[Diagnostic, ...]) -> str:
    """Return how many errors a file has, in words."""
    errors = sum(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
    return f"{file} has {errors} error{'' if errors == 1 else 's'}"


def _findings(resolution: Resolution, facts: Facts) -> Iterator[Finding]:
    yield from resolution.findings
    for rule in (*RULES, known_codes):
        for finding in rule(resolution.config, facts):
            if not below(finding.pointer, resolution.failed):
                yield finding


def _order(diagnostic: Diagnostic) -> tuple[str, int, int]:
    where = diagnostic.where
    return (where.file, where.line, where.column) if where else ("", 0, 0)
