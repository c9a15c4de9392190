"""Several executors at once: one has a run, and runs of one project share nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.command import Bench, wait_until
from support.crashing import victim

pytestmark = pytest.mark.emulated

MANY = 20


def working(bench: Bench) -> bool:
    """Return whether the job of the newest run has said something."""
    log = bench.last_run() / "run.log" if bench.runs() else None
    return log is not None and log.exists() and log.read_text("utf-8").startswith("working")


def states(bench: Bench) -> list[str]:
    """Return the states that the newest run went through."""
    return [event["state"] for event in bench.events() if event["event"] == "state_changed"]


def test_second_executor_is_refused_and_disturbs_nothing(bench: Bench) -> None:
    """`resume` of a run that is alive names the process that has it, and the run comes to its end."""
    bench.job(
        storage={"mode": "ephemeral", "volume_gb": 10},
        run={
            "body": "echo working; : >/workspace/here; while [ ! -e /workspace/go ]; do sleep 0.1; done\n"
        },
    )
    first = bench.start("run", "--cloud", "emulator", "job.yaml")
    wait_until(lambda: working(bench), timeout=90)

    status, output = bench.run("resume", "last")
    assert status == 1, output
    assert f"process {first.pid} on this machine" in output
    assert "Traceback" not in output

    # A job that is detached from goes on; who attaches then has the run.
    assert bench.run("detach", "last")[0] == 0
    output = first.communicate(timeout=240)[0]
    assert first.returncode == 8, output
    assert "runpod-deploy attach" in output
    second = bench.start("attach", "last")
    wait_until(lambda: states(bench)[-2:] == ["DETACHED", "WORKING"], timeout=240)
    assert bench.run("resume", "last")[0] == 1
    (here,) = (bench.root / "emu").rglob("here")
    (here.parent / "go").touch()
    output = second.communicate(timeout=90)[0]
    assert second.returncode == 0, output
    assert bench.pods() == []


def test_two_that_resume_at_once_have_one_winner(bench: Bench) -> None:
    """Of two `resume` of a killed run one carries it on, the other one says so; there is one pod."""
    bench.job(run={"body": "echo working; sleep 2\n"})
    victim(bench, 25, "run", "--cloud", "emulator", "job.yaml")

    both = [bench.start("resume", "last") for _ in range(2)]
    outputs = [process.communicate(timeout=180)[0] for process in both]
    statuses = sorted(process.returncode for process in both)

    # Whoever begins when the other has come to the end is only told that end.
    assert statuses in ([0, 1], [0, 0]), outputs
    if statuses == [0, 1]:
        assert "being" in "".join(outputs)
    assert bench.manifest()["state"] == "SUCCEEDED"
    assert bench.pods() == []
    assert len(bench.history()["pods"]) == 1
    assert states(bench).count("SUCCEEDED") == 1


def test_runs_that_start_in_one_second_share_nothing(bench: Bench) -> None:
    """Twenty runs of one job file at once: twenty folders, pods, results; no pod is left."""
    bench.emulator()
    bench.job(
        run={"body": "mkdir -p /root/out; echo $RUNPOD_DEPLOY_RUN_ID > /root/out/id\n"},
        artifacts=[{"label": "out", "remote_path": "/root/out"}],
    )
    processes = [bench.start("run", "--cloud", "emulator", "job.yaml") for _ in range(MANY)]
    outputs = [process.communicate(timeout=600)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * MANY, outputs
    folders = bench.runs()
    assert len(folders) == MANY
    told = [manifest_of(folder) for folder in folders]
    assert len({one["run_id"] for one in told}) == MANY
    assert len({one["pods"][0]["pod_id"] for one in told}) == MANY
    for folder, manifest in zip(folders, told, strict=True):
        assert (folder / "out" / "id").read_text("ascii").strip() == manifest["run_id"]
    assert bench.pods() == []


def manifest_of(folder: Path) -> Any:
    """Return the manifest of a run folder."""
    return json.loads((folder / "runpod_deploy_pull_manifest.json").read_text("utf-8"))
