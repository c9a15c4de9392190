"""Run folders as several versions left them, for the tests that read them."""

import json
from pathlib import Path
from typing import Any

RUNS = Path("artifacts/runpod")

MANIFEST_1: dict[str, Any] = {
    "schema_version": "v1",
    "pulled_at_utc": "2025-11-02T09:00:00Z",
    "failed": False,
    "job_name": "old",
    "run_id": "old-20251102T085000Z",
    "pod_id": "abc123",
    "gpu_id": "NVIDIA A40",
    "datacenter_id": "EU-SE-1",
    "artifacts": [
        {"label": "out", "remote_path": "/o", "local_path": "/x", "status": "success"},
    ],
}
"""What the predecessor's first format is read as: the second without its later fields."""

MANIFEST_2: dict[str, Any] = {
    **MANIFEST_1,
    "schema_version": "v2",
    "failed": True,
    "job_name": "older",
    "run_id": "older-20260514T120000Z",
    "storage_mode": "ephemeral",
    "gpu_price_per_hour_usd": 0.4,
    "gpu_price_source": "pod_describe",
    "pod_final_state": "EXITED",
    "wall_time_sec": 5400.0,
    "estimated_cost_usd": 0.6,
    "cost_cap_usd": 10.0,
    "deploy_metadata": {
        "local_git_sha": "ab" * 20,
        "local_git_dirty": True,
        "local_git_branch": "main",
        "payload_lockfile": "uv.lock",
        "payload_lockfile_sha256": "cd" * 32,
    },
    "artifacts": [
        {
            "label": "out",
            "remote_path": "/o",
            "local_path": "/x",
            "required": False,
            "status": "failed",
            "bytes_transferred": None,
            "duration_sec": 1.5,
            "error": "rsync exit 23",
        }
    ],
    "telemetry_files": ["events.jsonl", "metrics.jsonl"],
}

OURS: dict[str, Any] = {
    **MANIFEST_2,
    "manifest_format": 3,
    "failed": False,
    "state": "SUCCEEDED",
    "cause": None,
    "exit_code": 0,
    "job_name": "new",
    "run_id": "new-20260601T000000Z",
    "started_at_utc": "2026-06-01T00:00:00.000000Z",
    "ended_at_utc": "2026-06-01T00:10:00.500000Z",
    "plan_hash": "sha256:" + "0f" * 32,
    "tool_version": "0.1.0",
    "cloud": "runpod",
    "gpu_count": 2,
    "variables": {"seed": "7"},
    "gpu_price_source": "pod_cost",
    "wall_time_sec": 600.5,
    "cost": {"estimated_usd": None, "accrued_usd": 0.07, "billed_usd": None},
    "leaked_pod_ids": [],
    "log": {"path": "run.log", "bytes": 5, "sha256": "ee" * 32},
    "artifacts": [
        {
            "label": "model",
            "required": True,
            "status": "success",
            "files": 2,
            "bytes_transferred": 4096,
            "sha256": "aa" * 32,
            "entries": [
                {"path": "w.bin", "size": 4000, "sha256": "bb" * 32},
                {"path": "é/c.json", "size": 96, "sha256": "cc" * 32},
            ],
        }
    ],
}


def make_run(
    root: Path,
    name: str,
    manifest: dict[str, Any] | None = None,
    events: list[dict[str, Any]] | None = None,
) -> Path:
    """Write a run folder into a project and return it."""
    folder = root / RUNS / name
    folder.mkdir(parents=True)
    if manifest is not None:
        (folder / "runpod_deploy_pull_manifest.json").write_text(json.dumps(manifest))
    if events is not None:
        text = "".join(json.dumps(one) + "\n" for one in events)
        (folder / "events.jsonl").write_text(text)
    return folder


def line(event: str, at: str = "2026-06-01T00:00:00.000000Z", /, **fields: Any) -> dict[str, Any]:
    """Return an event as a line."""
    return {"v": 1, "seq": 1, "ts_utc": at, "event": event, **fields}
