"""Warnings and notes are switched off by the file they are about; errors never are."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runpod_deploy
from compiler_cases import codes, from_text, job
from runpod_deploy.compiler.checks.every import LINTS
from runpod_deploy.compiler.compile import check_job
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.lints import lint_codes
from runpod_deploy.errors import Severity

SOURCES = Path(runpod_deploy.__file__).parent
NOT_ABOUT_A_JOB = {"more-findings", "kept-braces", "allowed-signers"}
"""Told about a refused file, by `migrate`, and about the list of signers: no checks of a job."""
VOLUME: dict[str, Any] = {
    "storage": {"mode": "network_volume", "volume_name": "v"},
    "pod": {"datacenters": ["EU-RO-1"]},
}


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Yield the codes of the warnings and notes that a module makes."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        said = {one.arg: one.value for one in call.keywords}
        code: ast.AST | None = said.get("code")
        severity = said.get("severity")
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add" and len(call.args) == 4:
            code, severity = call.args[0], ast.Name("note")
        some = severity is not None and ast.unparse(severity) != "Severity.ERROR"
        if some and isinstance(code, ast.Constant):
            yield str(code.value)


def test_every_code_is_described() -> None:
    """The description lists the codes of all warnings and notes there are, sorted, and no others."""
    modules = [path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py")]
    made = {code for text in modules for code in codes_in(ast.parse(text))}
    made |= {lint.code for lint in LINTS}

    assert sorted(made - NOT_ABOUT_A_JOB) == list(lint_codes())


def test_a_note_is_told_until_its_code_is_ignored() -> None:
    """The code of a note switches off that note."""
    assert codes(job(VOLUME), Severity.NOTE) == ["volume-datacenter"]
    silent = job(VOLUME | {"lint": {"ignore": ["volume-datacenter"]}})

    assert codes(silent, Severity.NOTE) == []


def test_an_error_cannot_be_switched_off() -> None:
    """The code of an error switches nothing off, and is told as one that does not."""
    config = job({"pod": {"ports": ["8888/http"]}, "lint": {"ignore": ["no-ssh-port"]}})

    assert codes(config) == ["no-ssh-port"]
    assert codes(config, Severity.WARNING) == ["unknown-lint"]


def test_an_unknown_code_is_told_where_it_stands_with_the_near_miss() -> None:
    """A misspelt code is a warning at its own place that names the code probably meant."""
    text = (
        "schema_version: 3\nname: a\npod: {gpu_order: [NVIDIA L4], image: a:1}\n"
        "run: {body: 'true'}\nlint:\n  ignore:\n    - large-fiel\n"
    )

    found = check_job(from_text(text), Facts(job_file="job.yaml"))

    (one,) = [each for each in found if each.code == "unknown-lint"]
    assert str(one.where) == "job.yaml:7:7"
    assert one.suggestion == "large-file"


@pytest.mark.parametrize("ignored", [[], ["v2-exit-status", "v2-real-cost"]])
def test_a_file_of_version_2_may_say_it_too(ignored: list[str]) -> None:
    """`lint.ignore` is the one key of ours that a file of version 2 may hold."""
    text = (
        "schema_version: 2\nname: a\nstorage: {mode: ephemeral, volume_gb: 20}\n"
        "pod: {gpu_order: [NVIDIA L4], image: a:1, datacenters: [EU-RO-1]}\n"
        "run: {script_path: /workspace/a, log_path: /workspace/run.log, success_marker: A, body: a}\n"
        f"lint: {{ignore: {ignored}}}\n"
    )

    told = codes(from_text(text), Severity.NOTE)

    assert {"v2-exit-status", "v2-real-cost"} - set(told) == set(ignored)
