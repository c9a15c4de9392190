"""Diagnostics as a SARIF 2.1.0 log, for code scanning and for editors."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runpod_deploy._version import __version__
from runpod_deploy.cli.annotations import in_workspace, message
from runpod_deploy.cli.diagnostics import MAX_SOURCE_LINE, sorted_diagnostics
from runpod_deploy.errors import Diagnostic

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_MAX_TEXT = 10_000


def render_sarif(
    diagnostics: Iterable[Diagnostic], *, environ: Mapping[str, str], cwd: Path
) -> dict[str, Any]:
    """Return one run of this tool with a result per finding; columns count characters.

    Files are named relative to the runner's workspace or else as the user named them, so that a log
    tells nothing about the machine.
    """
    found = sorted_diagnostics(diagnostics)
    first = {one.code: one for one in reversed(found)}
    codes = sorted(first)
    driver = {
        "name": "runpod-deploy",
        "version": __version__,
        "rules": [_rule(first[code]) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.code), environ, cwd) for one in found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(one: Diagnostic) -> dict[str, Any]:
    return {
        "id": one.code,
        "shortDescription": {"text": one.summary},
        "defaultConfiguration": {"level": one.severity.value},
    }


def _result(one: Diagnostic, rule: int, environ: Mapping[str, str], cwd: Path) -> dict[str, Any]:
    result = {
        "ruleId": one.code,
        "ruleIndex": rule,
        "level": one.severity.value,
        "message": {"text": _text(one)},
    }
    if one.where is not None:
        region: dict[str, Any] = {
            "startLine": one.where.line,
            "startColumn": one.where.column,
        }
        if one.source_line is not None:
            region["snippet"] = {"text": one.source_line[:MAX_SOURCE_LINE]}
        place = {
            "artifactLocation": {"uri": _uri(in_workspace(one.where.file, environ, cwd))},
            "region": region,
        }
        result["locations"] = [{"physicalLocation": place}]
    return result


def _text(one: Diagnostic) -> str:
    # Viewers make links of `[…](…)`, and what is quoted here comes from strangers.
    return f"{one.summary}\n{message(one)}".replace("](", "] (")[:_MAX_TEXT]


def _uri(file: str) -> str:
    """Return a path as a URI: relative as it is, absolute with the scheme of files."""
    quoted = quote(file, errors="surrogateescape")  # a name that is not UTF-8 keeps its bytes
    return f"file://{quoted}" if file.startswith("/") else quoted
