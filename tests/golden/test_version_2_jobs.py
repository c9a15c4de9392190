"""Job files of version 2 as people write them for their own projects: each is planned as it is.

Beside the cases with expected files, these are about breadth: each section and habit of the format in
a job that somebody could have. What must come out is a plan, and the same plan from the migrated file.
"""

from pathlib import Path

import pytest

from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.compiler.compile import compile_resolution
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.facts.gather import gather
from runpod_deploy.schema.load import load
from runpod_deploy.schema.plain import to_plain
from runpod_deploy.schema.v2.migrate import migrate

FILES = (
    "train/main.py",
    "train/config/base.yaml",
    "evals/run.py",
    "evals/data/a.jsonl",
    "pyproject.toml",
)

TRAIN = """\
# Fine-tuning on one card, checkpoints on the pod's own disk.
schema_version: 2
name: finetune-{model}
run_id_prefix: ft-{model}
variables: {model: small, lr: 2e-5, epochs: 3, out: "{volume_mount}/out/{model}"}
local:
  project_root: "{config_dir}/.."
  required_paths: [train/main.py, "{project_root}/train/config/base.yaml"]
pod:
  image: runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04
  datacenters: [EU-RO-1, EU-SE-1, US-KS-2]
  gpu_order: [NVIDIA GeForce RTX 4090, NVIDIA RTX A6000, NVIDIA L40S]
  container_disk_gb: 40
  python_version: "3.11"
storage: {mode: ephemeral, volume_gb: 80, volume_mount: /workspace}
budget: {cost_cap_usd: 12.5, assumed_hourly_rate_usd: 0.9, max_runtime_minutes: 360}
setup:
  - command: apt-get update -qq && apt-get install -y -qq rsync tmux
    timeout_sec: 900
  - command: pip install -q uv
preflight:
  - {command: nvidia-smi, timeout_sec: 60}
  - {command: cd /workspace/app && uv sync --frozen, timeout_sec: 1800, with_env: true}
remote_env:
  exports: {UV_LINK_MODE: copy, HF_HOME: "{volume_mount}/hf", TOKENIZERS_PARALLELISM: "false"}
staging:
  - label: code
    source: train
    destination: "{volume_mount}/app/train"
    excludes_default: true
    excludes_extra: ["*.ckpt", wandb/]
  - {label: project, source: pyproject.toml, destination: "{volume_mount}/app/pyproject.toml"}
run:
  script_path: "{volume_mount}/run_train.sh"
  log_path: "{volume_mount}/train.log"
  success_marker: TRAIN_COMPLETE
  body: |
    set -euo pipefail
    cd {volume_mount}/app
    echo "__RUNPOD_STEP_START__train__"
    uv run python train/main.py --lr {lr} --epochs {epochs} --out {out}
    echo "__RUNPOD_STEP_DONE__train__"
    echo TRAIN_COMPLETE
artifacts:
  - {label: model, remote_path: "{out}/final", local_path: "{run_dir}/model", excludes: ["optimizer*"]}
  - {label: logs, remote_path: "{out}/tb", local_path: "{run_dir}/tb", required: false}
lifecycle: {on_success: delete, on_failure: stop}
telemetry: {sample_interval_sec: 15}
"""

EVAL = """\
name: eval-nightly
local: {project_root: ..}
pod:
  image: runpod/base:1.0.2
  datacenters: [US-KS-2]
  gpu_order: [NVIDIA L4]
  ports: [22/tcp]
storage:
  mode: ephemeral
  volume_gb: 30
remote_env:
  source_files: ["{volume_mount}/app/.env", ~/.profile]
staging:
  - label: evals
    source: "{project_root}/evals"
    destination: "{volume_mount}/app/evals"
    delete: false
secrets:
  - name: judge
    env: [OPENAI_API_KEY, HF_TOKEN]
    destination: "{volume_mount}/app/.env"
run:
  script_path: /workspace/eval.sh
  log_path: /workspace/eval.log
  success_marker: ALL EVALS DONE
  failure_markers: [Traceback, "CUDA out of memory", RateLimitError]
  body: |
    cd /workspace/app
    for suite in a b c; do
      python evals/run.py --suite "$suite" 2>&1 | tee -a /workspace/eval_detail.log
    done
    echo "ALL EVALS DONE"
artifacts:
  - label: scores
    remote_path: /workspace/app/scores
    local_path: scores
"""

