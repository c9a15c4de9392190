"""Rules that JSON Schema cannot say about clusters: what may not stand beside `cluster`."""

from collections.abc import Iterator
from typing import Any

from runpod_deploy.schema.pointer import dotted
from runpod_deploy.schema.report import Report
from runpod_deploy.schema.yaml_source import YamlSource

MAX_RUNS = 1000
_NO_SUCH_WISH = "RunPod's API (v2) takes no such wish for a cluster."
_NO_RETRY = "A cluster that lost a node ends its run; another one is not asked for yet."
_NO_STOP = "A cluster can be deleted and cannot be stopped or kept for the next run."
_NO_CPU = "The nodes of a cluster have GPUs."


def report_cluster_rules(data: dict[str, Any], source: YamlSource, report: Report) -> None:
    """Note what cannot be said beside `cluster`."""
    if not isinstance(data.get("cluster"), dict):
        return
    for pointer, on_key, reason in _not_with_clusters(data):
        place = source.key_positions[pointer] if on_key else source.positions[pointer]
        report.error(
            "not-on-clusters",
            "Not possible with a cluster",
            f"`{dotted(pointer)}` cannot be said beside `cluster`. {reason}",
            place,
            help="Remove the line." if on_key else "Write `delete`, or remove the line.",
        )


def _not_with_clusters(data: dict[str, Any]) -> Iterator[tuple[str, bool, str]]:
    pod = data.get("pod")
    for key in ("registry_auth", "template_id", "cloud_type", "min_cuda"):
        if isinstance(pod, dict) and pod.get(key) is not None:
            yield f"/pod/{key}", True, _NO_SUCH_WISH
    if isinstance(pod, dict) and pod.get("cpu") is not None:
        yield "/pod/cpu", True, _NO_CPU
    lifecycle = data.get("lifecycle")
    if isinstance(lifecycle, dict) and lifecycle.get("retry"):
        yield "/lifecycle/retry", True, _NO_RETRY
    for key in ("on_success", "on_failure", "on_orphaned"):
        if isinstance(lifecycle, dict) and lifecycle.get(key) in ("stop", "recycle"):
            yield f"/lifecycle/{key}", False, _NO_STOP
