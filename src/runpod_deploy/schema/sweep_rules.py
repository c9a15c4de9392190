"""Rules of `matrix` that JSON Schema cannot say: its names, and how many runs it may mean."""

from collections.abc import Sequence
from math import prod
from typing import Any

from runpod_deploy.schema.near_miss import near_miss
from runpod_deploy.schema.pointer import child
from runpod_deploy.schema.report import Report, shorten
from runpod_deploy.schema.yaml_source import YamlSource

MAX_RUNS = 1000


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
    variables = data.get("variables")
    known = [*axes, *(variables if isinstance(variables, dict) else ())]
    _undeclared(matrix.get("include"), known, source, report)
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


def _undeclared(included: Any, known: Sequence[str], source: YamlSource, report: Report) -> None:
    for index, entry in enumerate(included if isinstance(included, list) else ()):
        for name in entry if isinstance(entry, dict) else ():
            if name not in known:
                report.error(
                    "undeclared-variable",
                    "Undeclared variable",
                    f"`{shorten(name)}` is neither an axis nor one of `variables`.",
                    source.key_positions[child(f"/matrix/include/{index}", name)],
                    suggestion=near_miss(name, known),
                    help="Declare it under `variables` with the value it has in the other runs.",
                )
