"""The manifest `runpod_deploy_pull_manifest.json`: what a run was, did and brought back.

Every field of the predecessor's v2 manifest keeps its name and meaning; ours stand beside them
under `manifest_format: 3`. Times are UTC, money USD, sizes bytes, durations seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.late_bound import fill
from runpod_deploy.compiler.plan import GitFacts, LockfileFacts, Plan, PlanArtifact, PlanFile
from runpod_deploy.record import tolerant
from runpod_deploy.record.failure import Failure, failure_json
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.nodes import NODES, NodeRecord
from runpod_deploy.record.reading import read_whole
from runpod_deploy.record.records import StepRecord
from runpod_deploy.record.run import ArtifactRecord, PodRecord, Run, RunState, UploadRecord
from runpod_deploy.record.tolerant import elapsed
from runpod_deploy.schema.plain import to_plain

MANIFEST_NAME = "runpod_deploy_pull_manifest.json"
MANIFEST_FORMAT = 3
_VERBATIM = frozenset(
    [
        "schema_version",
        "state",
        "status",
        "storage_mode",
        "gpu_price_source",
        "pod_final_state",
        "cloud",
        "cloud_type",
        "run_id",
        "plan_id",
        "plan_hash",
        "plan_format",
        "tool_version",
        "owner",
        "pod_id",
        "leaked_pod_ids",
        "gpu_id",
        "datacenter_id",
        "label",
        "name",
        "host_key_fingerprint",
        "sha",
        "local_git_sha",
        "sha256",
        "patch_sha256",
        "filled_sha256",
        "payload_lockfile_sha256",
        "pulled_at_utc",
        "started_at_utc",
        "ended_at_utc",
        "created_at",
        "ended_at",
    ]
)


class Manifest(Mapping[str, Any]):
    """A manifest of any version: a mapping over the file, with names for what matters most."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"Manifest(job_name={self.get('job_name')!r}, state={self.get('state')!r})"

    @property
    def succeeded(self) -> bool:
        """Whether the run succeeded: a file that does not say so did not, nor one that contradicts itself.

        Files of the predecessor have neither a state, an exit code, nor pods that leaked.
        """
        return (
            self.get("failed") is False
            and self.get("state", "SUCCEEDED") == "SUCCEEDED"
            and self.get("exit_code") in (None, 0)
            and not self.get("leaked_pod_ids")
        )

    @property
    def plan_hash(self) -> str | None:
        """`sha256:…` of the plan that was applied; None in files of the predecessor."""
        return tolerant.text(self, "plan_hash")

    @property
    def exit_code(self) -> int | None:
        """Exit code of the job itself; None when it never ended or is not known."""
        return tolerant.integer(self, "exit_code")


def load_manifest(path: Path) -> Manifest | None:
    """Read a manifest file or that of a run folder; None when there is none that can be read."""
    try:
        file = path / MANIFEST_NAME if path.is_dir() else path
        data = json.loads(read_whole(file))
    except (OSError, ValueError, RecursionError):
        return None
    return Manifest(data) if isinstance(data, dict) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestContext:
    """What a manifest tells beside plan and events.

    Attributes:
        late_bound: Values of the late-bound tokens, to fill paths and digests.
        git: The repository at apply; its patch is saved as `patch_file` when dirty.
        filled_scripts: Script name to the sha256 of its text with tokens filled.
        accrued_usd: Cost of every pod of the run, disks included, from create to confirmed end.
        log_sha256: Of `run.log` as it lies in the folder.
        artifact_files: Label to the pulled files `{path, size, sha256}`.
        telemetry_files: Names of the files of the run folder.
        failure: Why the run failed; None for a success.
        nodes: The nodes of a cluster but the first, whose job and artifacts are the run's own.
    """

    written_at: str
    tool_version: str
    cloud: str
    late_bound: Mapping[str, str]
    git: GitFacts | None
    lockfile: LockfileFacts | None
    patch_file: str | None = None
    filled_scripts: Mapping[str, str] = field(default_factory=dict)
    accrued_usd: float = 0.0
    estimated_usd: float | None = None
    log_bytes: int | None = None
    log_sha256: str | None = None
    artifact_files: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    refused_files: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    telemetry_files: tuple[str, ...] = ()
    failure: Failure | None = None
    nodes: tuple[NodeRecord, ...] = ()


