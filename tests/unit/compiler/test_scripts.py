"""Scripts as they will lie on the pod."""

import hashlib
import shlex

import pytest

from compiler_cases import HOSTILE_SHELL, codes, job, plan_of
from runpod_deploy.compiler.late_bound import fill, fill_quoted
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.errors import Severity

HOME = "/root/.runpod-deploy/@@rd:run_id@@"


def with_script(name: str, text: str, **run: object) -> Plan:
    """Return the plan of a job whose script is the file `name` with `text`."""
    return plan_of(job({"run": {"script": name, **run}}), script_text=text)


@pytest.mark.parametrize("text", HOSTILE_SHELL)
def test_body_and_commands_are_kept_byte_for_byte(text: str) -> None:
    """Only a final newline is added where it is missing."""
    text = text.replace("{{", "{ {")
    plan = plan_of(job({"run": {"body": text}, "preflight": [{"command": text}]}))

    for name in ("run", "preflight-1"):
        assert text + ("" if text.endswith("\n") else "\n") == plan.script(name).text


@pytest.mark.parametrize("text", [*HOSTILE_SHELL, "{{ seed }}", "no newline", ""])
def test_script_files_are_kept_byte_for_byte(text: str) -> None:
    """A file travels as it is, templates included, without a newline of ours."""
    assert text == with_script("a/run.sh", text).script("run").text


def test_script_files_are_rendered_on_request() -> None:
    """`run.template: true` makes the file a template, with faults at its own lines."""
    over = {"run": {"script": "train.sh", "template": True}}
    plan = plan_of(job(over, seed="3"), script_text="echo {{ seed }} {{ run_id }}\r\n")

    assert "echo 3 @@rd:run_id@@\r\n" == plan.script("run").text
    assert ["undefined-name"] == codes(job(over), script_text="a\n{{ nope }}\n")


@pytest.mark.parametrize(
    ("name", "text", "suffix", "command"),
    [
        ("run.sh", "true", ".sh", ("bash", "PATH")),
        ("run", "true", "", ("bash", "PATH")),
        ("x/train.py", "print()", ".py", ("python3", "PATH")),
        ("train.py", "#!/usr/bin/env python\n", ".py", ("PATH",)),
        ("fit.R", "#!/usr/bin/env Rscript\n", ".R", ("PATH",)),
    ],
)
def test_how_a_script_file_is_run(
    name: str, text: str, suffix: str, command: tuple[str, ...]
) -> None:
    """The first line decides, else the suffix, which stays on the pod."""
    script = with_script(name, text).script("run")

    assert f"{HOME}/scripts/run{suffix}" == script.path
    assert tuple(script.path if part == "PATH" else part for part in command) == script.command
    assert "0700" == script.mode


def test_an_unknown_suffix_without_interpreter_is_refused() -> None:
    """Nothing is guessed about how a file is run."""
    assert ["script-interpreter"] == codes(job({"run": {"script": "a.jl"}}), script_text="x")


def test_how_bodies_and_commands_are_run() -> None:
    """Commands and bodies stop at the first failure; a body with `#!` is run by what it names."""
    plan = plan_of(job({"setup": [{"command": "a", "timeout_sec": 5}, {"command": "b"}]}))
    named = plan_of(job({"run": {"body": "#!/bin/zsh\ntrue\n"}})).script("run")

    setup = plan.script("setup-1")
    assert f"{HOME}/scripts/setup-1.sh" == setup.path
    assert ("bash", "-eo", "pipefail", setup.path) == setup.command
    assert 5 == setup.timeout_sec
    assert ("bash", "-eo", "pipefail", f"{HOME}/scripts/run.sh") == plan.script("run").command
    assert (named.path,) == named.command


def test_order_names_and_digests() -> None:
    """The pod's scripts come first, the run last, each with the digest of its text."""
    plan = plan_of(job({"setup": [{"command": "a"}], "preflight": [{"command": "b"}]}))

    names = [script.name for script in plan.scripts]
    ours = ["base-env", "env", "step", "supervisor", "lease", "sampler", "boot"]
    assert [*ours, "setup-1", "preflight-1", "run"] == names
    for script in plan.scripts:
        assert hashlib.sha256(script.text.encode()).hexdigest() == script.sha256
    assert all(s.path == f"{HOME}/bin/{s.name}.sh" for s in plan.scripts if s.phase == "pod")


def test_where_script_and_log_lie() -> None:
    """A job may choose both places."""
    run = {"script_path": "/workspace/r.sh", "log_path": "/workspace/{{ run_id }}.log"}
    plan = plan_of(job({"run": run}))

    assert "/workspace/r.sh" == plan.script("run").path
    assert "/workspace/@@rd:run_id@@.log" == plan.run.log_path
    assert f"{HOME}/job/log" == plan_of(job()).run.log_path


def test_values_in_pod_scripts_survive_the_shell() -> None:
    """Exports are quoted, also when a late-bound value with spaces and quotes is filled in."""
    exports = {"A": "it's ${HOME} `x`", "B": "{{ run_dir }}/o'clock"}
    text = plan_of(job({"remote_env": {"exports": exports}})).script("env").text

    filled = fill_quoted(text, {"run_dir": "/my home/it's"})

    words = shlex.split(filled, comments=True)
    assert "A=it's ${HOME} `x`" in words
    assert "B=/my home/it's/o'clock" in words


def test_filling_is_plain_substitution() -> None:
    """Known tokens are replaced, others are left alone, and values are not looked into."""
    values = {"run_id": "@@rd:pod_id@@", "pod_id": "p"}

    assert "@@rd:pod_id@@ p @@rd:gpu_id@@" == fill(
        "@@rd:run_id@@ @@rd:pod_id@@ @@rd:gpu_id@@", values
    )


def test_windows_line_ends_are_told_of() -> None:
    """A shell script with carriage returns travels as it is, with a warning."""
    warned = codes(job({"run": {"body": "a\r\n"}}), Severity.WARNING)

    assert ["script-line-ends"] == warned
