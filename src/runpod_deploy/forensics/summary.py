"""One run in a few typed facts, whatever version wrote its folder and whatever is left of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runpod_deploy.forensics.find import run_id_of
from runpod_deploy.forensics.load import Manifest, iter_events, load_manifest
from runpod_deploy.record import tolerant
from runpod_deploy.record.manifest import MANIFEST_NAME, wall_time
from runpod_deploy.record.run import Run, RunState, fold
from runpod_deploy.record.run_lock import living_holder
from runpod_deploy.record.spending import accrued_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactSummary:
    """What came back under one label.

    Attributes:
        status: `success`, `failed` or `skipped`, as the manifest says.
        files, bytes: None where they were not counted, as the predecessor never did.
    """

    label: str
    status: str
    required: bool = True
    files: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    duration_sec: float | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """One run.

    Attributes:
        folder: The run folder as it was given.
        read_from: `manifest`, `events` (the run wrote no manifest: it goes on, or it was killed) or
            `nothing`.
        state: `RunState` as text; of files without one `SUCCEEDED` or `FAILED`, by `failed`. A file
            that says it succeeded and contradicts that is `FAILED`.
        succeeded: Only what says so succeeded.
        carried_on: Whether somebody is at work on a run that has not ended; None for one that has.
        started_at, ended_at: ISO 8601, UTC.
        failure: `{kind, text, evidence}` where the manifest says why it failed.
        wall_time_sec: From the first start to the end.
        price_per_hour_usd: Of the whole pod.
        price_source: `pod_cost`, `pod_describe` or `assumed_rate`.
        cost_usd: Accrued over all pods of the run; what RunPod billed, where that was asked.
        leaked_pods: Ids or names of pods that may still bill.
    """

    folder: Path
    read_from: str
    job_name: str | None
    run_id: str | None
    state: str
    succeeded: bool
    carried_on: bool | None = None
    cause: str | None = None
    exit_code: int | None = None
    failure: Mapping[str, Any] | None = None
    started_at: str | None = None
    ended_at: str | None = None
    wall_time_sec: float | None = None
    cloud: str | None = None
    cloud_type: str | None = None
    gpu_id: str | None = None
    gpu_count: int | None = None
    node_count: int | None = None
    datacenter_id: str | None = None
    image: str | None = None
    pod_id: str | None = None
    pod_final_state: str | None = None
    price_per_hour_usd: float | None = None
    price_source: str | None = None
    cost_usd: float | None = None
    cost_cap_usd: float | None = None
    plan_hash: str | None = None
    git_sha: str | None = None
    git_branch: str | None = None
    git_dirty: bool | None = None
    lockfile: str | None = None
    lockfile_sha256: str | None = None
    artifacts: tuple[ArtifactSummary, ...] = ()
    telemetry_files: tuple[str, ...] = ()
    leaked_pods: tuple[str, ...] = ()

    @property
    def gpus(self) -> str | None:
        """The GPUs in words: on how many nodes, how many on each, and which."""
        nodes = f"{self.node_count} nodes × " if (self.node_count or 1) > 1 else ""
        each = f"{self.gpu_count} × " if (self.gpu_count or 1) > 1 else ""
        return self.gpu_id and f"{nodes}{each}{self.gpu_id}"

    @property
    def artifact_bytes(self) -> int:
        """Bytes that came back under all labels."""
        return sum(one.bytes or 0 for one in self.artifacts)


def summarise(folder: Path) -> RunSummary:
    """Return what is known of the run in `folder`; never raises for what lies in it."""
    manifest = load_manifest(folder)
    if manifest is None:
        return _from_events(folder)
    told = _from_manifest(folder, manifest)
    if told.state not in _GOES_ON:
        return told
    # It was written when somebody left the run alone; what came of it since stands in the events.
    later = _from_events(folder.parent if folder.name == MANIFEST_NAME else folder)
    return told if later.read_from == "nothing" else replace(told, **_news(later))


_GOES_ON = frozenset(state.value for state in RunState if not state.final)
_NEWS = (
    *("state", "succeeded", "carried_on", "cause", "exit_code", "ended_at", "wall_time_sec"),
    *("pod_id", "gpu_id", "datacenter_id", "price_per_hour_usd", "cost_usd", "leaked_pods"),
)


def _news(run: RunSummary) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _NEWS}


def iter_summaries(folders: Sequence[Path]) -> Iterator[RunSummary]:
    """Yield a summary for each run folder, one in memory at a time."""
    return map(summarise, folders)


def _from_manifest(folder: Path, data: Manifest) -> RunSummary:
    said = tolerant.text(data, "state") or "SUCCEEDED"
    deploy, cost = _section(data, "deploy_metadata"), _section(data, "cost")
    return RunSummary(
        folder=folder,
        read_from="manifest",
        job_name=tolerant.text(data, "job_name"),
        run_id=tolerant.text(data, "run_id"),
        state="FAILED" if said == "SUCCEEDED" and not data.succeeded else said,
        succeeded=data.succeeded,
        cause=tolerant.text(data, "cause"),
        exit_code=data.exit_code,
        failure=_section(data, "failure") or None,
        started_at=tolerant.text(data, "started_at_utc"),
        ended_at=tolerant.text(data, "ended_at_utc") or tolerant.text(data, "pulled_at_utc"),
        wall_time_sec=tolerant.number(data, "wall_time_sec"),
        cloud=tolerant.text(data, "cloud"),
        cloud_type=tolerant.text(data, "cloud_type"),
        gpu_id=tolerant.text(data, "gpu_id"),
        gpu_count=tolerant.integer(data, "gpu_count"),
        node_count=tolerant.integer(data, "node_count"),
        datacenter_id=tolerant.text(data, "datacenter_id"),
        image=tolerant.text(data, "image"),
        pod_id=tolerant.text(data, "pod_id"),
        pod_final_state=tolerant.text(data, "pod_final_state"),
        price_per_hour_usd=tolerant.number(data, "gpu_price_per_hour_usd"),
        price_source=tolerant.text(data, "gpu_price_source"),
        cost_usd=_first_number(cost, ("billed_usd", "accrued_usd"), data, "estimated_cost_usd"),
        cost_cap_usd=tolerant.number(data, "cost_cap_usd"),
        plan_hash=data.plan_hash,
        git_sha=tolerant.text(deploy, "local_git_sha"),
        git_branch=tolerant.text(deploy, "local_git_branch"),
        git_dirty=tolerant.boolean(deploy, "local_git_dirty"),
        lockfile=tolerant.text(deploy, "payload_lockfile"),
        lockfile_sha256=tolerant.text(deploy, "payload_lockfile_sha256"),
        artifacts=tuple(_artifacts(data)),
        telemetry_files=tolerant.texts(data, "telemetry_files"),
        leaked_pods=tolerant.texts(data, "leaked_pod_ids"),
    )


def _section(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _first_number(
    cost: Mapping[str, Any], keys: tuple[str, ...], data: Mapping[str, Any], last: str
) -> float | None:
    for key in keys:
        value = tolerant.number(cost, key)
        if value is not None:
            return value
    return tolerant.number(data, last)


def _artifacts(data: Mapping[str, Any]) -> Iterator[ArtifactSummary]:
    rows = data.get("artifacts")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            required = tolerant.boolean(row, "required")
            yield ArtifactSummary(
                label=tolerant.text(row, "label") or "?",
                status=tolerant.text(row, "status") or "unknown",
                required=True if required is None else required,
                files=tolerant.integer(row, "files"),
                bytes=tolerant.integer(row, "bytes_transferred"),
                sha256=tolerant.text(row, "sha256"),
                duration_sec=tolerant.number(row, "duration_sec"),
                error=tolerant.text(row, "error"),
            )


def _from_events(folder: Path) -> RunSummary:
    try:
        run = fold(iter_events(folder))
    except OSError:
        run = Run()
    pod, started = run.pod, run.started
    bills = any(pod.status in {"alive", "leaked", "intended"} for pod in run.pods.values())
    last = "" if bills else max((pod.ended_at or "" for pod in run.pods.values()), default="")
    until = run.ended_at or last or _now()
    return RunSummary(
        folder=folder,
        read_from="events" if run.started_at else "nothing",
        job_name=tolerant.text(started, "job_name"),
        run_id=run_id_of(folder),
        state=run.state.value if run.started_at else "UNKNOWN",
        succeeded=run.state.value == "SUCCEEDED",
        carried_on=None if run.state.final or not run.started_at else _carried_on(folder),
        cause=run.cause,
        exit_code=run.job_end.exit_code if run.job_end else None,
        started_at=run.started_at,
        ended_at=run.ended_at,
        wall_time_sec=wall_time(run, until) if run.started_at else None,
        cloud=tolerant.text(started, "cloud"),
        cloud_type=pod.cloud_type or None if pod else None,
        gpu_id=pod.gpu_id or None if pod else None,
        datacenter_id=pod.datacenter_id if pod else None,
        pod_id=pod.pod_id if pod else None,
        price_per_hour_usd=pod.cost_per_hour_usd if pod else None,
        price_source="pod_cost" if pod and pod.cost_per_hour_usd is not None else None,
        cost_usd=round(accrued_usd(run, until), 6) if pod else None,
        plan_hash=tolerant.text(started, "plan_hash"),
        artifacts=tuple(
            ArtifactSummary(
                label=one.label,
                status="failed" if one.status == "pulling" else one.status,
                files=one.files,
                bytes=one.bytes,
                sha256=one.sha256,
                duration_sec=one.duration_sec,
                error=one.error,
            )
            for one in run.artifacts.values()
        ),
        leaked_pods=tuple(one.pod_id or one.name for one in run.leaked),
    )


def _carried_on(folder: Path) -> bool:
    return living_holder(folder, time.time()) is not None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
