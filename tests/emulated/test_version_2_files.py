"""Job files of version 2 as people have them, carried out unchanged on the emulator."""

import hashlib
import json
import re
import subprocess

import httpx
import pytest

from runpod_deploy.emulator import client
from support.command import Bench

pytestmark = pytest.mark.emulated

CLOUD = ("--cloud", "emulator")

HELLO = """\
name: hello-pod

pod:
  image: runpod/base:1.0.2
  datacenters: [EU-RO-1]
  gpu_order: [NVIDIA L4]

storage:
  mode: ephemeral
  volume_gb: 20

run:
  script_path: "{volume_mount}/hello.sh"
  log_path: "{volume_mount}/hello.log"
  success_marker: HELLO_DONE
  body: |
    nvidia-smi --query-gpu=name --format=csv,noheader
    echo "running as {job_name} in {volume_mount}" && echo HELLO_DONE
"""

SMOKE = """\
schema_version: 2
name: smoke
run_id_prefix: smoke

variables:
  steps: 3

local:
  project_root: "{config_dir}/.."
  required_paths: [payload/train.py]

pod:
  image: runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04
  datacenters: [US-KS-2, EU-RO-1]
  gpu_order: [NVIDIA L4, NVIDIA GeForce RTX 4090]
  cloud_type: SECURE
  ports: [22/tcp, 8888/http]
  container_disk_gb: 20
  gpu_count: 1
  spot: false
  min_vcpu_count: null

storage: {mode: ephemeral, volume_gb: 20, volume_mount: /workspace}
ssh: {key_path: ~/.ssh/no-such-key}
budget: {cost_cap_usd: 0.50, max_runtime_minutes: 15, poll_interval_sec: 5}

setup:
  - command: mkdir -p {volume_mount}/app ~/cache

staging:
  - label: payload
    source: payload
    destination: "{volume_mount}/app"
    excludes: ["*.ckpt"]
    excludes_default: true

preflight:
  - {command: "test -f {volume_mount}/app/train.py", timeout_sec: 60}

run:
  script_path: "{volume_mount}/run_smoke.sh"
  log_path: "{volume_mount}/smoke.log"
  success_marker: "SMOKE {run_id} DONE"
  failure_markers: []
  body: |
    #!/usr/bin/env bash
    set -euo pipefail
    echo "__RUNPOD_STEP_START__train__"
    python3 {volume_mount}/app/train.py {steps} {volume_mount}/out/metrics.json
    echo "__RUNPOD_STEP_DONE__train__"
    awk '{ print $1 }' {volume_mount}/app/train.py > /dev/null
    echo "SMOKE {run_id} DONE"

artifacts:
  - label: metrics
    remote_path: "{volume_mount}/out"
    local_path: "{run_dir}/out"
  - label: checkpoints
    remote_path: "{volume_mount}/checkpoints"
    local_path: "{run_dir}/checkpoints"
    required: false

lifecycle: {on_success: delete, on_failure: stop}
telemetry: {enabled: true, sample_interval_sec: 5, capture_dmesg: false}
"""

TRAIN = """\
import json, pathlib, sys

steps, out = int(sys.argv[1]), pathlib.Path(sys.argv[2])
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(json.dumps({"steps": steps}))
"""

SHARD = """\
# Canonical sweep shard: one job file, many seeds.
schema_version: 2
name: sweep-{model}
run_id_prefix: sweep-{model}-s{seed}
state_file: ~/.runpod-deploy-sweep
variables: {model: tiny, seed: 0, out: "{volume_mount}/out/{model}/{seed}"}
pod:
  image: runpod/base:1.0.2
  datacenters: [EU-RO-1]
  gpu_order: [NVIDIA L4]
storage: {mode: ephemeral, volume_gb: 10}
budget: {cost_cap_usd: 0.2, max_runtime_minutes: 10}
run:
  script_path: "{volume_mount}/{run_id}.sh"
  log_path: "{volume_mount}/{run_id}.log"
  success_marker: "SEED {seed} OK"
  body: |
    mkdir -p {out}
    printf '%s\\n' "{seed} {model} {lr}" > {out}/result.txt
    echo "SEED {seed} OK"
artifacts:
  - {label: results, remote_path: "{out}/", local_path: "results/{model}/{seed}/"}
lifecycle: {on_success: delete, on_failure: delete}
"""

