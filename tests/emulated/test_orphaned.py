"""The command is killed and never comes back: the pod ends itself when its lease says so."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.command import Bench, wait_until

pytestmark = pytest.mark.emulated

# Ten pod seconds in one.
SPEED = 10.0
MINUTE = 60.0 / SPEED
JOB = """\
echo begun; sleep 150
mkdir /workspace/out; echo whole >/workspace/out/result; echo over
"""
DISK = {"storage": {"mode": "ephemeral", "volume_gb": 10}}


def orphaned(bench: Bench, reached: Callable[[], bool], **job: Any) -> float:
    """Run a job until something is reached, kill the command with SIGKILL and return when that was."""
    bench.job(**job)
    process = bench.start("run", "--cloud", "emulator", "job.yaml")

    def there() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return reached()

    wait_until(there, timeout=240)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return time.time()


def begun(bench: Bench, event: str, **fields: str) -> Callable[[], bool]:
    """Return whether an event has been written."""

    def there() -> bool:
        journals = [run / "events.jsonl" for run in bench.runs()]
        text = journals[-1].read_text("utf-8") if journals and journals[-1].exists() else ""
        parts = [f'"event":"{event}"', *(f'"{key}":"{value}"' for key, value in fields.items())]
        return any(all(part in line for part in parts) for line in text.splitlines())

    return there


def minutes_until(bench: Bench, since: float, status: str | None) -> float:
    """Wait until the only pod has a status (None: is gone); returns pod minutes since a real time."""

    def there() -> bool:
        pods = bench.pods()
        return not pods if status is None else [pod["status"] for pod in pods] == [status]

    wait_until(there, timeout=90)
    return (time.time() - since) / MINUTE


def test_before_ssh_the_watch_of_the_start_ends_the_pod(bench: Bench) -> None:
    """Nobody ever logs in: after the grace of the boot the pod is gone."""
    bench.emulator("no-sshd", billing_speed=SPEED)
    orphaned(
        bench,
        begun(bench, "step_started", step="connect"),
        lease={"boot_grace_minutes": 1.5},
    )
    created = bench.pods()[0]["createdAt"]
    began = time.mktime(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    passed = minutes_until(bench, began, None)
    assert 1.4 <= passed <= 2.7


def test_idle_pod_is_stopped(bench: Bench) -> None:
    """Killed in setup, with a disk that survives: after the silence the pod is stopped, its disk kept."""
    bench.emulator(billing_speed=SPEED)
    killed = orphaned(
        bench,
        begun(bench, "command_started", name="setup-1"),
        setup=[{"command": "sleep 600"}],
        lease={"silence_minutes": 1.0},
        **DISK,
    )
    assert 0.7 <= minutes_until(bench, killed, "EXITED") <= 2.0


def test_running_job_goes_on_to_its_end(bench: Bench) -> None:
    """Killed while the job runs, which is not ended for silence: its result is on the disk that is kept.

    Whoever carries the run on starts the pod again, without the GPUs that its host has let to others by
    then, and the run ends as if nobody had been away.
    """
    bench.emulator("zero-gpus:when=start", billing_speed=SPEED)
    killed = orphaned(
        bench,
        begun(bench, "exec_start_settled"),
        run={"body": JOB},
        artifacts=[{"label": "out", "remote_path": "/workspace/out"}],
        lease={"silence_minutes": 1.0},
        **DISK,
    )
    assert 3.0 <= minutes_until(bench, killed, "EXITED") <= 4.5
    (result,) = (bench.root / "emu").rglob("result")
    assert result.read_text() == "whole\n"

    status, output = bench.run("resume", "last")
    manifest = bench.manifest()
    assert (status, manifest["state"], manifest["exit_code"]) == (0, "SUCCEEDED", 0), output
    assert "was stopped meanwhile" in output
    assert "came back with 0 of 1 GPUs" in output
    assert (bench.last_run() / "run.log").read_text() == "begun\nover\n"
    assert [one.read_text() for one in bench.last_run().rglob("result")] == ["whole\n"]
    (pod,) = manifest["pods"]
    assert pod["ran_sec"] > 0 < pod["rested_sec"]
    assert bench.pods() == []
    assert len(bench.history()["pods"]) == 1


def test_running_job_is_ended_where_that_was_asked_for(bench: Bench) -> None:
    """With `while_running: stop` silence ends job and pod alike."""
    bench.emulator(billing_speed=SPEED)
    killed = orphaned(
        bench,
        begun(bench, "exec_start_settled"),
        run={"body": "trap 'echo asked >/workspace/asked; exit 1' TERM; sleep 900 & wait\n"},
        lease={"silence_minutes": 1.0, "while_running": "stop"},
        **DISK,
    )
    assert 0.7 <= minutes_until(bench, killed, "EXITED") <= 2.2
    assert [path.name for path in (bench.root / "emu").rglob("asked")] == ["asked"]


def test_results_that_would_be_wiped_wait_for_the_end_of_the_money(bench: Bench) -> None:
    """Without a disk that survives, the pod waits after the job until its money is spent, then is gone."""
    bench.emulator(billing_speed=SPEED)
    killed = orphaned(
        bench,
        begun(bench, "job_ended"),
        # Half a dollar an hour: three and a half minutes.
        budget={"cost_cap_usd": 0.0286},
        run={"body": "mkdir /root/out; head -c 200000000 /dev/urandom >/root/out/result\n"},
        artifacts=[{"label": "out", "remote_path": "/root/out"}],
        lease={"silence_minutes": 0.5},
    )
    assert 2.0 <= minutes_until(bench, killed, None) <= 6.0


def test_money_ends_a_job_that_would_never_end(bench: Bench) -> None:
    """Killed with a job that hangs: the supervisor ends it, and the pod itself, when the money is spent."""
    bench.emulator(billing_speed=SPEED)
    killed = orphaned(
        bench,
        begun(bench, "exec_start_settled"),
        budget={"cost_cap_usd": 0.02},
        run={"body": "sleep infinity\n"},
        lease={"silence_minutes": 30},
        **DISK,
    )
    assert 1.0 <= minutes_until(bench, killed, "EXITED") <= 4.5


def test_living_command_keeps_the_lease(bench: Bench) -> None:
    """As long as somebody is there, setup may take many times the silence."""
    bench.emulator(billing_speed=SPEED)
    bench.job(setup=[{"command": "sleep 240"}], lease={"silence_minutes": 2.0})
    assert bench.run("run", "--cloud", "emulator", "job.yaml")[0] == 0


def test_required_lease_that_cannot_work_ends_before_setup(bench: Bench) -> None:
    """Where the pod's key is refused, `lease.required` ends the run; without it, the run goes on warned."""
    bench.emulator("pod-key-refused", billing_speed=SPEED)
    bench.job(setup=[{"command": "echo set up"}], lease={"required": True})
    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")
    assert status == 1
    assert "cannot end itself" in output
    assert "set up" not in output
    assert bench.pods() == []
    bench.job(setup=[{"command": "echo set up"}])
    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")
    assert status == 0, output
    assert any("nothing ends the pod" in text for text in bench.manifest()["warnings"])


def test_script_and_pod_see_the_fast_time(bench: Bench) -> None:
    """Inside an emulated pod whose time runs fast, `sleep` and `date` agree about it."""
    bench.emulator(billing_speed=60.0)
    bench.job(run={"body": "a=$(date +%s); sleep 2m; b=$(date +%s); echo $((b - a))\n"})
    began = time.monotonic()
    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")
    assert status == 0, output
    assert time.monotonic() - began < 60
    assert 119 <= int((bench.last_run() / "run.log").read_text()) < 600
