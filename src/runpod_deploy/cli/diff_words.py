"""The changed values of a plan as people say them: under the job file's own names, with units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runpod_deploy.cli.amounts import limit, usd
from runpod_deploy.cli.plan_rows import with_names
from runpod_deploy.compiler.plan_diff import FieldChange
from runpod_deploy.compiler.plan_fields import ABSENT

TITLES = {
    "cost": "Cost",
    "hardware": "Hardware",
    "storage": "Storage",
    "secrets": "Secrets",
    "scripts": "Scripts",
    "payload": "Payload",
    "artifacts": "Artifacts",
    "run": "Run",
    "lifecycle": "Afterwards",
    "job": "Job",
    "other": "Other",
}
NOTHING = "–"
_UNITS: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("_rate_usd", lambda value: f"{usd(value)}/h"),
    ("_per_hour_usd", lambda value: f"{usd(value)}/h"),
    ("_usd", usd),
    ("_minutes", lambda value: limit(value * 60)),
    ("_sec", limit),
    ("_hours", lambda value: f"{value:g} h"),
    ("_gb", lambda value: f"{value:g} GB"),
    ("_fraction", lambda value: f"{value:.4g} of the cap"),
)
_NONE = {
    "pod.max_price_per_hour_usd": "no ceiling",
    "budget.max_runtime_minutes": "as long as the money lasts",
    "budget.idle_gpu_minutes": "as long as they like",
    "pod.min_cuda": "any",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """One changed value: a list says only what came and went."""

    field: str
    before: str
    after: str


def words(change: FieldChange) -> Words:
    """Return a changed value in words; both sides are foreign text."""
    before, after = change.before, change.after
    if isinstance(before, list) and isinstance(after, list):
        gone = [one for one in before if one not in after]
        new = [one for one in after if one not in before]
        if gone or new:
            return Words(field=change.field, before=_list(gone), after=_list(new))
    return Words(
        field=change.field,
        before=value_in_words(change.field, before),
        after=value_in_words(change.field, after),
    )


def value_in_words(field: str, value: Any) -> str:
    """Return one value of a plan in words."""
    if value is ABSENT:
        return NOTHING
    if value is None:
        return _NONE.get(field, "none")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number(field, value)
    if isinstance(value, list):
        return _list(value) if value else "none"
    return with_names(str(value)) or "empty"


def _number(field: str, value: float) -> str:
    for ending, say in _UNITS:
        if field.endswith(ending):
            return say(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _list(items: Sequence[Any]) -> str:
    return ", ".join(map(_item, items)) or NOTHING


def _item(item: Any) -> str:
    if isinstance(item, list):
        return " · ".join("any datacenter" if part is None else str(part) for part in item)
    return with_names(str(item))
