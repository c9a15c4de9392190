"""A job that sets something in every section, and its plan with files: for the tests of identity."""

import json
from functools import cache
from typing import Any

from compiler_cases import a_file, from_text, plan_file_of
from runpod_deploy.compiler.payload import sorted_by_bytes
from runpod_deploy.compiler.plan import PayloadEntry, PlanFile

FULL_JOB: dict[str, Any] = {
    "schema_version": 3,
    "name": "full",
    "run_id_prefix": "f",
    "variables": {"seed": "7", "lr": "1e-4"},
    "local": {"required_paths": ["data/train.csv"]},
    "pod": {
        "image": "runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204",
        "template_id": "tmpl1234",
        "registry_auth": "cred1234",
        "gpu_order": ["NVIDIA L4", "NVIDIA A40"],
        "datacenters": ["EU-RO-1", "EU-SE-1"],
        "cloud_type": "ANY",
        "prefer": "price",
        "gpu_count": 2,
        "min_cuda": "12.8",
        "max_price_per_hour_usd": 2.5,
        "container_disk_gb": 30,
        "ports": ["22/tcp", "8888/http"],
        "env": {"MODE": "fast", "A": "1"},
        "start_command": "bash -c '/start.sh'",
        "python_version": "3.12",
        "admission": {
            "gpu_name": "L4",
            "min_gpu_memory_gb": 20,
            "min_driver": "550.54",
            "min_cuda": "12.8",
            "min_disk_gb": 10,
        },
    },
    "storage": {"mode": "ephemeral", "volume_gb": 40},
    "capacity": {"wait_minutes": 5, "attempts": 2},
    "ssh": {"key_path": "~/.ssh/id_ed25519"},
    "budget": {
        "cost_cap_usd": 25,
        "soft_cap_fraction": 0.8,
        "max_runtime_minutes": 90,
        "assumed_hourly_rate_usd": 1.5,
    },
    "remote_env": {"source_files": ["/etc/env"], "exports": {"B": "2", "A": "$B"}},
    "setup": [{"command": "pip install uv", "timeout_sec": 60}],
    "preflight": [{"command": "true", "timeout_sec": 5}],
    "staging": [
        {"label": "code", "source": "src", "destination": "/workspace/app", "excludes": ["*.x"]}
    ],
    "secrets": [
        {"name": "hub", "destination": "/root/hub", "env": ["HF_TOKEN"], "mode": "0400"},
        {"name": "netrc", "destination": "/root/.netrc", "file": "secret.txt"},
    ],
    "run": {
        "body": "python train.py --seed {{ seed }} --lr {{ lr }}\n",
        "workdir": "/workspace/app",
        "log_path": "/workspace/run.log",
        "env": {"C": "3", "A": "$C"},
        "success_marker": "DONE",
        "failure_markers": ["Traceback"],
        "fail_on_markers": True,
    },
    "artifacts": [
        {"label": "out", "remote_path": "/workspace/out", "required": False, "excludes": ["*.tmp"]}
    ],
    "lifecycle": {"on_success": "delete", "on_failure": "stop", "keep_hours": 12},
    "lease": {"silence_minutes": 5, "required": True},
    "telemetry": {"sample_interval_sec": 10},
}

FULL_PAYLOAD: dict[str, tuple[PayloadEntry, ...]] = {
    "code": sorted_by_bytes(
        [
            a_file("a.py"),
            a_file("é b.py", exec=True),
            a_file("link", type="link", target="a.py", size=4),
        ]
    )
}


@cache
def full_plan_file() -> PlanFile:
    """Return the plan file of `FULL_JOB`."""
    return plan_file_of(from_text(json.dumps(FULL_JOB)), payload=FULL_PAYLOAD)