def build_manifest(plan_file: PlanFile, run: Run, context: ManifestContext) -> dict[str, Any]:
    """Return the manifest of `run` as plain data; pure."""
    plan = plan_file.plan
    pod = run.pod
    return {
        **_v2_fields(plan, run, pod, context),
        "manifest_format": MANIFEST_FORMAT,
        "state": run.state.value,
        "cause": run.cause,
        "failure": failure_json(context.failure),
        "exit_code": run.job_end.exit_code if run.job_end else None,
        "started_at_utc": run.started_at,
        "ended_at_utc": run.ended_at,
        "plan_hash": plan_file.plan_hash,
        "plan_id": plan_file.plan_id,
        "plan_format": plan_file.format,
        "tool_version": context.tool_version,
        "cloud": context.cloud,
        "owner": run.started.get("owner"),
        "source": {
            "git": to_plain(context.git),
            "lockfile": to_plain(context.lockfile),
            "patch_file": context.patch_file,
        },
        "variables": dict(plan.job.variables),
        "cloud_type": pod.cloud_type if pod else None,
        "gpu_count": plan.pod.gpu_count,
        "node_count": plan.nodes,
        "vcpus": None if plan.pod.cpu is None else plan.pod.cpu.vcpus,
        "cost": {
            "estimated_usd": context.estimated_usd,
            "accrued_usd": context.accrued_usd,
            "billed_usd": None,
        },
        "lost_attempts": [to_plain(record) for record in run.lost],
        "pods": [to_plain(record) for record in run.pods.values()],
        "nodes": [_node(record) for record in context.nodes],
        "leaked_pod_ids": [record.pod_id or record.name for record in run.leaked],
        "host_key_fingerprint": run.host_key_fingerprint,
        "host_key_confirmed": run.host_key_confirmed,
        "steps": [_step(record) for record in run.steps],
        "scripts": [
            {
                "name": script.name,
                "sha256": script.sha256,
                "filled_sha256": context.filled_scripts.get(script.name),
            }
            for script in plan.scripts
        ],
        "log": {
            "path": "run.log",
            "bytes": context.log_bytes,
            "sha256": context.log_sha256,
        },
        "markers": {
            "success_seen": run.job_end.success_marker_seen if run.job_end else None,
            "failure_seen": list(run.job_end.failure_markers_seen) if run.job_end else [],
        },
        "warnings": list(run.warnings),
    }


def _node(record: NodeRecord) -> dict[str, Any]:
    end = record.run.job_end
    return {
        "rank": record.rank,
        "pod_id": record.pod_id,
        "outcome": None if end is None else end.outcome,
        "exit_code": None if end is None else end.exit_code,
        "cause": None if end is None else end.cause,
        "folder": f"{NODES}/{record.rank}",
        "artifacts": [
            {
                "label": one.label,
                "status": "failed" if one.status == "pulling" else one.status,
                "files": one.files,
                "bytes": one.bytes,
                "sha256": one.sha256,
            }
            for one in record.run.artifacts.values()
        ],
    }


def _step(record: StepRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "state": record.state,
        "duration_sec": record.duration_sec,
        "error": record.error,
    }


def mask_manifest(data: Mapping[str, Any], masker: Masker) -> dict[str, Any]:
    """Return a manifest with secrets hidden in its texts.

    Keys, ids, names, states, times and digests stay as they are: none of them can be a secret, and one
    that happens to hold a short one must still be found.
    """
    masked: dict[str, Any] = {key: _mask_field(key, value, masker) for key, value in data.items()}
    return masked


def _mask_field(key: str, value: Any, masker: Masker) -> Any:
    if key in _VERBATIM:
        return value
    if key == "variables":  # the user's own names, which may be any of ours
        return {name: masker.text(text) for name, text in value.items()}
    if isinstance(value, Mapping):
        return mask_manifest(value, masker)
    if isinstance(value, (list, tuple)):
        return [_mask_field("", item, masker) for item in value]
    return masker.text(value) if isinstance(value, str) else value


