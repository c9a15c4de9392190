"""`logs` of runs whose log lies here: printed, followed, fit for a terminal."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from begun_run import STAMP, Begun
from forensic_cases import RUNS
from runpod_deploy.record.run_lock import LOCK_NAME, RunLock

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def begun(project: Path) -> Begun:
    """A run that has begun."""
    return Begun(project)


def test_the_log_of_a_run_that_is_over(begun: Begun, call: Call) -> None:
    """All of it, or its last lines, without what would steer a terminal; also when followed."""
    begun.with_job().gone().state("SUCCEEDED")
    assert (0, "one\ntwo\nthree\n", "") == call("logs")
    assert (0, "three\n", "") == call("logs", "-n", "1")
    assert (0, "two\nthree\n", "") == call("logs", STAMP, "-f", "-n", "2")
    assert (0, "", "") == call("logs", "-q", "-n", "0")


def test_a_last_line_without_its_end_is_shown(begun: Begun, call: Call) -> None:
    """As of a program that was killed while it printed."""
    begun.with_job().gone().state("FAILED", "exit_code")
    (begun.path / "run.log").write_bytes(b"50%\r100%\nbroken of")
    assert "100%\nbroken of\n" == call("logs")[1]


def test_a_long_line_is_not_cut(begun: Begun, call: Call) -> None:
    """Lines for programs are longer than a terminal is wide."""
    begun.with_job().gone().state("SUCCEEDED")
    (begun.path / "run.log").write_bytes(b"x" * 100_000 + b"\n")
    assert "x" * 100_000 + "\n" == call("logs")[1]


def test_a_run_without_a_log_says_why(begun: Begun, call: Call) -> None:
    """Nothing on stdout; how far the run came on stderr."""
    begun.write("step_started", step="provision")
    code, out, err = call("logs")
    assert (0, "") == (code, out)
    assert "the run is at step provision" in err
    begun.state("FAILED", "StockOut")
    assert "ended (FAILED) before its job printed" in call("logs")[2]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens while the command waits, one after the other."""
    acts: list[Callable[[], None]] = []
    monkeypatch.setattr(time, "sleep", lambda _seconds: acts.pop(0)())
    monkeypatch.setattr("runpod_deploy.cli.log_printer.LOOK_AGAIN_SEC", 0.0)
    return acts


def test_a_living_run_is_followed_to_its_end(
    begun: Begun, slept: list[Callable[[], None]], call: Call
) -> None:
    """What its executor writes comes as it is written, each byte once."""
    RunLock.take(begun.path, owner="me", now=time.time())
    log = begun.path / "run.log"

    def append(text: bytes) -> None:
        with log.open("ab") as stream:
            stream.write(text)

    def start() -> None:
        begun.with_job()
        log.write_bytes(b"one\ntw")

    def end() -> None:
        append(b"rest\n")
        begun.gone().state("SUCCEEDED")

    slept += [start, lambda: append(b"o\nthree\n"), end]
    code, out, err = call("logs", "-f")
    assert (0, "one\ntwo\nthree\nrest\n") == (code, out)
    assert "The job has not begun (step None)" in err


def test_an_executor_that_is_lost_is_told_of(
    begun: Begun, slept: list[Callable[[], None]], call: Call
) -> None:
    """The rest would come from the pod; without a key it says what is missing, and fails."""
    RunLock.take(begun.path, owner="me", now=time.time())
    begun.with_job()
    slept.append((begun.path / LOCK_NAME).unlink)
    code, out, err = call("logs", "-f")
    assert (5, "one\ntwo\nthree\n") == (code, out)
    assert "Nobody carries the run on any more" in err
    assert "there is no RunPod API key" in err


def test_a_run_that_nobody_carries_on_is_read_here_where_its_pod_cannot_be(
    begun: Begun, call: Call
) -> None:
    """It says why, and that there may be more."""
    begun.with_job()
    code, out, err = call("logs")
    assert (0, "one\ntwo\nthree\n") == (code, out)
    assert "cannot be read from the pod: there is no RunPod API key" in err
    assert "as much of the log as is here" in err


def test_ctrl_c_leaves_the_run_alone(
    begun: Begun, slept: list[Callable[[], None]], call: Call
) -> None:
    """Exit status 130, and the run goes on."""
    RunLock.take(begun.path, owner="me", now=time.time())
    begun.with_job()

    def interrupt() -> None:
        raise KeyboardInterrupt

    slept.append(interrupt)
    code, _, err = call("logs", "-f")
    assert (130, True) == (code, "The run goes on" in err)


def test_the_newest_run_of_a_job_file(begun: Begun, project: Path, call: Call) -> None:
    """`--config`, as earlier releases had it: the last 200 lines of that job."""
    begun.with_job().gone().state("SUCCEEDED")
    (begun.path / "run.log").write_bytes(b"".join(b"%d\n" % n for n in range(300)))
    other = project / RUNS / "20260701T000000Z"
    other.mkdir()
    (other / "plan.json").write_text('{"plan": {"job": {"file": "other.yaml"}}}')
    code, out, _ = call("logs", "--config", "job.yaml")
    assert (0, "100") == (code, out.split()[0])
    assert "298\n299\n" == call("logs", "--config", "job.yaml", "--lines", "2", "--no-follow")[1]
    assert 4 == call("logs", "--config", "missing.yaml")[0]
    assert 4 == call("logs", "last", "--config", "job.yaml")[0]
    assert 4 == call("logs", "-n", "-1")[0]
