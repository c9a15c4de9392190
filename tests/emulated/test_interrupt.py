"""Ctrl-C at every stage of a run: no pod is left, and the manifest tells the truth."""

import os
import signal

import pytest

from support.command import Bench, Process, wait_until

pytestmark = pytest.mark.emulated

STEPS = (
    "check",
    "provision",
    "connect",
    "admit",
    "setup",
    "stage",
    "secrets",
    "preflight",
    "execute",
    "collect",
    "release",
)


def interrupted(bench: Bench, process: Process, step: str, sig: int) -> str:
    """Send `sig` once `step` has begun; returns the output of the ended process."""

    def begun() -> bool:
        assert process.poll() is None, process.communicate()[0]
        runs = bench.runs()
        journal = runs[-1] / "events.jsonl" if runs else None
        needle = f'"event":"step_started","step":"{step}"'
        return journal is not None and journal.exists() and needle in journal.read_text("utf-8")

    wait_until(begun, timeout=240)
    os.kill(process.pid, sig)
    return process.communicate(timeout=90)[0]


@pytest.mark.parametrize("step", STEPS)
def test_interrupt_leaves_no_pod_and_a_true_manifest(bench: Bench, step: str) -> None:
    """SIGINT in any step ends with every pod gone and a manifest of what happened."""
    bench.extra["PLANTED"] = "planted-interrupt-secret"
    bench.write("src/data.bin", os.urandom(300_000))
    bench.job(
        setup=[{"command": "sleep 0.4"}],
        staging=[{"label": "src", "source": "src", "destination": "/root/src"}],
        secrets=[{"name": "s", "env": ["PLANTED"], "destination": "/root/s.env"}],
        preflight=[{"command": "sleep 0.4"}],
        run={"body": "mkdir -p /root/out; cp /root/src/data.bin /root/out; sleep 1.5\n"},
        artifacts=[{"label": "out", "remote_path": "/root/out"}],
    )
    process = bench.start("run", "--cloud", "emulator", "job.yaml")

    output = interrupted(bench, process, step, signal.SIGINT)
    manifest = bench.manifest()

    assert bench.pods() == [], output
    # A signal that comes as the last step ends may find nothing left to cancel.
    succeeded = process.returncode == 0 and step in {"collect", "release"}
    assert manifest["failed"] is not succeeded
    assert manifest["state"] == ("SUCCEEDED" if succeeded else "CANCELLED"), output
    assert process.returncode == (0 if succeeded else 130), output
    assert manifest["leaked_pod_ids"] == []
    states = {pod["status"] for pod in manifest["pods"]}
    assert states <= {"gone", "refused"}


def test_terminate_cancels_with_its_own_exit_status(bench: Bench) -> None:
    """SIGTERM without a terminal cancels the run: 143, log kept, pod gone."""
    bench.job(run={"body": "echo working; sleep 60\n"})
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    wait_until(lambda: bench.runs() and (bench.last_run() / "run.log").exists(), timeout=240)
    wait_until(lambda: (bench.last_run() / "run.log").read_text() == "working\n")

    os.kill(process.pid, signal.SIGTERM)
    output = process.communicate(timeout=240)[0]

    assert process.returncode == 143, output
    assert bench.manifest()["state"] == "CANCELLED"
    assert bench.pods() == []


def test_killed_command_leaves_the_emulated_cloud_alone(bench: Bench) -> None:
    """SIGKILL of the command is not an end of the pod: the cloud is a process of its own."""
    bench.job(run={"body": "sleep 60\n"})
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    wait_until(lambda: bench.runs() and (bench.last_run() / "run.log").exists(), timeout=240)

    process.kill()
    process.communicate()

    assert [pod["status"] for pod in bench.pods()] == ["RUNNING"]