VOLUME = """\
schema_version: 2
name: reuse
variables: {cache: "{volume_mount}/cache"}
pod:
  image: runpod/base:1.0.2
  datacenters: [US-KS-2, EU-RO-1]
  gpu_order: [NVIDIA GeForce RTX 4090, NVIDIA L4]
storage:
  mode: network_volume
  volume_name: research
remote_env:
  source_files: ["{volume_mount}/env.sh", ~/local env.sh]
  exports:
    HF_HOME: "{cache}/hf"
    GREETING: it's "quoted" $HOME
setup:
  - command: mkdir -p {cache}/hf && echo 'export FROM_FILE=file' > {volume_mount}/env.sh
  - command: echo 'export SECOND=too' > "$HOME/local env.sh"
  - command: test "$HF_HOME" = {cache}/hf && test "$FROM_FILE" = file
    with_env: true
preflight:
  - command: test -z "$HF_HOME"
run:
  script_path: "{volume_mount}/jobs/run.sh"
  log_path: "{volume_mount}/jobs/run.log"
  success_marker: REUSED
  body: |
    echo "$HF_HOME|$GREETING|$FROM_FILE|$SECOND" > {cache}/seen.txt
    echo "visit" >> {cache}/visits.txt
    echo REUSED
artifacts:
  - {label: cache, remote_path: "{cache}", local_path: "{run_dir}/cache"}
lifecycle: {on_success: delete, on_failure: delete}
"""

SECRETS = """\
schema_version: 2
name: with-secrets
pod:
  image: runpod/base:1.0.2
  datacenters: [EU-RO-1]
  gpu_order: [NVIDIA L4]
storage: {mode: ephemeral, volume_gb: 10}
remote_env:
  source_files: ["{volume_mount}/app/.env"]
staging:
  - {label: app, source: "{project_root}/app", destination: "{volume_mount}/app"}
secrets:
  - {name: hub, env: [HUB_TOKEN, ODD], destination: "{volume_mount}/app/.env"}
  - {name: netrc, file: private/netrc.txt, destination: ~/.netrc, mode: "0400"}
run:
  script_path: "{volume_mount}/run.sh"
  log_path: "{volume_mount}/run.log"
  success_marker: SECRETS_OK
  body: |
    set -e
    stat -c %a {volume_mount}/app/.env ~/.netrc > modes.txt
    test "$(printf %s "$HUB_TOKEN" | sha256sum | cut -c1-8)" = HUB_SUM
    test "$(printf %s "$ODD" | sha256sum | cut -c1-8)" = ODD_SUM
    grep -q machine ~/.netrc
    echo "the token is $HUB_TOKEN"
    echo SECRETS_OK
artifacts:
  - {label: modes, remote_path: modes.txt, local_path: "{run_dir}"}
lifecycle: {on_success: delete, on_failure: delete}
"""


def planned(output: str) -> dict[str, object]:
    """Return the plan file that a command printed, warnings before it left out."""
    data: dict[str, object] = json.loads(output[output.index("\n{\n") if output[0] != "{" else 0 :])
    return data


def in_a_repository(bench: Bench) -> None:
    """Make the project a git repository, so that job files may lie in a folder of their own."""
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=bench.project, check=True)


def network_volume(bench: Bench, name: str, datacenter: str) -> None:
    """Create a network volume in the bench's emulator."""
    info = client.find(bench.env)
    assert info is not None, "no emulator runs"
    answer = httpx.post(
        f"{info.url}/v2/network-volumes",
        json={"name": name, "size": 10, "dataCenter": datacenter},
        headers={"Authorization": f"Bearer {info.api_key}"},
    )
    assert answer.is_success, answer.text


