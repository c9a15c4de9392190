"""Whole runs in emulated pods whose `sh` is each of the shells that images have."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from support.command import Bench, wait_until
from support.shell_pod import SHELLS

pytestmark = pytest.mark.emulated

RUN = ("run", "--cloud", "emulator", "job.yaml")
SPEED = 10.0


@pytest.fixture(params=SHELLS)
def shelled(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """Return a bench whose emulated pods have one of the shells as `sh`, and fast time."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    bench.emulator(pod_shell=request.param, billing_speed=SPEED)
    return bench


def test_the_shell_is_the_one_asked_for(shelled: Bench) -> None:
    """Commands of the run see it, so the pod's own scripts do."""
    shelled.job(run={"body": 'readlink -f "$(command -v sh)"\n'})
    assert shelled.run(*RUN)[0] == 0
    path = Path((shelled.last_run() / "run.log").read_text().strip())
    assert path.name in SHELLS


def test_exit_code_log_and_children(shelled: Bench) -> None:
    """The exit code is the script's own, the log whole, and what it left running is gone."""
    body = "(setsid sh -c 'while :; do sleep 1; done' &) &\nseq 2000\necho error >&2\nexit 7\n"
    shelled.job(run={"body": body})
    status, output = shelled.run(*RUN)
    assert status == 1, output
    assert shelled.manifest()["exit_code"] == 7
    whole = "".join(f"{number}\n" for number in range(1, 2001)) + "error\n"
    assert (shelled.last_run() / "run.log").read_text() == whole
    assert "lease_armed" in {event["event"] for event in shelled.events()}


def test_limit_ends_the_run(shelled: Bench) -> None:
    """`max_runtime_minutes` ends the script on the pod, and the reason is told."""
    shelled.job(run={"body": "sleep infinity\n"}, budget={"max_runtime_minutes": 0.5})
    status, output = shelled.run(*RUN)
    assert status == 1, output
    assert shelled.manifest()["cause"] == "max_runtime"
    assert shelled.pods() == []


def test_orphan_ends_itself(shelled: Bench) -> None:
    """The command is killed under a running job: the job ends, and then the pod."""
    shelled.job(
        run={"body": "sleep 60; echo whole >/workspace/result\n"},
        storage={"mode": "ephemeral", "volume_gb": 10},
        lease={"silence_minutes": 0.5},
    )
    process = shelled.start(*RUN)

    def begun() -> bool:
        journals = [run / "events.jsonl" for run in shelled.runs()]
        text = journals[-1].read_text() if journals and journals[-1].exists() else ""
        return "exec_start_settled" in text

    wait_until(begun, timeout=240)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: [pod["status"] for pod in shelled.pods()] == ["EXITED"], timeout=90)
    assert [path.read_text() for path in (shelled.root / "emu").rglob("result")] == ["whole\n"]
