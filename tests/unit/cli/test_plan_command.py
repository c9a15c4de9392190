"""`plan`: text, JSON, saved files, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("project")
def test_a_job_file_by_position_or_flag_gives_the_same_plan(call: Call) -> None:
    """The text view ends with the hash; how the file was named does not matter."""
    by_position, by_flag = call("plan", "job.yaml"), call("plan", "-c", "job.yaml")
    assert by_position == by_flag
    status, out, err = by_position
    assert (0, "") == (status, err)
    assert out.splitlines()[-1].startswith("Plan sha256:")


def test_the_json_form_is_the_saved_file(project: Path, call: Call) -> None:
    """Both stdout and --out carry the same bytes of one and the same plan."""
    status, out, err = call("plan", "job.yaml", "--format", "json", "--out", "plan.json")
    assert 0 == status
    assert (project / "plan.json").read_text() == out
    assert "Plan written to plan.json" in err
    assert "runpod-deploy.plan/1" == json.loads(out)["format"]


@pytest.mark.usefixtures("project")
def test_two_plans_differ_only_in_their_id(call: Call) -> None:
    """A new plan gets a new id and keeps its hash."""
    first, second = (json.loads(call("plan", "job.yaml", "--format", "json")[1]) for _ in range(2))
    assert first.pop("plan_id") != second.pop("plan_id")
    assert first["plan_hash"] == second["plan_hash"]
    assert first["plan"] == second["plan"]


def test_variables_come_from_file_and_flags(project: Path, call: Call) -> None:
    """A flag overrides the file, the file overrides the job; all are taken as written."""
    (project / "vars.yaml").write_text("seed: 010\n")
    seeds = [
        json.loads(call("plan", "job.yaml", "--format", "json", *more)[1])["plan"]["job"][
            "variables"
        ]["seed"]
        for more in (
            [],
            ["--vars-file", "vars.yaml"],
            ["--vars-file", "vars.yaml", "--var", "seed=a=b"],
        )
    ]
    assert ["7", "010", "a=b"] == seeds


def test_a_saved_plan_is_shown_as_it_is(project: Path, call: Call) -> None:
    """A plan file is known by its content, whatever it is called."""
    call("plan", "job.yaml", "-o", "plan.json")
    (project / "plan.json").rename(project / "saved.yaml")
    fresh, saved = call("plan", "job.yaml"), call("plan", "saved.yaml")
    assert fresh == saved


@pytest.mark.usefixtures("project")
def test_a_saved_plan_takes_no_variables(call: Call) -> None:
    """What was settled when it was made cannot be set again."""
    call("plan", "job.yaml", "-o", "plan.json")
    status, out, err = call("plan", "plan.json", "--var", "seed=8")
    assert (4, "") == (status, out)
    assert "is a saved plan" in err


def test_a_changed_plan_is_refused(project: Path, call: Call) -> None:
    """A plan file that was edited does not show as a plan."""
    call("plan", "job.yaml", "-o", "plan.json")
    text = (project / "plan.json").read_text()
    (project / "plan.json").write_text(text.replace('"NVIDIA L4"', '"NVIDIA L40"'))
    status, out, err = call("plan", "plan.json")
    assert (6, "") == (status, out)
    assert "tampered" in err


def test_a_wrong_job_file_is_told_with_its_line(project: Path, call: Call) -> None:
    """Diagnostics go to stderr, nothing to stdout, and the status is 4."""
    (project / "job.yaml").write_text("schema_version: 3\nname: x\nrum: {}\n")
    status, out, err = call("plan", "job.yaml")
    assert (4, "") == (status, out)
    assert "job.yaml:3:1" in err
    assert "Did you mean `run`?" in err


@pytest.mark.usefixtures("project")
def test_a_missing_file_is_told_without_a_traceback(call: Call) -> None:
    """A name with a slip gets its near miss."""
    status, _, err = call("plan", "jobb.yaml")
    assert 4 == status
    assert "There is no file `jobb.yaml`" in err
    assert "`job.yaml`" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("project")
def test_an_output_that_cannot_be_written_is_told(call: Call) -> None:
    """The plan is not shown as if it had been saved."""
    status, out, err = call("plan", "job.yaml", "-o", "no/such/folder/plan.json")
    assert (4, "") == (status, out)
    assert "no/such/folder/plan.json cannot be written" in err


@pytest.mark.usefixtures("project")
def test_quiet_leaves_the_hash(call: Call) -> None:
    """With --quiet, before or after the command, one line is left."""
    after, before = call("plan", "job.yaml", "-q"), call("-q", "plan", "job.yaml")
    assert after == before
    assert after[1].startswith("sha256:")
    assert 1 == len(after[1].splitlines())


@pytest.mark.usefixtures("project")
def test_a_file_named_twice_or_never_is_refused(call: Call) -> None:
    """Nobody guesses which file was meant."""
    assert 4 == call("plan")[0]
    assert 4 == call("plan", "job.yaml", "-c", "job.yaml")[0]


@pytest.mark.usefixtures("project")
def test_no_color_wins_over_forced_color(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is honoured wherever it is set."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in call("plan", "job.yaml")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in call("plan", "job.yaml")[1]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", ["plan", "apply", "run", "estimate"])
def test_without_a_file_the_one_that_lies_here_is_proposed(call: Call, command: str) -> None:
    """The command can be copied; nothing is taken for granted."""
    status, _, errors = call(command)
    assert 4 == status
    assert f"\n  runpod-deploy {command} job.yaml\n" in errors
    Path("job.yaml").unlink()
    assert "runpod-deploy init" in call(command)[2]
