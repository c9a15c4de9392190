"""How long a job usually takes, from the run folders of a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from runpod_deploy.compiler.observed import TypicalSpend
from runpod_deploy.forensics.load import Manifest, load_manifest, walk_run_dirs
from runpod_deploy.record import tolerant

ENOUGH = 20
LOOKED_AT = 500


def typical_run(root: Path, job_name: str, *, cloud: str, gpu: str | None) -> TypicalSpend | None:
    """Return the median of the latest succeeded runs of a job; its `usd` is left to an estimate.

    Runs on `gpu` are taken where there are any, else those on all GPUs.

    Args:
        root: A project root, or a folder of run folders.
        cloud: `runpod` or `emulator`: a rehearsal says nothing about the real thing.

    Returns:
        None when no run of that name succeeded there.
    """
    runs = []
    for manifest in _manifests(root):
        seconds = _billed_seconds(manifest)
        # Files of earlier releases do not name the cloud: there was only one.
        same_cloud = (tolerant.text(manifest, "cloud") or "runpod") == cloud
        same_job = tolerant.text(manifest, "job_name") == job_name
        if same_job and same_cloud and manifest.succeeded and seconds is not None:
            runs.append((tolerant.text(manifest, "gpu_id"), seconds))
    same = [seconds for one, seconds in runs if gpu is not None and one == gpu]
    chosen = (same or [seconds for _, seconds in runs])[:ENOUGH]
    if not chosen:
        return None
    return TypicalSpend(
        runs=len(chosen), same_gpu=bool(same), seconds=float(median(chosen)), usd=None
    )


def _manifests(root: Path) -> Iterator[Manifest]:
    try:
        folders = walk_run_dirs(root)
    except OSError:
        return
    for folder in folders[: -LOOKED_AT - 1 : -1]:
        manifest = load_manifest(folder)
        if manifest is not None:
            yield manifest


def _billed_seconds(manifest: Manifest) -> float | None:
    """Return how long the pods of a run were paid for; the run's own time where none is listed."""
    pods: Any = manifest.get("pods")
    spans = [_span(pod) for pod in pods if isinstance(pod, dict)] if isinstance(pods, list) else []
    known = [span for span in spans if span is not None]
    return sum(known) if known else tolerant.number(manifest, "wall_time_sec")


def _span(pod: dict[str, Any]) -> float | None:
    since = tolerant.seconds(tolerant.text(pod, "created_at"))
    until = tolerant.seconds(tolerant.text(pod, "ended_at"))
    if pod.get("pod_id") is None or since is None or until is None:
        return None
    return max(0.0, until - since)
