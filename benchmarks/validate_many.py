"""How long 200 job files take to validate, against merely parsing them with the fastest parser.

The baseline is a process that imports typer, yaml and jsonschema and loads the same files by PyYAML's
`CSafeLoader`: it keeps no places, finds no fault and knows no rule. Each job has a payload, which is
walked and hashed. Exits 1 when the median ratio is not below the target, 2 when a command does not
work.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import paired

FILES = 200
PARSE = """\
import sys, typer, yaml, jsonschema
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        yaml.load(file, yaml.CSafeLoader)
"""
JOB = """\
# One of many: a job file of ordinary size, with most sections in use.
schema_version: 3
name: train-NUMBER
variables:
  seed: NUMBER
  lr: "1e-4"
  epochs: 10
pod:
  image: runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204
  gpu_order:                      # the most wanted first
    - NVIDIA H100 80GB HBM3
    - NVIDIA A100-SXM4-80GB
    - NVIDIA L40S
  datacenters: [EU-RO-1, US-KS-2]
  gpu_count: 2
  min_cuda: "12.8"
  container_disk_gb: 60
  env:
    NCCL_DEBUG: INFO
storage:
  mode: ephemeral
  volume_mount: /workspace
  volume_gb: 100
budget:
  cost_cap_usd: 25
  max_runtime_minutes: 240
remote_env:
  exports:
    UV_LINK_MODE: copy
    HF_HOME: /workspace/hf
setup:
  - command: pip install -q uv
    timeout_sec: 300
staging:
  - label: code
    source: src
    destination: /workspace/app
    excludes: ["*.ckpt"]
secrets:
  - name: hub
    env: [HF_TOKEN]
    destination: /root/.secrets/hub.env
preflight:
  - command: test -f /workspace/app/train.py
run:
  workdir: /workspace/app
  env:
    OMP_NUM_THREADS: "8"
  body: |
    python train.py \\
      --seed {{ seed }} \\
      --lr {{ lr }} \\
      --epochs {{ epochs }} \\
      --out /workspace/out
    for f in "${files[@]}"; do
      printf '{%s}\\n' "$f"
    done
artifacts:
  - label: checkpoints
    remote_path: /workspace/out
  - label: logs
    remote_path: /workspace/logs
    required: false
lifecycle:
  on_success: delete
  on_failure: stop
telemetry:
  sample_interval_sec: 15
"""


def write_project(folder: Path) -> list[str]:
    """Write the job files and the code they stage; return the job files' paths."""
    code = folder / "src"
    code.mkdir()
    for name in ("train.py", "model.py", "data.py"):
        (code / name).write_text(f"# {name}\n" * 200)
    jobs = [folder / f"job-{number:03}.yaml" for number in range(FILES)]
    for number, job in enumerate(jobs):
        job.write_text(JOB.replace("NUMBER", str(number)))
    return [str(job) for job in jobs]


def main(argv: Sequence[str] | None = None, measure: paired.Measure = paired.seconds) -> int:
    """Measure, print, and return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = write_project(Path(folder))
        subject = paired.Subject(
            name=f"validate {FILES} files",
            ours=(sys.executable, "-m", "runpod_deploy", "validate", "--quiet", *jobs),
            baseline=(sys.executable, "-c", PARSE, *jobs),
            labels=(f"runpod-deploy validate, {FILES} files", "the same files by yaml.CSafeLoader"),
            target=3.0,
        )
        return paired.main(subject, __doc__, argv, measure)


if __name__ == "__main__":
    sys.exit(main())
