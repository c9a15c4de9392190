"""Jobs on several nodes, end to end: real HTTP, real SSH to every node, real processes that talk over TCP."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.emulator import client
from runpod_deploy.emulator.wire import call
from support.command import Bench, Process, wait_until

pytestmark = pytest.mark.emulated

EXAMPLE = Path(__file__).parents[2] / "examples" / "cluster"
# Each node leaves a line for each time its script began, and stays until it is told that it may go.
BODY = """\
echo "node $NODE_RANK of $NUM_NODES" | tee -a /root/began
mkdir -p /root/out
while [ ! -e /workspace/go ]; do sleep 0.2; done
cp /root/began /root/out/
"""


def journal(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a run, or of a node of one."""
    file = folder / "events.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def names(folder: Path) -> set[str]:
    """Return which events there were."""
    return {event["event"] for event in journal(folder)}


def node(bench: Bench, rank: int) -> dict[str, Any]:
    """Return a node's pod, as the emulator has it."""
    return next(pod for pod in bench.pods() if pod["cluster"]["rank"] == rank)


def begun(bench: Bench, process: Process, event: str, *, nodes: int) -> None:
    """Wait until something has happened on every node."""

    def there() -> bool:
        assert process.poll() is None, process.communicate()[0]
        if not bench.runs():
            return False
        run = bench.last_run()
        folders = [run, *(run / "nodes" / str(rank) for rank in range(1, nodes))]
        return all(event in names(folder) for folder in folders)

    wait_until(there, timeout=240)


def two_nodes(bench: Bench, **sections: Any) -> None:
    """Write a job on two nodes whose script waits for the file `go` on the volume that they share."""
    info = client.find(bench.env)
    assert info is not None
    created = {"name": "shared", "size": 10, "dataCenter": "EU-RO-1"}
    call(info, "POST", "/v2/network-volumes", created)
    bench.write("src/data.txt", "data\n")
    bench.job(
        **{
            "pod": {"datacenters": "any"},
            "storage": {"mode": "network_volume", "volume_name": "shared"},
            "cluster": {"nodes": 2, "collect": "all"},
            "staging": [
                {"label": "shared", "source": "src", "destination": "/workspace/src"},
                {"label": "own", "source": "src", "destination": "/root/src"},
            ],
            "run": {"body": BODY},
            "artifacts": [{"label": "out", "remote_path": "/root/out"}],
            **sections,
        }
    )


def test_four_nodes_work_together(bench: Bench) -> None:
    """The example: four nodes meet over TCP, agree, and every one's results come home verified."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "."], cwd=EXAMPLE, capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in filter(None, files):
        target = bench.project / name.decode()
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(EXAMPLE / name.decode(), target)

    status, output = bench.run("apply", "job.yaml", "--cloud", "emulator", "--yes")

    assert 0 == status, output
    run = bench.last_run()
    folders = [run, *(run / "nodes" / str(rank) for rank in (1, 2, 3))]
    results = [json.loads((one / "result" / "result.json").read_text()) for one in folders]
    assert [0, 1, 2, 3] == [result["rank"] for result in results]
    assert 1 == len({(result["slope"], result["offset"]) for result in results})
    assert abs(results[0]["slope"] - 2.5) < 0.05
    for rank, folder in enumerate(folders):
        assert f"node {rank} of 4" in (folder / "run.log").read_text()
        (armed,) = [event for event in journal(folder) if event["event"] == "lease_armed"]
        assert armed["verified"], f"node {rank} cannot end its cluster"
        settled = [event for event in journal(folder) if event["event"] == "pull_settled"]
        assert ["verified"] == [event["outcome"] for event in settled]
    manifest = bench.manifest()
    (paid,) = manifest["pods"]
    assert [(1, 0), (2, 0), (3, 0)] == [
        (row["rank"], row["exit_code"]) for row in manifest["nodes"]
    ]
    assert {"success"} == {
        found["status"] for row in manifest["nodes"] for found in row["artifacts"]
    }
    assert "gone" == paid["status"]
    assert 4 * 3.29 == pytest.approx(paid["cost_per_hour_usd"])
    pods = bench.history()["pods"]
    assert (4, {"deleted"}) == (len(pods), {pod["ended_by"] for pod in pods})
    assert [] == bench.pods()


def test_a_node_that_is_lost_ends_the_run_on_all(bench: Bench) -> None:
    """The run fails, names the node, ends the others' scripts, brings home what there is, and deletes."""
    bench.emulator()
    two_nodes(bench)
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    begun(bench, process, "exec_start_settled", nodes=2)
    info = client.find(bench.env)
    assert info is not None
    call(info, "POST", f"/_emulator/pods/{node(bench, 1)['id']}/kill?then=exited")

    output, _ = process.communicate(timeout=240)

    assert 1 == process.returncode, output
    assert "node 1" in output.lower()
    manifest = bench.manifest()
    assert ("FAILED", "pod_killed") == (manifest["state"], manifest["cause"])
    assert "job_ended" in names(bench.last_run())
    assert [] == bench.pods()
    assert [] == call(info, "GET", "/v2/clusters")["clusters"]


def test_killed_and_resumed_a_cluster_ends_as_if_nothing_had_happened(bench: Bench) -> None:
    """After SIGKILL `resume` goes on with both nodes: nothing is begun twice, all comes home."""
    bench.emulator()
    two_nodes(bench)
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    begun(bench, process, "exec_start_settled", nodes=2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    status, told = bench.run("reap", "--cloud", "emulator")
    assert (0, True) == (status, "wanted" in told), told
    assert 0 == bench.run("ssh", "last", "--node", "1", "--", "touch /workspace/go")[0]
    assert 4 == bench.run("ssh", "last", "--node", "2", "--", "true")[0]

    status, output = bench.run("resume", "last")

    assert 0 == status, output
    run = bench.last_run()
    assert "node 0 of 2\n" == (run / "out" / "began").read_text()
    assert "node 1 of 2\n" == (run / "nodes" / "1" / "out" / "began").read_text()
    assert "node 1 of 2" in bench.run("logs", "last", "--node", "1")[1]
    staged = {
        folder: [
            event["label"] for event in journal(folder) if event["event"] == "staging_completed"
        ]
        for folder in (run, run / "nodes" / "1")
    }
    assert [["shared", "own"], ["own"]] == list(staged.values())
    assert 1 == len(bench.manifest()["pods"])
    assert (2, {"deleted"}) == (
        len(bench.history()["pods"]),
        {pod["ended_by"] for pod in bench.history()["pods"]},
    )


def test_a_cluster_that_nobody_comes_back_for_ends_itself(bench: Bench) -> None:
    """The command is killed in setup: a node's watchdog deletes the whole cluster."""
    bench.emulator(billing_speed=10.0)
    two_nodes(
        bench,
        setup=[{"command": "sleep 3600"}],
        lifecycle={"on_orphaned": "delete"},
        lease={"silence_minutes": 1.0},
    )
    process = bench.start("run", "--cloud", "emulator", "job.yaml")
    begun(bench, process, "command_started", nodes=2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    def ended() -> bool:
        return {"deleted"} == {pod["ended_by"] for pod in bench.history()["pods"]}

    wait_until(ended, timeout=90)

    assert [] == bench.pods()
