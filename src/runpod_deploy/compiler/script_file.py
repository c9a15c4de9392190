"""A `run.script` file with `run.template: true`: rendered, its faults at its own lines."""

import dataclasses

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import SCRIPT_TEXT, Resolution
from runpod_deploy.errors import Diagnostic, Position


def with_rendered_script(resolution: Resolution, facts: Facts) -> Facts:
    """Return `facts` with the script's text rendered, where the job asks for it."""
    run = resolution.config.run
    if not run.template or run.script is None or facts.script_text is None:
        return facts
    known = len(resolution.scope.findings)
    text = resolution.scope.render(facts.script_text, SCRIPT_TEXT)
    faults = tuple(
        _in_file(finding, run.script, facts.script_text)
        for finding in resolution.scope.findings[known:]
    )
    return dataclasses.replace(facts, script_text=text, diagnostics=(*facts.diagnostics, *faults))


def _in_file(finding: Finding, file: str, text: str) -> Diagnostic:
    line = max(1, finding.line)
    content = text.split("\n")[line - 1]
    return Diagnostic(
        severity=finding.severity,
        code=finding.code,
        summary=finding.summary,
        detail=finding.detail,
        where=Position(file=file, line=line, column=finding.column),
        source_line=content.rstrip("\r"),
        suggestion=finding.suggestion,
        help=finding.help,
    )