def validated_and_planned(bench: Bench, job: str, *flags: str) -> dict[str, object]:
    """Let `validate` and `plan` pass a job file; return the plan."""
    status, output = bench.run("validate", "--config", job, *flags)
    assert (0, f"{job}: ok") == (status, output.splitlines()[-1])
    status, output = bench.run("plan", "--config", job, "--quiet", "-o", "plan.json", *flags)
    assert 0 == status, output
    plan: dict[str, object] = json.loads((bench.project / "plan.json").read_text())["plan"]
    (bench.project / "plan.json").unlink()
    return plan


def test_hello_runs_as_it_is(bench: Bench) -> None:
    """The smallest file, which does not even say its version, is read as version 2 and succeeds."""
    bench.write("job.yaml", HELLO)
    validated_and_planned(bench, "job.yaml")

    status, output = bench.run("apply", "job.yaml", "--yes", *CLOUD)

    assert 0 == status, output
    assert "note[version-missing]" in output
    expected = "NVIDIA L4\nrunning as hello-pod in /workspace\nHELLO_DONE\n"
    assert expected == (bench.last_run() / "run.log").read_text()
    assert bench.pods() == []


def test_smoke_brings_its_results_into_the_run_folder(bench: Bench) -> None:
    """Variables, a root above the file, staging, steps and results do what they did."""
    in_a_repository(bench)
    bench.write("configs/smoke.yaml", SMOKE)
    bench.write("payload/train.py", TRAIN)
    bench.write("payload/old.ckpt", "heavy")
    plan = validated_and_planned(bench, "configs/smoke.yaml", "--var", "steps=7")
    # Whatever the folder the command is called from: relative sources begin at the project root.
    status, output = bench.run(
        *("run", "--config", "smoke.yaml", "--var", "steps=7", "--print-run-dir", *CLOUD),
        cwd=bench.project / "configs",
    )

    assert 0 == status, output
    candidates = [(one["datacenter"], one["gpu"]) for one in plan["candidates"]]
    gpus = ("NVIDIA L4", "NVIDIA GeForce RTX 4090")
    assert [(place, gpu) for place in ("US-KS-2", "EU-RO-1") for gpu in gpus] == candidates
    run = bench.last_run()
    assert {"steps": 7} == json.loads((run / "out" / "metrics.json").read_text())
    steps = [one["name"] for one in bench.events() if one["event"] == "remote_step_completed"]
    assert ["train"] == steps
    rows = {row["label"]: row["status"] for row in bench.manifest()["artifacts"]}
    assert "success" == rows["metrics"]
    assert bench.manifest()["failed"] is False
    sent = [one for one in bench.events() if one["event"] == "staging_completed"]
    assert [1] == [one["files"] for one in sent]


def test_one_file_sweeps_over_its_variables(bench: Bench) -> None:
    """A shard takes undeclared variables from the command line, and no two share a folder."""
    bench.write("shard.yaml", SHARD)
    bench.write("lr.json", '{"lr": "1e-4"}')
    bench.write("results/tiny/1/kept.txt", "from an earlier run")
    status, output = bench.run("validate", "shard.yaml")
    assert 4 == status
    assert re.search(r"shard\.yaml:\d+:\d+", output)
    assert "`{lr}` is a placeholder" in output
    validated_and_planned(bench, "shard.yaml", "--vars-file", "lr.json")

    for seed in ("1", "2"):
        status, output = bench.run(
            *("run", "-c", "shard.yaml", "--var", f"seed={seed}", "--vars-file", "lr.json", *CLOUD)
        )
        assert 0 == status, output

    results = bench.project / "results" / "tiny"
    assert "1 tiny 1e-4\n" == (results / "1" / "result.txt").read_text()
    assert "2 tiny 1e-4\n" == (results / "2" / "result.txt").read_text()
    assert "from an earlier run" == (results / "1" / "kept.txt").read_text()
    assert 2 == len(bench.runs())
    assert bench.pods() == []


