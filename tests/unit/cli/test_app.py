"""The root of the command line: version, help, usage errors and unforeseen ones."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import runpod_deploy
from runpod_deploy import errors
from runpod_deploy.cli.app import run
from runpod_deploy.cli.exits import EXIT_TABLE

Call = Callable[..., tuple[int, str, str]]


def test_the_version_is_the_packages(call: Call) -> None:
    """`--version` prints program and version and does nothing else."""
    assert (0, f"runpod-deploy {runpod_deploy._version.__version__}\n", "") == call("--version")


def test_the_help_holds_every_exit_status(call: Call) -> None:
    """The table of the help has a row for each status a command can end with."""
    status, out, _ = call("--help")
    rows = {line.split()[0] for line in out.splitlines() if line.split()[:1]}
    assert 0 == status
    assert set() == {str(code) for code, _ in EXIT_TABLE} - rows


def test_every_error_class_has_its_row() -> None:
    """No error of the tree ends with a status that the table lacks."""
    kinds, todo = set(), [errors.RunpodDeployError]
    while todo:
        kind = todo.pop()
        kinds.add(kind.exit_code)
        todo += kind.__subclasses__()
    assert set() == kinds - {code for code, _ in EXIT_TABLE}


def test_an_unknown_command_gets_its_near_miss(call: Call) -> None:
    """Usage errors end with 4, never with Click's 2."""
    status, out, err = call("plna")
    assert (4, "") == (status, out)
    assert "'plan'" in err


@pytest.mark.parametrize("args", [("plan", "--nope"), ("plan", "--format", "xml"), ()])
def test_wrong_usage_ends_with_four(call: Call, args: tuple[str, ...]) -> None:
    """Unknown flags, values and a missing command are usage errors."""
    status, out, err = call(*args)
    assert (4, "") == (status, out)
    assert "" != err


@pytest.mark.usefixtures("project")
def test_loud_and_quiet_exclude_each_other(call: Call) -> None:
    """Both flags at once are a usage error, in whatever places they stand."""
    assert 4 == call("-v", "plan", "job.yaml", "-q")[0]


def test_a_bug_of_ours_is_called_one(
    project: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen exception ends with 70, its traceback in a file that is named."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr("runpod_deploy.facts.plan_job.plan_job", broken)
    monkeypatch.setattr("tempfile.tempdir", str(project))
    status, out, err = call("plan", "job.yaml")
    assert (70, "") == (status, out)
    assert "This is a bug in runpod-deploy." in err
    assert "Traceback" not in err
    (kept,) = project.glob("runpod-deploy-*.traceback.txt")
    assert kept.name in err
    assert "ZeroDivisionError: no such luck" in kept.read_text()
    assert "Traceback" in call("plan", "job.yaml", "-v")[2]


@pytest.mark.usefixtures("project")
def test_ctrl_c_before_anything_happened_is_130(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while planning needs no words."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("runpod_deploy.facts.plan_job.plan_job", interrupted)
    assert 130 == call("plan", "job.yaml")[0]


def test_a_github_runner_finds_no_command_in_our_words(
    project: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job file cannot make the runner obey by what its error messages quote."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (project / "job.yaml").write_text("::error::x: 1\n##[group]: 2\n")
    _, _, err = call("plan", "job.yaml")
    assert [] == [line for line in err.splitlines() if line.strip().startswith("::")]
    assert "##[" not in err


def test_closed_streams_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that closes stdout and stderr gets the exit status, not a traceback."""
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr("sys.argv", ["runpod-deploy", "validate", "/no-such-file.yaml"])

    with pytest.raises(SystemExit) as ended:
        run()

    for stream in (sys.stdout, sys.stderr):
        stream.close()
    assert ended.value.code == errors.InvalidInput.exit_code
