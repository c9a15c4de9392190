"""Rules of reserved sections that JSON Schema cannot say: what a sweep and a cluster may hold.

They are told now, so that a file that is written for a later version is right in that version.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.pointer import child, dotted
from runpod_deploy.schema.report import Report, shorten
from runpod_deploy.schema.yaml_source import YamlSource

MAX_RUNS = 1000
_NO_SUCH_WISH = "RunPod's API (v2) takes no such wish for a cluster."
_NO_STOP = "A cluster can be deleted and cannot be stopped or kept for the next run."


def report_sweep_rules(
    data: dict[str, Any], built_in: tuple[str, ...], source: YamlSource, report: Report
) -> None:
    """Note what is wrong with `matrix`; parts of another shape than the schema's are passed over."""
    matrix = data.get("matrix")
    axes = matrix.get("axes") if isinstance(matrix, dict) else None
    if not isinstance(matrix, dict) or not isinstance(axes, dict):
        return
    for name in axes:
        if name in built_in:
            report.error(
                "shadowed-variable",
                "Variable hides a built-in one",
                f"`{name}` is known to every template, and an axis of this name would hide it.",
                source.key_positions[child("/matrix/axes", name)],
                help="Choose another name.",
            )
    _unknown_axes(matrix.get("exclude"), axes, source, report)
    runs = prod(len(values) for values in axes.values() if isinstance(values, list))
    if runs > MAX_RUNS:
        report.error(
            "out-of-range",
            "Value out of range",
            f"The axes make {runs:,} combinations, and a sweep has at most {MAX_RUNS:,} runs.",
            source.key_positions["/matrix/axes"],
        )


def _unknown_axes(excluded: Any, axes: dict[str, Any], source: YamlSource, report: Report) -> None:
    for index, entry in enumerate(excluded if isinstance(excluded, list) else ()):
        for name in entry if isinstance(entry, dict) else ():
            if name not in axes:
                report.error(
                    "unknown-axis",
                    "Unknown axis",
                    f"`{shorten(name)}` is no axis, so nothing would be left out.",
                    source.key_positions[child(f"/matrix/exclude/{index}", name)],
                    suggestion=near_miss(name, axes),
                )


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
    lifecycle = data.get("lifecycle")
    for key in ("on_success", "on_failure", "on_orphaned"):
        if isinstance(lifecycle, dict) and lifecycle.get(key) in ("stop", "recycle"):
            yield f"/lifecycle/{key}", False, _NO_STOP
