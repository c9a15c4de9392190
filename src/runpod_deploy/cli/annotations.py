"""Diagnostics as annotations of a GitHub workflow: one command to the runner per finding."""

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path

from runpod_deploy.cli.diagnostics import sorted_diagnostics
from runpod_deploy.errors import Diagnostic, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_IN_DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_IN_PROPERTIES = (*_IN_DATA, (":", "%3A"), (",", "%2C"))


def render_github(
    diagnostics: Iterable[Diagnostic], *, environ: Mapping[str, str], cwd: Path
) -> str:
    """Return one line per finding, for a runner's stdout.

    What a file or its author says can begin no command of its own: line ends are escaped, so each
    line has one beginning, and that is ours. The old form `##[` counts anywhere in a line.
    """
    return "".join(f"{_command(one, environ, cwd)}\n" for one in sorted_diagnostics(diagnostics))


def in_workspace(file: str, environ: Mapping[str, str], cwd: Path) -> str:
    """Return a file as a runner names it: relative to the workspace when it lies there."""
    workspace = environ.get("GITHUB_WORKSPACE")
    place = Path(posixpath.normpath(cwd / file))
    if workspace and place.is_relative_to(workspace):
        return place.relative_to(workspace).as_posix()
    return file


def _command(one: Diagnostic, environ: Mapping[str, str], cwd: Path) -> str:
    properties = {"title": f"{one.summary} ({one.code})"}
    if one.where is not None:
        properties |= {
            "file": in_workspace(one.where.file, environ, cwd),
            "line": str(one.where.line),
            "col": str(one.where.column),
        }
    said = ",".join(
        f"{name}={_escaped(value, _IN_PROPERTIES)}" for name, value in sorted(properties.items())
    )
    return f"::{_COMMANDS[one.severity]} {said}::{_escaped(message(one), _IN_DATA)}"


def message(one: Diagnostic) -> str:
    """Return everything that a finding says beside its summary, as plain text."""
    said = [one.detail]
    if one.suggestion is not None:
        said.append(f"Did you mean `{one.suggestion}`?")
    if one.help is not None:
        said.append(one.help)
    return "\n".join(said)


def _escaped(text: str, rules: tuple[tuple[str, str], ...]) -> str:
    text = text.replace("##[", "## [")
    for character, escape in rules:
        text = text.replace(character, escape)
    return text
