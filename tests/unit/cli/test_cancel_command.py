"""`cancel` of runs that are over, and how its exit status counts what is left."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from begun_run import Begun
from runpod_deploy.errors import JobFailed
from runpod_deploy.record.run_lock import LOCK_NAME, RunLock
from runpod_deploy.record.run_request import asked

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def begun(project: Path) -> Begun:
    """A run with a job."""
    return Begun(project).with_job()


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "CANCELLED", "UNKNOWN"])
def test_a_run_that_is_over_is_left_alone(begun: Begun, state: str, call: Call) -> None:
    """However it ended, there is nothing to cancel, and no key is needed to say so."""
    begun.gone().state(state)
    code, _, err = call("cancel", "last")
    assert (0, True) == (code, f"the run has ended, {state}" in err)
    assert asked(begun.path) is None


def test_a_kept_pod_is_told_of(begun: Begun, call: Call) -> None:
    """Exit status 8, with the command that ends it."""
    begun.state("KEPT", "not_verified")
    code, _, err = call("cancel", "last")
    assert (8, True) == (code, "runpod-deploy cleanup artifacts/runpod/" in err)


def test_the_run_has_to_be_named(begun: Begun, call: Call) -> None:
    """Nothing is ended by a command that was sent off too early."""
    del begun
    assert 4 == call("cancel")[0]
    assert 4 == call("cancel", "nope")[0]


def test_the_executor_gets_word_and_is_watched(
    begun: Begun, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time, or with --now, it is asked to hurry; a Ctrl-C takes nothing back."""
    words: list[str | None] = []

    def watching(*_: object, **__: object) -> int:
        words.append(asked(begun.path))
        return 0

    monkeypatch.setattr("runpod_deploy.cli.looking_on.look_on", watching)
    RunLock.take(begun.path, owner="me", now=time.time())
    assert 130 == call("cancel", "last")[0]
    code, _, err = call("cancel", "last")
    assert (130, True) == (code, "goes on doing so" in err)
    assert ["cancel", "hurry"] == words


def test_an_executor_that_dies_over_it_is_replaced(
    begun: Begun, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked is done here then; how that ended is the exit status."""

    def dies(*_: object, **__: object) -> int:
        (begun.path / LOCK_NAME).unlink()
        raise JobFailed("it has ended, and the run has not")

    def carry_on(*_: object, **__: object) -> int:
        assert "cancel" == asked(begun.path)
        begun.write("pod_delete_settled", op_id="d", pod_id="pod1", outcome="leaked", error="x")
        begun.state("LEAKED", "cancelled")
        return 1

    monkeypatch.setattr("runpod_deploy.cli.looking_on.look_on", dies)
    monkeypatch.setattr("runpod_deploy.cli.cancel_command.carry_on", carry_on)
    RunLock.take(begun.path, owner="me", now=time.time())
    code, _, err = call("cancel", "last")
    assert (7, True) == (code, "Nobody carries this run on" in err)


def test_without_a_key_it_says_so_and_leaves_word(begun: Begun, call: Call) -> None:
    """Whoever carries the run on later ends it."""
    code, _, err = call("cancel", "last")
    assert (5, True) == (code, "there is no RunPod API key" in err)
    assert "cancel" == asked(begun.path)
