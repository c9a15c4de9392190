"""Defects of the predecessor that only a whole run can show to be gone; named after its list."""

import json

import pytest

from support.command import Bench

pytestmark = pytest.mark.emulated

CLOUD = ("--cloud", "emulator")
SHARD = """\
schema_version: 2
name: shard-{seed}
state_file: ~/.runpod-deploy-shared
variables: {seed: 1, word: planted-variable}
pod: {image: "runpod/base:1.0.2", datacenters: [EU-RO-1], gpu_order: [NVIDIA L4]}
storage: {mode: ephemeral, volume_gb: 10}
remote_env:
  exports:
    EXPORTED: planted-export-value
run:
  script_path: /workspace/run.sh
  log_path: /workspace/run.log
  success_marker: OK
  body: |
    # planted-body-comment
    mkdir -p out/a out/b && echo one > out/a/x && echo four > out/b/x
    test -n "$EXPORTED" && echo OK
artifacts:
  - {label: twin, remote_path: out/a, local_path: "{run_dir}/a"}
  - {label: twin, remote_path: out/b, local_path: "{run_dir}/b"}
lifecycle: {on_failure: delete}
"""


def test_defect_3_a_run_folder_that_cannot_be_made_costs_no_pod(bench: Bench) -> None:
    """Where `artifacts` is a file the run ends with a reason before anything is rented."""
    bench.job()
    bench.write("artifacts", "in the way")
    bench.emulator()

    status, output = bench.run("run", "job.yaml", *CLOUD)

    assert status not in {0, 70}
    assert "artifacts" in output
    assert "Traceback" not in output
    assert [] == bench.history()["pods"]


def test_defect_20_exports_and_body_are_not_printed(bench: Bench) -> None:
    """Neither is on the screen of a run, however much is asked to be said."""
    bench.write("job.yaml", SHARD)

    status, output = bench.run("run", "--verbose", "-c", "job.yaml", *CLOUD)

    assert 0 == status, output
    assert "planted-export-value" not in output
    assert "planted-body-comment" not in output


def test_defect_25_no_state_is_shared_between_runs(bench: Bench) -> None:
    """Two runs at once of files with one `state_file` each keep their own pod, and write none."""
    bench.write("job.yaml", SHARD)
    bench.emulator()
    flags = ("run", "-c", "job.yaml", "--json", *CLOUD)
    processes = [bench.start(*flags, "--var", f"seed={seed}") for seed in (1, 2)]

    outputs = [process.communicate(timeout=120)[0] for process in processes]

    assert [0, 0] == [process.returncode for process in processes], outputs
    manifests = [
        json.loads((run / "runpod_deploy_pull_manifest.json").read_text()) for run in bench.runs()
    ]
    assert {"shard-1", "shard-2"} == {one["job_name"] for one in manifests}
    assert 2 == len({one["pod_id"] for one in manifests})
    assert {"TERMINATED"} == {one["pod_final_state"] for one in manifests}
    assert [] == bench.pods()
    assert not (bench.root / "home" / ".runpod-deploy-shared").exists()


def test_defect_29_the_manifest_says_what_ran(bench: Bench) -> None:
    """Rendered name, variables, hash of the plan, bytes, and both of two results of one label."""
    bench.write("job.yaml", SHARD)

    status, output = bench.run("run", "-c", "job.yaml", "--var", "seed=7", *CLOUD)
    manifest = bench.manifest()

    assert 0 == status, output
    assert "shard-7" == manifest["job_name"]
    assert manifest["plan_hash"].startswith("sha256:")
    plan = json.loads((bench.last_run() / "plan.json").read_text())["plan"]
    assert {"seed": "7", "word": "planted-variable"} == plan["job"]["variables"]
    rows = {row["label"]: row["bytes_transferred"] for row in manifest["artifacts"]}
    assert {"twin": 4, "twin-2": 5} == rows
    assert not list(bench.last_run().glob("*.tmp"))