def test_a_network_volume_is_found_in_its_own_place(bench: Bench) -> None:
    """The volume's data center is used though another comes first, and what it holds is kept."""
    bench.emulator()
    network_volume(bench, "research", "EU-RO-1")
    bench.write("job.yaml", VOLUME)
    validated_and_planned(bench, "job.yaml")

    for _ in range(2):
        status, output = bench.run("apply", "job.yaml", "--yes", *CLOUD)
        assert 0 == status, output

    seen = (bench.last_run() / "cache" / "seen.txt").read_text()
    assert '/workspace/cache/hf|it\'s "quoted" $HOME|file|too\n' == seen
    assert "visit\nvisit\n" == (bench.last_run() / "cache" / "visits.txt").read_text()
    assert {"EU-RO-1"} == {pod["datacenter"] for pod in bench.history()["pods"]}


def test_secrets_arrive_whole_inside_of_a_staged_folder(bench: Bench) -> None:
    """Values with blanks, quotes and line ends arrive as they are, and no file here shows them."""
    values = {"HUB_TOKEN": "hf_planted_value", "ODD": "a b$(touch /tmp/never)\n'\"x"}
    bench.extra.update(values)
    short = {name: hashlib.sha256(text.encode()).hexdigest()[:8] for name, text in values.items()}
    job = SECRETS.replace("HUB_SUM", short["HUB_TOKEN"]).replace("ODD_SUM", short["ODD"])
    bench.write("job.yaml", job)
    bench.write("app/main.py", "print()\n")
    bench.write("private/netrc.txt", "machine example.org password planted-password\n")
    validated_and_planned(bench, "job.yaml")

    status, output = bench.run("run", "--config", "job.yaml", *CLOUD)

    assert 0 == status, output
    assert "600\n400\n" == (bench.last_run() / "modes.txt").read_text()
    kept = [path.read_bytes() for path in bench.last_run().rglob("*") if path.is_file()]
    kept.append(output.encode())
    for planted in (b"hf_planted_value", b"planted-password", b"touch /tmp/never"):
        assert not [text for text in kept if planted in text]


def test_a_pinned_python_comes_from_uv(bench: Bench) -> None:
    """`pod.python_version` is installed by the uv that setup brought, before preflight."""
    stub = "printf '#!/bin/sh\\necho \"$@\" >> ~/uv-calls\\n' > ~/.local/bin/uv"
    job = HELLO.replace("  gpu_order", '  python_version: "3.8"\n  gpu_order')
    bench.write(
        "job.yaml",
        job
        + f"""
setup:
  - command: mkdir -p ~/.local/bin && {stub} && chmod +x ~/.local/bin/uv
preflight:
  - command: grep -x 'python install 3.8' ~/uv-calls
""",
    )

    status, output = bench.run("apply", "job.yaml", "--yes", *CLOUD)

    assert 0 == status, output


@pytest.mark.parametrize(
    ("text", "files"),
    [(HELLO, ()), (SMOKE, ("payload/train.py", "payload/old.ckpt")), (VOLUME, ())],
    ids=["hello", "smoke", "network-volume"],
)
def test_a_migrated_file_gives_the_same_plan(
    bench: Bench, text: str, files: tuple[str, ...]
) -> None:
    """Version 2 and what `migrate` makes of it have one plan hash, on the command line too."""
    in_a_repository(bench)
    bench.write("configs/job.yaml", text)
    for name in files:
        bench.write(name, TRAIN)
    plan = ("plan", "configs/job.yaml", "--format", "json")
    before = planned(bench.run(*plan, "--quiet")[1])

    status, difference = bench.run("migrate", "configs/job.yaml", "--diff", "--quiet")
    assert 0 == status, difference
    assert "+schema_version: 3" in difference
    bench.run("migrate", "configs/job.yaml", "-o", "configs/job.yaml")
    after = planned(bench.run(*plan, "--quiet")[1])

    assert before["plan_hash"] == after["plan_hash"]
