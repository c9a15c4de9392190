"""Following a run: not a byte of its log is lost or doubled, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from runpod_deploy.errors import AccountError, ConnectFailed, ConnectionLost
from runpod_deploy.executor import log_mirror
from runpod_deploy.executor.ports import Completed
from runpod_deploy.record.atomic import write_all
from runpod_deploy.record.journal import Journal, JournalError
from support.fakes import FakeJob, FakeMachine, FakeTransport, unavailable
from support.plans import changed, small_plan
from support.rig import Rig, RigMaker

LINES = [(float(number), b"line %03d\n" % number) for number in range(1, 101)]
WHOLE = b"".join(piece for _, piece in LINES)


def chatty() -> FakeJob:
    """Return a job that prints a line a second for a hundred seconds."""
    return FakeJob(chunks=list(LINES), lasts=101.0)


def in_follow(rig: Rig, seconds: float, act: Any) -> None:
    """Call `act` so many seconds after the job's start."""

    def watch(_number: int, name: str) -> None:
        if name == "stream" and not done:
            done.append(True)
            asyncio.get_running_loop().call_later(seconds, act)

    done: list[bool] = []
    rig.clock.gate.act = watch


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("times", [(0.5,), (10.2, 10.3, 40.0), (100.5,), (3.0, 50.0, 101.0)])
def test_connection_lost_and_restored_keeps_every_byte_once(
    make_rig: RigMaker, times: tuple[float, ...], chunk: int
) -> None:
    """A connection that breaks, again and again, is made again and the log goes on where it broke."""
    rig = make_rig(job=chatty())

    def drops() -> None:
        rig.machines[0].chunk = chunk
        loop = asyncio.get_running_loop()
        for moment in times:
            loop.call_later(moment, rig.machines[0].drop)

    in_follow(rig, 0.0, drops)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert WHOLE == rig.log()
    assert WHOLE == b"".join(text for source, text in rig.listener.outputs if source == "run")
    assert 1 == rig.job.starts
    lost = rig.names("connection_lost", "connection_restored")
    assert ["connection_lost", "connection_restored"] * (len(lost) // 2) == lost
    assert lost


def test_answer_to_the_start_lost_is_asked_again_and_begins_once(make_rig: RigMaker) -> None:
    """When the connection breaks as the run is started, it is started again: the supervisor begins once."""
    rig = make_rig(job=chatty())

    def act(_number: int, name: str) -> None:
        if name == "run-answer" and rig.job.starts == 1 and len(rig.connector.opened) == 1:
            rig.machines[0].drop()

    rig.clock.gate.act = act
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert 2 == rig.job.starts
    assert "started" == rig.one("exec_start_settled")["outcome"]
    assert WHOLE == rig.log()


def test_log_stream_that_dies_alone_is_drained_at_the_end(make_rig: RigMaker) -> None:
    """When only the log's own stream breaks off, the bytes come with the final drain."""
    rig = make_rig(job=chatty())

    def act(_number: int, _name: str) -> None:
        if rig.machines:
            rig.machines[0].replies["tail -c .* -F"] = ConnectionLost("channel closed")

    rig.clock.gate.act = act
    assert "SUCCEEDED" == rig.run().state
    assert WHOLE == rig.log()


def test_nobody_answering_any_more_ends_the_run(make_rig: RigMaker) -> None:
    """A connection that cannot be made again in time ends the run; the pod may hold its results."""
    rig = make_rig(job=chatty())

    def act() -> None:
        rig.connector.always = ConnectFailed("no route to host")
        rig.machines[0].drop()

    in_follow(rig, 5.0, act)
    run = rig.run()
    assert ("KEPT", "connection_lost") == (run.state, run.cause)
    assert ["pod1"] == list(rig.cloud.rented)


@pytest.mark.parametrize("status", ["EXITED", "ERROR", "TERMINATED", "gone"])
@pytest.mark.parametrize("drops", [True, False])
def test_pod_that_dies_under_the_run_is_told_as_such(
    make_rig: RigMaker, status: str, *, drops: bool
) -> None:
    """A pod that is killed ends the run with cause pod_killed, whether its connection broke first or not."""
    rig = make_rig(job=chatty())

    def act() -> None:
        if status == "gone":
            rig.cloud.vanish("pod1")
        else:
            rig.cloud.change("pod1", status=status)
            if drops:
                rig.machines[0].kill()

    in_follow(rig, 5.0, act)
    run = rig.run()
    assert ("FAILED", "pod_killed") == (run.state, run.cause)
    assert status == rig.one("pod_killed_unexpected")["state"]
    assert {} == rig.cloud.rented


def test_pod_that_dies_while_we_reconnect_is_told_as_such(make_rig: RigMaker) -> None:
    """The API may still show a dying pod as running; when it is gone a little later, that is the cause."""
    rig = make_rig(changed(small_plan(), budget={"poll_interval_sec": 1000.0}), job=chatty())

    def act() -> None:
        rig.machines[0].kill()
        asyncio.get_running_loop().call_later(0.1, rig.cloud.vanish, "pod1")

    in_follow(rig, 5.0, act)
    run = rig.run()
    assert ("FAILED", "pod_killed") == (run.state, run.cause)


@pytest.mark.parametrize("error", [unavailable(), AccountError("401")])
def test_looks_that_fail_do_not_end_a_run(make_rig: RigMaker, error: Exception) -> None:
    """A running job outlives an API that fails or refuses the key for a while."""
    rig = make_rig(job=chatty())
    in_follow(rig, 5.0, lambda: rig.cloud.gets.extend([error] * 5))
    assert "SUCCEEDED" == rig.run().state
    assert WHOLE == rig.log()


def test_drain_may_last_as_long_as_bytes_come(make_rig: RigMaker) -> None:
    """A log that takes minutes to fetch after the end is fetched whole; only standstill is an error."""
    rig = make_rig(job=chatty())

    def act(_number: int, name: str) -> None:
        if rig.machines:
            rig.machines[0].replies["tail -c .* -F"] = ConnectionLost("channel closed")
            rig.machines[0].chunk = 100
        if name == "chunk":
            asyncio.get_running_loop().skip(40.0)

    rig.clock.gate.act = act
    assert "SUCCEEDED" == rig.run().state
    assert WHOLE == rig.log()


def test_log_that_stands_still_is_a_cause_of_its_own(make_rig: RigMaker) -> None:
    """A drain from which nothing comes ends the run as log_incomplete, not as a fault of ours."""
    rig = make_rig(job=chatty())

    def act(_number: int, _name: str) -> None:
        if rig.machines:
            rig.machines[0].replies["tail -c .* -F"] = ConnectionLost("channel closed")
            rig.machines[0].hangs.add("head -c")

    rig.clock.gate.act = act
    run = rig.run()
    assert ("FAILED", "log_incomplete") == (run.state, run.cause)
    assert ["/workspace/results"] == rig.downloads.tried
    assert {} == rig.cloud.rented


@pytest.mark.parametrize(
    "answer", [b"", b"sh: 0: cannot open\n", b"exited 0\n", b"exited -- 1 -\n"]
)
def test_supervisor_without_an_answer_is_unknown(make_rig: RigMaker, answer: bytes) -> None:
    """When the supervisor does not say how the run ended, it is UNKNOWN and never a success."""
    rig = make_rig()

    def act(_number: int, _name: str) -> None:
        if rig.machines:
            rig.machines[0].replies["supervisor.sh wait"] = Completed(
                exit_status=127, stdout=answer, stderr=b"not found"
            )

    rig.clock.gate.act = act
    run = rig.run()
    assert "UNKNOWN" == run.state
    assert 9 == rig.engine.failure.exit_code
    assert {} == rig.cloud.rented


def test_secrets_are_masked_in_the_log_however_it_is_cut(make_rig: RigMaker) -> None:
    """A secret printed by the job never reaches run.log or the listener, cut at any byte."""
    rig = make_rig(
        job=FakeJob(chunks=[(1.0, b"token=hunter2-hunter2 end\n")], lasts=3.0),
        secrets=("hunter2-hunter2",),
    )

    def act(_number: int, _name: str) -> None:
        if rig.machines:
            rig.machines[0].chunk = 1

    rig.clock.gate.act = act
    rig.run()
    assert b"token=*** end\n" == rig.log()
    shown = b"".join(text for _, text in rig.listener.outputs)
    assert b"hunter2" not in shown


def test_first_connection_is_the_one_used(make_rig: RigMaker) -> None:
    """A run without trouble needs one connection and closes it."""
    rig = make_rig()
    opened: list[FakeTransport] = []
    rig.connector.on_connect = opened.append
    rig.run()
    assert [True] == [transport.closed for transport in opened]


@pytest.mark.parametrize("failures", [1, 1_000_000])
def test_disk_that_is_full_leaves_no_gap_in_the_log(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """The run goes on without its log; with room again it comes whole, without room the run fails."""
    left = [failures]

    def full(fd: int, data: bytes) -> None:
        if b"line 050" in data and left[0] > 0:
            left[0] -= 1
            write_all(fd, data[:4])
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(fd, data)

    monkeypatch.setattr(log_mirror, "write_all", full)
    rig = make_rig(job=chatty())
    run = rig.run()
    assert any("run.log cannot be written" in warning for warning in run.warnings)
    if failures == 1:
        assert ("SUCCEEDED", WHOLE) == (run.state, rig.log())
    else:
        assert ("FAILED", "log_unwritten") == (run.state, run.cause)
        assert WHOLE.startswith(rig.log())
        assert rig.log().endswith(b"line 049\n")
        assert ["gone"] == [pod.status for pod in run.pods.values()]


def test_journal_that_fails_while_the_log_comes_ends_the_run_at_once(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stream of the log cannot write down is not found out hours later, at the run's end."""
    rig = make_rig(job=FakeJob(chunks=[(3.0, b"__RUNPOD_STEP_START__a__\n")], lasts=5000.0))
    began = rig.clock.now()
    write = Journal.write

    def broken(journal: Journal, name: str, /, **fields: Any) -> Any:
        if name == "remote_step_started":
            raise JournalError("The journal cannot be written.")
        return write(journal, name, **fields)

    monkeypatch.setattr(Journal, "write", broken)
    run = rig.run()
    assert ("FAILED", "JournalError") == (run.state, run.cause)
    assert rig.clock.now() - began < 1000


@pytest.mark.parametrize("question", ["wait", "start"])
def test_question_that_was_killed_is_asked_again(make_rig: RigMaker, question: str) -> None:
    """What starts the run or waits for it may be killed on the pod; it is asked for once more."""
    rig = make_rig(job=chatty())
    made = rig.cloud.machine

    def machine() -> FakeMachine:
        one = made()
        one.replies[f"supervisor.sh {question}"] = [
            Completed(exit_status=-1, stdout=b"", stderr=b"")
        ]
        return one

    rig.cloud.machine = machine
    assert "SUCCEEDED" == rig.run().state
    assert WHOLE == rig.log()
    assert "connection_restored" in rig.names()
