"""Reads run folders, never writes them."""

from runpod_deploy.forensics.compare import compare
from runpod_deploy.forensics.load import (
    Event,
    GpuSample,
    Manifest,
    MetricSample,
    iter_events,
    iter_metrics,
    load_events,
    load_manifest,
    load_metrics,
    walk_run_dirs,
)
from runpod_deploy.forensics.summary import ArtifactSummary, RunSummary, iter_summaries, summarise

__all__ = [
    "ArtifactSummary",
    "Event",
    "GpuSample",
    "Manifest",
    "MetricSample",
    "RunSummary",
    "compare",
    "iter_events",
    "iter_metrics",
    "iter_summaries",
    "load_events",
    "load_manifest",
    "load_metrics",
    "summarise",
    "walk_run_dirs",
]