PREDICTIONS = """\
schema_version: 2
name: predict
pod: {image: "runpod/base:1.0.2", datacenters: [EU-RO-1], gpu_order: [NVIDIA RTX A5000]}
storage: {mode: ephemeral, volume_gb: 15}
budget: {cost_cap_usd: 2}
staging: [{label: evals, source: evals, destination: /workspace/evals, excludes_default: true}]
local: {project_root: ..}
run:
  script_path: /workspace/predict.sh
  log_path: /workspace/predict.log
  success_marker: PREDICTIONS SAVED
  body: |
    python /workspace/evals/run.py --predict-only --out /workspace/out/predictions.jsonl
    test -s /workspace/out/predictions.jsonl && echo "PREDICTIONS SAVED"
artifacts:
  - label: predictions
    remote_path: /workspace/out/predictions.jsonl
    local_path: "{run_dir}/"
    required: true
  - {label: metrics, remote_path: /workspace/out/metrics.json, local_path: "{run_dir}/", required: false}
lifecycle: {on_success: delete, on_failure: preserve}
"""

VOLUME = """\
schema_version: 2
name: pretrain
variables: {data: "{volume_mount}/datasets/fineweb"}
pod:
  image: runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04
  datacenters: [EU-RO-1, US-KS-2]
  gpu_order: [NVIDIA H100 80GB HBM3, NVIDIA A100-SXM4-80GB]
  cloud_type: SECURE
storage: {mode: network_volume, volume_name: research-data, volume_mount: /runpod-volume}
budget: {cost_cap_usd: 60, ssh_ready_timeout_sec: 1800}
remote_env:
  exports: {UV_CACHE_DIR: /root/uv_cache, UV_LINK_MODE: copy, HF_HOME: "{volume_mount}/hf"}
setup: [{command: "test -d {data} || (mkdir -p {data} && touch {data}/.fresh)"}]
run:
  script_path: "{volume_mount}/jobs/{run_id}.sh"
  log_path: "{volume_mount}/jobs/{run_id}.log"
  success_marker: "{job_name} OK"
  body: |
    #!/usr/bin/env bash
    set -euo pipefail
    ls {data}
    echo "{job_name} OK"
artifacts:
  - {label: report, remote_path: "{volume_mount}/reports/{run_id}", local_path: "{run_dir}/report"}
lifecycle: {on_success: delete, on_failure: delete}
"""

MULTI_GPU = """\
schema_version: 2
name: ddp
pod:
  image: runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04
  datacenters: [US-KS-2, US-CA-2, EU-SE-1, EUR-IS-1]
  gpu_order: ["NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB"]
  gpu_count: 4
  container_disk_gb: 100
  ports: [22/tcp, 6006/http]
storage: {mode: ephemeral, volume_gb: 200}
budget: {cost_cap_usd: 40, max_runtime_minutes: 240, poll_interval_sec: 20}
preflight: [{command: "test $(nvidia-smi -L | wc -l) -eq 4"}]
run:
  script_path: /workspace/ddp.sh
  log_path: /workspace/ddp.log
  success_marker: DDP DONE
  failure_markers: [NCCL, "CUDA out of memory"]
  body: |
    export NCCL_P2P_DISABLE=0
    torchrun --nproc_per_node 4 --rdzv-backend c10d /workspace/app/main.py
    echo DDP DONE
staging: [{label: app, source: train, destination: /workspace/app}]
local: {project_root: ..}
artifacts: [{label: ckpt, remote_path: /workspace/ckpt, local_path: "{run_dir}/ckpt"}]
"""

RECYCLE = """\
schema_version: 2
name: dev-loop
state_file: ~/.runpod-deploy-dev-loop
pod:
  image: runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04
  datacenters: [EU-RO-1]
  gpu_order: [NVIDIA L4, NVIDIA RTX A4500]
storage: {mode: ephemeral, volume_gb: 50}
budget: {cost_cap_usd: 1.0, max_runtime_minutes: 30}
local: {project_root: "{config_dir}/.."}
setup: [{command: "pip install -q uv"}]
staging: [{label: repo, source: ".", destination: /workspace/app, excludes_default: true}]
run:
  script_path: /workspace/run.sh
  log_path: /workspace/run.log
  success_marker: OK
  body: cd /workspace/app && uv run python train/main.py --fast-dev-run && echo OK
lifecycle: {on_success: recycle, on_failure: stop}
"""

DATACENTERS = """\
schema_version: 2
name: anywhere
pod:
  image: runpod/base:1.0.2
  datacenters: [EU-RO-1, EU-SE-1, EU-CZ-1, EUR-IS-1, EUR-IS-2, EUR-NO-1, US-CA-2, US-KS-2, US-TX-3, US-TX-3]
  gpu_order: [NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090]
  cloud_type: COMMUNITY
  ports: [8888/http]
  spot: false
  min_memory_gb: null
storage: {mode: ephemeral, volume_gb: 5, volume_mount: /data/}
run:
  script_path: "{volume_mount}hello.sh"
  log_path: hello.log
  success_marker: hi
  body: |
    echo "on {volume_mount}: $(awk '{ print $1 }' /proc/loadavg)"
    echo hi
"""

