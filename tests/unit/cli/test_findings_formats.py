"""Findings as annotations of a GitHub workflow and as a SARIF log, whatever they quote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.cli.annotations import render_github
from runpod_deploy.cli.sarif import render_sarif
from runpod_deploy.errors import Diagnostic, Position, Severity

CWD = Path("/w/repo/jobs")
HOSTILE = "x\n::set-output name=a::b\r\n ::error::c ##[add-path]d 100%,:\x1b[0m"


def finding(
    text: str = "It is wrong.",
    *,
    file: str | None = "job.yaml",
    severity: Severity = Severity.ERROR,
    code: str = "some-thing",
) -> Diagnostic:
    """Return a finding that says `text` wherever it can."""
    return Diagnostic(
        severity=severity,
        code=code,
        summary="Something",
        detail=text,
        where=None if file is None else Position(file=file, line=7, column=3),
        source_line=f"  key: {text}",
        suggestion=text,
        help=text,
    )


def unescaped(text: str) -> str:
    """Return what a runner reads, by its own rules."""
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ",")):
        text = text.replace(escape, character)
    return text.replace("%25", "%")


def read_by_runner(line: str) -> tuple[str, dict[str, str], str]:
    """Return command, properties and message of one line."""
    assert line.startswith("::")
    head, _, message = line[2:].partition("::")
    command, _, said = head.partition(" ")
    pairs = [pair.partition("=") for pair in said.split(",")]
    return command, {name: unescaped(value) for name, _, value in pairs}, unescaped(message)


def test_an_annotation_holds_place_title_and_everything_said() -> None:
    """One line per finding, which a runner reads as level, file, line, column, title and message."""
    text = render_github([finding("It is wrong, 100%.")], environ={}, cwd=CWD)

    assert text.count("\n") == 1
    command, properties, message = read_by_runner(text.rstrip("\n"))
    assert command == "error"
    assert properties == {
        "file": "job.yaml",
        "line": "7",
        "col": "3",
        "title": "Something (some-thing)",
    }
    assert message.split("\n") == [
        "It is wrong, 100%.",
        "Did you mean `It is wrong, 100%.`?",
        "It is wrong, 100%.",
    ]


@pytest.mark.parametrize(
    ("severity", "command"),
    [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "notice")],
)
def test_each_severity_has_its_command(severity: Severity, command: str) -> None:
    """GitHub calls a note a notice."""
    assert render_github([finding(severity=severity)], environ={}, cwd=CWD).startswith(
        f"::{command} "
    )


def test_what_is_quoted_begins_no_command() -> None:
    """A text with commands in it stays inside of its one line, and the old form is broken."""
    text = render_github([finding(HOSTILE, file=f"a,b:{HOSTILE}")], environ={}, cwd=CWD)

    assert text.count("\n") == 1
    assert "\r" not in text
    assert "##[" not in text
    _, properties, message = read_by_runner(text.rstrip("\n"))
    assert properties["file"] == f"a,b:{HOSTILE}".replace("##[", "## [")
    assert message.startswith(HOSTILE.replace("##[", "## ["))


@pytest.mark.parametrize(
    ("file", "environ", "named"),
    [
        ("job.yaml", {}, "job.yaml"),
        ("job.yaml", {"GITHUB_WORKSPACE": "/w/repo"}, "jobs/job.yaml"),
        ("../base.yaml", {"GITHUB_WORKSPACE": "/w/repo"}, "base.yaml"),
        ("/w/repo/x.yaml", {"GITHUB_WORKSPACE": "/w/repo"}, "x.yaml"),
        ("/elsewhere/x.yaml", {"GITHUB_WORKSPACE": "/w/repo"}, "/elsewhere/x.yaml"),
    ],
)
def test_a_file_is_named_from_the_workspace(
    file: str, environ: Mapping[str, str], named: str
) -> None:
    """A runner looks for a file from the top of its workspace, wherever the command ran."""
    line = render_github([finding(file=file)], environ=environ, cwd=CWD).rstrip("\n")

    assert read_by_runner(line)[1]["file"] == named


def sarif(*found: Diagnostic) -> dict[str, Any]:
    """Return the one run of the log, which is JSON."""
    log = json.loads(json.dumps(render_sarif(found, environ={}, cwd=CWD)))
    assert log["version"] == "2.1.0"
    assert set(log) == {"$schema", "version", "runs"}
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def test_a_log_has_a_rule_per_code_and_a_result_per_finding() -> None:
    """Each result points at its rule; columns count characters, as ours do."""
    run = sarif(finding(code="b"), finding(code="a", severity=Severity.NOTE), finding(code="b"))

    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["a", "b"]
    assert [one["ruleId"] for one in run["results"]] == ["b", "b", "a"]
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == ["b", "b", "a"]
    assert [one["level"] for one in run["results"]] == ["error", "error", "note"]
    assert run["columnKind"] == "unicodeCodePoints"


def test_a_result_has_its_place_and_its_line() -> None:
    """The place holds a relative URI, line and column from 1, and the line itself."""
    (result,) = sarif(finding(file="my jobs/ü%.yaml"))["results"]

    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "my%20jobs/%C3%BC%25.yaml"}
    assert (place["region"]["startLine"], place["region"]["startColumn"]) == (7, 3)
    assert place["region"]["snippet"]["text"] == "  key: It is wrong."


def test_odd_places_are_uris_too() -> None:
    """An absolute path gets the scheme of files, bytes that are no UTF-8 stay, no place is none."""
    absolute, bytes_, none = (
        sarif(finding(file=file))["results"][0] for file in ("/a/b", "a\udcff.yaml", None)
    )

    assert "file:///a/b" in json.dumps(absolute)
    assert "a%FF.yaml" in json.dumps(bytes_)
    assert "locations" not in none


def test_what_is_quoted_makes_no_link() -> None:
    """A viewer finds no link in a message that a stranger's file put there."""
    (result,) = sarif(finding("[click](http://x)"))["results"]

    assert "](" not in result["message"]["text"]
