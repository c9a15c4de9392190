"""`cancel` from another process: with an executor that lives, and with none."""

import os
import signal
from typing import Any

import pytest

from support.command import Bench, Process, wait_until

pytestmark = pytest.mark.emulated
RUN = ("run", "--cloud", "emulator", "job.yaml")
BODY = "mkdir -p /root/out; echo half >/root/out/half; echo working; sleep 600\n"
STUBBORN = "trap '' TERM\n" + BODY.replace("sleep 600", "while :; do sleep 0.2; done")


def begun(bench: Bench, body: str = BODY) -> Process:
    """Start a run and return when its job has printed something."""
    bench.job(run={"body": body}, artifacts=[{"label": "out", "remote_path": "/root/out"}])
    process = bench.start(*RUN)

    def printed() -> bool:
        assert process.poll() is None, process.communicate()[0]
        logs = [run / "run.log" for run in bench.runs()]
        return bool(logs) and logs[-1].exists() and b"working\n" in logs[-1].read_bytes()

    wait_until(printed, timeout=90)
    return process


def lose(process: Process) -> None:
    """Kill the executor."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def names(bench: Bench) -> list[str]:
    """Return the names of all events."""
    return [event["event"] for event in bench.events()]


def job_end(bench: Bench) -> dict[str, Any]:
    """Return how the job ended."""
    (end,) = [event for event in bench.events() if event["event"] == "job_ended"]
    return end


def test_a_living_executor_is_asked(bench: Bench) -> None:
    """It ends the job, brings home what there is, and lets the pod go; both commands say so."""
    process = begun(bench)
    code, output = bench.run("cancel", "last")
    told, _ = process.communicate(timeout=240)

    assert code == 0, output
    assert f"Asked process {process.pid}" in output
    assert (process.returncode, bench.pods()) == (130, []), told
    manifest = bench.manifest()
    assert (manifest["state"], manifest["cause"]) == ("CANCELLED", "cancelled")
    assert (bench.last_run() / "out" / "half").read_text() == "half\n"
    assert not (bench.last_run() / ".request.json").exists()
    code, output = bench.run("cancel", "last")
    assert (code, "nothing to cancel: the run has ended, CANCELLED" in output) == (0, True)


def test_without_an_executor_it_is_done_here(bench: Bench) -> None:
    """The job is ended first, its log is whole, its results are home, everything is journalled."""
    lose(begun(bench))
    code, output = bench.run("cancel", bench.last_run().name)

    assert (code, bench.pods()) == (0, []), output
    assert "Nobody carries this run on" in output
    manifest = bench.manifest()
    assert (manifest["state"], manifest["cause"]) == ("CANCELLED", "cancelled"), output
    assert job_end(bench)["cause"] == "cancelled"
    assert (bench.last_run() / "out" / "half").read_text() == "half\n"
    assert (bench.last_run() / "run.log").read_text().count("working\n") == 1
    told = names(bench)
    assert told.index("job_ended") < told.index("artifact_pull_completed")
    assert told.index("artifact_pull_completed") < told.index("pod_delete_settled")


def test_a_second_cancel_is_at_once(bench: Bench) -> None:
    """Said again while the job is being ended, nothing more is brought home."""
    process = begun(bench, STUBBORN)
    first = bench.start("cancel", "last")
    wait_until(lambda: '"state":"UNDOING"' in (bench.last_run() / "events.jsonl").read_text(), 60)
    code, output = bench.run("cancel", "last")
    told, _ = process.communicate(timeout=90)
    first.communicate(timeout=240)

    assert (code, first.returncode, bench.pods()) == (0, 0, []), output
    assert "at once" in output
    assert (process.returncode, bench.manifest()["state"]) == (130, "CANCELLED"), told
    assert "artifact_pull_completed" not in names(bench)


def test_now_brings_nothing_home(bench: Bench) -> None:
    """`--now`, where nobody carries the run on: the pod goes, and that is all."""
    lose(begun(bench, STUBBORN))
    code, output = bench.run("cancel", "last", "--now")
    assert (code, bench.pods()) == (0, []), output
    assert bench.manifest()["state"] == "CANCELLED"
    assert "artifact_pull_completed" not in names(bench)
