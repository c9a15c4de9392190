"""A pod that one run keeps and the next uses again, on the emulator."""

from __future__ import annotations

import json

import pytest

from runpod_deploy.emulator import client
from support.command import Bench

pytestmark = pytest.mark.emulated

CLOUD = ("--cloud", "emulator")

JOB = """\
schema_version: 2
name: iterate
state_file: ~/.runpod-deploy-iterate
variables: {visit: 1}
pod: {image: "runpod/base:1.0.2", datacenters: [EU-RO-1], gpu_order: [NVIDIA L4]}
storage: {mode: ephemeral, volume_gb: 20}
budget: {cost_cap_usd: 0.5, max_runtime_minutes: 10}
setup: [{command: "test ! -e /root/marks && touch /root/marks"}]
staging: [{label: app, source: app, destination: "{volume_mount}/app", delete: true}]
secrets: [{name: hub, env: [HUB_TOKEN], destination: /workspace/hub.env}]
run:
  script_path: "{volume_mount}/run.sh"
  log_path: "{volume_mount}/run.log"
  success_marker: "VISIT {visit} DONE"
  body: |
    echo "{visit}" >> {volume_mount}/visits
    mkdir -p {volume_mount}/out && cp {volume_mount}/visits {volume_mount}/app/* {volume_mount}/out/
    echo "VISIT {visit} DONE"
artifacts: [{label: out, remote_path: "{volume_mount}/out", local_path: "{run_dir}/out"}]
lifecycle: {on_success: recycle, on_failure: delete}
"""


def visit(bench: Bench, number: int) -> str:
    """Run the job once more; return what it printed."""
    status, output = bench.run("run", "-c", "job.yaml", "--var", f"visit={number}", *CLOUD)
    assert status == 0, output
    return output


def visits(bench: Bench) -> str:
    """Return which runs the disk of the last one's pod has seen."""
    return (bench.last_run() / "out" / "visits").read_text()


def test_a_pod_is_used_again_until_its_host_has_no_gpu_left(bench: Bench) -> None:
    """A file of version 2 as it is: kept, used again, then without GPUs given up for another, always one."""
    bench.emulator()
    bench.extra["HUB_TOKEN"] = "planted-token"
    bench.write("job.yaml", JOB)
    bench.write("app/model.txt", "one")
    visit(bench, 1)
    (pod,) = bench.pods()
    kept = json.loads((bench.project / ".runpod-deploy" / "iterate.json").read_text())
    ports = [one["port"] for one in bench.events() if one["event"] == "pod_ready"]

    assert (pod["status"], kept["pod_id"]) == ("EXITED", pod["id"])
    bench.write("app/model.txt", "two")
    output = visit(bench, 2)
    manifest = bench.manifest()

    assert f"pod {pod['id']} is used again" in output
    assert visits(bench) == "1\n2\n"
    assert (bench.last_run() / "out" / "model.txt").read_text() == "two"
    assert (bench.last_run() / "run.log").read_text() == "VISIT 2 DONE\n"
    assert (manifest["pod_resumed"], manifest["pod_id"]) == (True, pod["id"])
    assert ports != [one["port"] for one in bench.events() if one["event"] == "pod_ready"]
    assert [one["event"] for one in bench.events()].count("lease_armed") == 1
    assert "host_key_confirmed" in [one["event"] for one in bench.events()]
    assert [one["id"] for one in bench.pods()] == [pod["id"]]
    status, output = bench.run("reap", "--json", *CLOUD)
    assert status == 0, output

    # An emulator that is begun anew has no pods, so the fault is put on the one that runs.
    info = client.find(bench.env)
    assert info is not None
    client.admin(info, "POST", "faults", {"faults": ["zero-gpus:when=start,times=1"]})
    output = visit(bench, 3)
    (other,) = bench.pods()

    assert "kept by an earlier run, will not do" in output
    assert (other["status"], other["id"] != pod["id"]) == ("EXITED", True)
    assert visits(bench) == "3\n"
    assert bench.manifest()["pod_resumed"] is True


def test_two_runs_at_once_share_no_pod(bench: Bench) -> None:
    """Of two that begin together one has the kept pod and the other its own; one is kept in the end."""
    bench.emulator()
    bench.extra["HUB_TOKEN"] = "planted-token"
    bench.write("job.yaml", JOB)
    bench.write("app/model.txt", "one")
    visit(bench, 1)
    both = [
        bench.start("run", "-c", "job.yaml", "--var", f"visit={number}", *CLOUD)
        for number in (2, 3)
    ]
    ended = [(one.communicate(timeout=120)[0], one.returncode) for one in both]

    assert [status for _, status in ended] == [0, 0], ended
    used = {
        json.loads((run / "runpod_deploy_pull_manifest.json").read_text())["pod_id"]
        for run in bench.runs()
    }
    assert len(used) == 2
    assert [pod["status"] for pod in bench.pods()] == ["EXITED"]
