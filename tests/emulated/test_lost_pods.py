"""A pod that is lost under its job, on the emulator: the next one goes on from the last checkpoint."""

from __future__ import annotations

import signal

import pytest

from support.command import Bench, wait_until

pytestmark = pytest.mark.emulated

BODY = """\
cd /root/state
if [ -e step ]; then
  echo "went on after $(cat step)"
  mkdir -p /root/out
  cp -p step tool /root/out/
  exit
fi
printf 7 >new; mv new step; printf '#!/bin/sh\\necho works\\n' >tool; chmod +x tool
sleep 600
"""


def test_killed_while_a_lost_pod_is_replaced(bench: Bench) -> None:
    """A pod vanishes under its job, then the command is killed: `resume` gets one pod and the checkpoint."""
    bench.job(
        pod={"gpu_order": ["NVIDIA L4", "NVIDIA A40"]},
        setup=[{"command": "mkdir -p /root/state"}],
        run={"body": BODY},
        artifacts=[
            {"label": "state", "remote_path": "/root/state", "every_minutes": 0.01},
            {"label": "out", "remote_path": "/root/out"},
        ],
        lifecycle={"retry": 1, "on_failure": "delete"},
    )
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    wait_until(lambda: list(bench.project.rglob("state/tool")) or process.poll() is not None)
    (pod,) = bench.pods()
    wait_until(lambda: "artifact_synced" in _journal(bench))
    _vanish(bench, pod["id"])
    wait_until(lambda: "attempt_lost" in _journal(bench) or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    status, output = bench.run("resume", "last")

    assert status == 0, output
    assert bench.pods() == []
    out = bench.last_run() / "out"
    assert (out / "step").read_text() == "7"
    assert (out / "tool").stat().st_mode & 0o100
    assert "went on after 7" in (bench.last_run() / "run.log").read_text()
    assert (bench.last_run() / "run.attempt-1.log").exists()
    manifest = bench.manifest()
    assert [row["pod_id"] for row in manifest["lost_attempts"]] == [pod["id"]]
    assert [row["status"] for row in manifest["pods"]] == ["gone", "gone"]
    assert [row["gpu_id"] for row in manifest["pods"]] == ["NVIDIA L4", "NVIDIA A40"]
    assert "checkpoint_restored" in {event["event"] for event in bench.events()}
    assert len(bench.history()["pods"]) == 2


def _journal(bench: Bench) -> str:
    return "".join(path.read_text("utf-8") for path in bench.project.rglob("events.jsonl"))


def _vanish(bench: Bench, pod_id: str) -> None:
    """Delete a pod behind the run's back, as its host would."""
    import httpx  # noqa: PLC0415 - for this call alone

    from runpod_deploy.emulator import client  # noqa: PLC0415 - likewise

    info = client.find(bench.env)
    assert info is not None
    headers = {"Authorization": f"Bearer {info.api_key}", "User-Agent": "someone-else"}
    httpx.delete(f"{info.url}/v2/pods/{pod_id}", headers=headers).raise_for_status()