EXPORTS = """\
schema_version: 2
name: with-env
variables: {project: demo, "wandb-project": main}
pod: {image: "runpod/base:1.0.2", datacenters: [EU-RO-1], gpu_order: [NVIDIA L4]}
storage: {mode: ephemeral, volume_gb: 20}
remote_env:
  source_files: [env.sh]
  exports:
    WANDB_PROJECT: "{project}-{wandb_mode}"
    N_WORKERS: 8
    DEBUG: no
    PATH_EXTRA: "$HOME/.local/bin:/opt/tools"
    MESSAGE: it's "fine" here
setup: [{command: "printf 'export A=1\\n' > ~/env.sh"}]
preflight: [{command: 'test "$A" = 1', with_env: true}]
run:
  script_path: run.sh
  log_path: /workspace/logs/run.log
  success_marker: ENV OK
  body: |
    test "$N_WORKERS" = 8
    python - <<'PY'
    import os
    print(sorted(os.environ))
    PY
    echo ENV OK
"""

ARTIFACTS = """\
schema_version: 2
name: mirror
variables: {tag: v1}
local: {project_root: ..}
pod: {image: "runpod/base:1.0.2", datacenters: [EU-RO-1], gpu_order: [NVIDIA L4]}
storage: {mode: ephemeral, volume_gb: 20}
run:
  script_path: /workspace/r.sh
  log_path: /workspace/r.log
  success_marker: DONE
  failure_markers: []
  body: "echo DONE"
artifacts:
  - {label: results, remote_path: "/workspace/results/{tag}/", local_path: "results/{tag}", delete: true}
  - label: results
    remote_path: /workspace/extra
    local_path: "{project_root}/extra"
    delete: false
    excludes: ["*.tmp"]
  - {label: summary, remote_path: summary.json, local_path: "{run_dir}", required: false}
  - {label: cache, remote_path: /root/cache, local_path: "{run_dir}/cache", required: false}
lifecycle: {on_success: stop}
"""

KEY_AND_SECRETS = """\
schema_version: 2
name: private
local: {project_root: ..}
ssh: {key_path: ~/.ssh/work_key}
pod: {image: "ghcr.io/acme/trainer:2026-03-01", datacenters: [US-KS-2], gpu_order: [NVIDIA L40S]}
storage: {mode: ephemeral, volume_gb: 25}
secrets:
  - {name: netrc, file: private/netrc, destination: ~/.netrc, mode: "0400"}
  - {name: hub, env: [HF_TOKEN], destination: "{volume_mount}/app/.env"}
staging:
  - {label: app, source: "{project_root}/train", destination: "{volume_mount}/app", delete: true}
  - {label: evals, source: evals, destination: "{volume_mount}/app/evals", excludes: ["data/", "*.pyc"]}
run:
  script_path: "{volume_mount}/app/run.sh"
  log_path: "{volume_mount}/app/run.log"
  success_marker: PRIVATE DONE
  body: |
    . {volume_mount}/app/.env
    python main.py && echo PRIVATE DONE
telemetry: {enabled: false, capture_dmesg: false}
"""

JOBS = {
    "train": TRAIN,
    "eval": EVAL,
    "predictions": PREDICTIONS,
    "volume": VOLUME,
    "multi-gpu": MULTI_GPU,
    "recycle": RECYCLE,
    "datacenters": DATACENTERS,
    "exports": EXPORTS,
    "artifacts": ARTIFACTS,
    "key-and-secrets": KEY_AND_SECRETS,
}
VARIABLES = {"exports": {"wandb_mode": "online"}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of the job files, in a repository with code beside it."""
    (tmp_path / ".git").mkdir()
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / "configs").mkdir()
    return tmp_path / "configs"


def planned(job_file: Path, variables: dict[str, str]) -> Plan:
    """Return the plan of a job file; an error in it fails the test with all that is said."""
    config = load(job_file, display=job_file.name, variables=variables)
    return compile_resolution(resolve(config), gather(config, job_file=job_file))[0]


@pytest.mark.parametrize("name", JOBS)
def test_it_is_planned_as_it_is_and_migrated(project: Path, name: str) -> None:
    """The file gives a plan without an error, and so does what `migrate` makes of it: the same one."""
    variables = VARIABLES.get(name, {})
    job_file = project / "job.yaml"
    job_file.write_text(JOBS[name])
    before = planned(job_file, variables)
    job_file.write_bytes(migrate(job_file.read_bytes(), display="job.yaml").content)

    if name == "recycle":
        # The job file is among what it stages, so the digest of the files is another one.
        assert before.lifecycle == planned(job_file, variables).lifecycle
        assert before.lifecycle.state_file == ".runpod-deploy/dev-loop.json"
    elif not variables:
        # What the command line sets and no file declares, version 3 must be told of.
        assert sha256(to_plain(before)) == sha256(to_plain(planned(job_file, variables)))