def _v2_fields(
    plan: Plan, run: Run, pod: PodRecord | None, context: ManifestContext
) -> dict[str, Any]:
    rate, source = _rate(plan, pod)
    return {
        "schema_version": "v2",
        "pulled_at_utc": context.written_at,
        "failed": run.state is not RunState.SUCCEEDED,
        "job_name": plan.job.name,
        "run_id": run.started.get("run_id"),
        "config_path": plan.job.file,
        "storage_mode": plan.storage.mode,
        "datacenter_id": pod.datacenter_id if pod else None,
        "gpu_id": pod.gpu_id if pod else None,
        "gpu_price_per_hour_usd": rate,
        "gpu_price_source": source,
        "pod_id": pod.pod_id if pod else None,
        "pod_final_state": _final_pod_state(pod),
        "pod_resumed": run.pod_resumed,
        "image": plan.pod.image,
        "cost_cap_usd": plan.budget.cost_cap_usd,
        "wall_time_sec": wall_time(run, context.written_at),
        "estimated_cost_usd": round(context.accrued_usd, 6),
        "volume_mount": plan.storage.mount,
        "volume_name": plan.storage.volume_name,
        "volume_gb": plan.storage.volume_gb,
        "deploy_metadata": {
            "local_git_sha": context.git.sha if context.git else None,
            "local_git_dirty": context.git.dirty if context.git else None,
            "local_git_branch": context.git.branch if context.git else None,
            "payload_lockfile": context.lockfile.name if context.lockfile else None,
            "payload_lockfile_sha256": context.lockfile.sha256 if context.lockfile else None,
        },
        "artifacts": [_artifact(artifact, run, context) for artifact in plan.artifacts],
        "telemetry_files": list(context.telemetry_files),
    }


def _artifact(plan: PlanArtifact, run: Run, context: ManifestContext) -> dict[str, Any]:
    record = run.artifacts.get(plan.label) or ArtifactRecord(label=plan.label, status="skipped")
    status = "failed" if record.status == "pulling" else record.status
    row = {
        "label": plan.label,
        "remote_path": fill(plan.remote_path, context.late_bound),
        "local_path": fill(plan.local_path, context.late_bound),
        "required": plan.required,
        "excludes": list(plan.excludes),
        "delete": plan.delete,
        "status": status,
        "bytes_transferred": record.bytes,
        "duration_sec": record.duration_sec,
        "files": record.files,
        "sha256": record.sha256,
        "entries": context.artifact_files.get(plan.label, []),
        "refused": context.refused_files.get(plan.label, []),
        "upload": _upload(plan, run, context),
    }
    return {**row, "error": record.error} if record.error else row


def _upload(plan: PlanArtifact, run: Run, context: ManifestContext) -> dict[str, Any] | None:
    if plan.upload is None:
        return None
    record = run.uploads.get(plan.label) or UploadRecord(label=plan.label, status="skipped")
    return {
        "to": fill(plan.upload.to, context.late_bound),
        "endpoint": plan.upload.endpoint,
        "status": "failed" if record.status == "sending" else record.status,
        "files": record.files,
        "bytes": record.bytes,
        "duration_sec": record.duration_sec,
        "error": record.error,
    }


def _rate(plan: Plan, pod: PodRecord | None) -> tuple[float | None, str | None]:
    if pod and pod.cost_per_hour_usd is not None:
        return pod.cost_per_hour_usd, "pod_cost"
    if pod and plan.budget.assumed_hourly_rate_usd is not None:
        return plan.budget.assumed_hourly_rate_usd, "assumed_rate"
    return None, None


def _final_pod_state(pod: PodRecord | None) -> str | None:
    if pod is None:
        return None
    return {"gone": "TERMINATED", "stopped": "EXITED", "alive": "RUNNING"}.get(
        pod.status, pod.status.upper()
    )


def wall_time(run: Run, until: str) -> float | None:
    """Return the seconds from the start of the run to its end, or to `until` when it goes on.

    None when the run did not start, or a time of it cannot be read.
    """
    return elapsed(run.started_at, run.ended_at or until)
