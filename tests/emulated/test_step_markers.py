"""Step markers of a job: each is an event exactly once, whoever watches, and whoever is killed."""

import os
import signal
import time

import pytest

from support.command import Bench

pytestmark = pytest.mark.emulated
CLOUD = ("--cloud", "emulator")
STEPS = 5000
BURST = """\
import sys, time
def burst(first):
    for number in range(first, first + HALF):
        sys.stdout.write(f"__RUNPOD_STEP_START__s{number}__\\nrow {number}\\n")
        sys.stdout.write(f"__RUNPOD_STEP_DONE__s{number}__\\n")
    sys.stdout.flush()
HALF = 2500
burst(0)
print("half", flush=True)
time.sleep(WAIT)
burst(HALF)
"""


def job(bench: Bench, wait: float) -> None:
    """Write a job that prints its markers in two bursts."""
    bench.write("burst.py", BURST.replace("WAIT", f"{wait}"))
    bench.job(
        run={"body": "python3 /root/burst.py\n"},
        staging=[{"label": "code", "source": "burst.py", "destination": "/root/burst.py"}],
    )


def markers(bench: Bench) -> tuple[list[str], list[str]]:
    """Return the names of the steps that were started and done, in the order of the events."""
    started = [one["name"] for one in bench.events() if one["event"] == "remote_step_started"]
    done = [one["name"] for one in bench.events() if one["event"] == "remote_step_completed"]
    return started, done


def until_half(bench: Bench) -> None:
    """Wait until the first burst is in the log here."""
    deadline = time.monotonic() + 120
    while True:
        logs = [run / "run.log" for run in bench.runs()]
        if logs and logs[-1].exists() and b"\nhalf\n" in logs[-1].read_bytes():
            return
        assert time.monotonic() < deadline, "the first half of the log never came"
        time.sleep(0.1)


def all_once(bench: Bench) -> None:
    """Hold the events against what the job printed."""
    expected = [f"s{number}" for number in range(STEPS)]
    started, done = markers(bench)
    assert expected == started
    assert expected == done
    log = (bench.last_run() / "run.log").read_bytes()
    assert STEPS == log.count(b"__RUNPOD_STEP_START__")
    assert [b"row %d" % number for number in range(STEPS)] == [
        line for line in log.splitlines() if line.startswith(b"row ")
    ]
    assert bench.pods() == []


def test_a_burst_gives_each_marker_once(bench: Bench) -> None:
    """5,000 pairs at once are 5,000 started and 5,000 done, in order."""
    job(bench, 0)
    status, output = bench.run("run", "job.yaml", *CLOUD)
    assert 0 == status, output
    all_once(bench)


def test_markers_are_seen_once_across_a_kill(bench: Bench) -> None:
    """SIGKILL between two bursts, while nobody watches the second: `resume` tells each once."""
    job(bench, 3)
    process = bench.start("run", "job.yaml", "--quiet", *CLOUD)
    until_half(bench)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1)

    status, output = bench.run("resume", "last")

    assert 0 == status, output
    all_once(bench)


def test_markers_are_seen_once_across_a_detach(bench: Bench) -> None:
    """Detached between two bursts and attached after the second, each marker is told once."""
    job(bench, 20)
    process = bench.start("run", "job.yaml", "--quiet", *CLOUD)
    until_half(bench)
    assert 0 == bench.run("detach", "last")[0]
    output, _ = process.communicate(timeout=240)
    assert 8 == process.returncode, output

    status, output = bench.run("attach", "last")

    assert 0 == status, output
    all_once(bench)
