"""Small job documents for tests, and strategies that bend them out of shape."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from runpod_deploy.schema.validate import job_schema

SMALLEST: dict[str, Any] = {
    "schema_version": 3,
    "name": "demo",
    "pod": {"gpu_order": ["NVIDIA L4"], "image": "runpod/base:1.0.2"},
    "run": {"body": "python train.py\n"},
}
FULL: dict[str, Any] = {
    **SMALLEST,
    "run_id_prefix": "d",
    "variables": {"seed": 1, "lr": "1e-4", "fast": True},
    "local": {"project_root": "..", "required_paths": ["data"]},
    "pod": {
        **SMALLEST["pod"],
        "datacenters": ["EU-RO-1"],
        "cloud_type": "ANY",
        "gpu_count": 2,
        "min_cuda": "12.8",
        "max_price_per_hour_usd": 2.5,
        "ports": ["22/tcp", "8888/http"],
        "env": {"A": "1"},
        "admission": {"min_driver": "550.54"},
    },
    "storage": {"mode": "network_volume", "volume_name": "data"},
    "capacity": {"wait_minutes": 5, "attempts": 2},
    "ssh": {"key_path": "~/.ssh/id_ed25519"},
    "budget": {"cost_cap_usd": 25, "soft_cap_fraction": 0.8},
    "remote_env": {"source_files": ["/etc/env"], "exports": {"B": "2"}},
    "setup": [{"command": "pip install uv", "timeout_sec": 60}],
    "preflight": [{"command": "true"}],
    "staging": [{"label": "code", "source": "src", "destination": "/app", "excludes": ["*.x"]}],
    "secrets": [
        {"name": "hub", "destination": "/root/hub", "env": ["HF_TOKEN"], "mode": "0400"},
        {"name": "store", "destination": "/root/store", "command": "pass show store"},
        {"name": "kept", "destination": "/root/kept", "runpod": "kept_token"},
    ],
    "run": {"script": "train.sh", "template": True, "env": {"C": "3"}},
    "artifacts": [{"label": "out", "remote_path": "/app/out", "required": False}],
    "lifecycle": {"on_success": "delete", "on_failure": None},
    "lease": {"silence_minutes": 5},
    "telemetry": {"sample_interval_sec": 10},
}

SMALLEST_2: dict[str, Any] = {
    "name": "demo",
    "pod": {"gpu_order": ["NVIDIA L4"], "image": "runpod/base:1.0.2", "datacenters": ["EU-RO-1"]},
    "storage": {"mode": "ephemeral", "volume_gb": 20},
    "run": {
        "script_path": "/workspace/run.sh",
        "log_path": "/workspace/run.log",
        "success_marker": "OK",
        "body": "echo OK\n",
    },
}
"""The smallest job of version 2."""
FULL_2: dict[str, Any] = {
    **SMALLEST_2,
    "schema_version": 2,
    "run_id_prefix": "d",
    "state_file": "~/.state",
    "variables": {"seed": 1, "gpu_id": "x", "out": "{volume_mount}/{seed}", "my-own": "z"},
    "local": {"project_root": "{config_dir}/..", "required_paths": ["{project_root}/data"]},
    "pod": {
        **SMALLEST_2["pod"],
        "gpu_order": ["NVIDIA L4", "NVIDIA A40"],
        "datacenters": ["EU-RO-1", "US-KS-2", "EU-RO-1"],
        "cloud_type": "COMMUNITY",
        "ports": ["8888/http"],
        "spot": False,
        "min_vcpu_count": None,
        "python_version": "3.11",
    },
    "storage": {"mode": "network_volume", "volume_name": "data", "volume_gb": 5},
    "ssh": {"key_path": "~/.ssh/id_ed25519"},
    "budget": {"cost_cap_usd": 25, "assumed_hourly_rate_usd": 2},
    "remote_env": {"source_files": ["~/env"], "exports": {"B": "{out}", "C": 2}},
    "setup": [{"command": "a | b"}, {"command": "pip install uv", "with_env": True}],
    "preflight": [{"command": "true"}],
    "staging": [
        {"label": "a", "source": "src", "destination": "{volume_mount}/app"},
        {"label": "a", "source": "data", "destination": "/workspace/app/data", "delete": True},
    ],
    "secrets": [{"name": "hub", "destination": "~/hub", "env": ["HF_TOKEN"]}],
    "artifacts": [
        {"label": "out", "remote_path": "{out}", "local_path": "out/{seed}/", "delete": True},
        {"label": "log", "remote_path": "m.json", "local_path": "{run_dir}", "required": False},
    ],
    "lifecycle": {"on_success": "stop"},
    "telemetry": {"sample_interval_sec": 10},
}

_SECTIONS = job_schema()["properties"]
_NAMES = [*_SECTIONS, *_SECTIONS["pod"]["properties"], *_SECTIONS["storage"]["properties"]]
_WORDS = (
    st.sampled_from(_NAMES)
    | st.sampled_from(["any", "recycle", "0600", "12.8", "22/tcp", "{{ x }}", "stop", "upload"])
    | st.text(max_size=8)
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _WORDS
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def bent_documents(
    draw: st.DrawFn, documents: tuple[dict[str, Any], ...] = (SMALLEST, FULL)
) -> Any:
    """Return one of `documents` with a few values replaced, added or removed anywhere."""
    document = deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(0, 3))):
        _bend(draw, document)
    return document


def _bend(draw: st.DrawFn, document: dict[str, Any]) -> None:
    holder: Any = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key: Any = draw(st.sampled_from([*keys, "new"] if isinstance(holder, dict) else keys))
        below = holder[key] if key in keys else None
        if not isinstance(below, (dict, list)) or not below or draw(st.booleans()):
            break
        holder = below
    if key in keys and draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = draw(DOCUMENTS)
