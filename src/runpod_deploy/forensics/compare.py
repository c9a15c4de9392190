"""What differed between two runs: outcome, plan, hardware, cost, timings, packages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from runpod_deploy.forensics.load import iter_events
from runpod_deploy.forensics.summary import RunSummary, summarise
from runpod_deploy.record.reading import open_regular, read_whole
from runpod_deploy.record.run import fold

PLAN_NAME = "plan.json"
PACKAGES_NAME = "pip_freeze.txt"
_PIN = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==\s*([^\s;]+)|@\s*(\S+))")
_DEEPEST = 12
_MOST_PACKAGE_BYTES = 4 * 1024 * 1024  # what a run takes at most
_MOST_ROWS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One property of both runs; `left` and `right` are None where it is not known."""

    section: str
    name: str
    left: Any
    right: Any

    @property
    def same(self) -> bool:
        """Whether both runs say the same of it."""
        return bool(self.left == self.right)


def compare(left: Path, right: Path) -> tuple[Row, ...]:
    """Return what two run folders say, property by property, equal ones too.

    Plan and packages come with their differences only.
    """
    a, b = summarise(left), summarise(right)
    return (
        *_facts(a, b),
        *_timings(left, right),
        *_artifacts(a, b),
        *_plan(left, right),
        *_packages(left, right),
    )


_FACTS = {
    "outcome": ("state", "cause", "exit_code"),
    "hardware": (
        *("cloud", "gpu_id", "gpu_count", "node_count", "datacenter_id", "cloud_type", "image"),
    ),
    "cost": ("price_per_hour_usd", "price_source", "cost_usd", "wall_time_sec"),
    "source": ("plan_hash", "git_sha", "git_branch", "git_dirty", "lockfile", "lockfile_sha256"),
}


def _facts(a: RunSummary, b: RunSummary) -> Iterator[Row]:
    for section, names in _FACTS.items():
        for name in names:
            yield Row(section=section, name=name, left=getattr(a, name), right=getattr(b, name))


def _timings(left: Path, right: Path) -> Iterator[Row]:
    a, b = _durations(left), _durations(right)
    for name in dict.fromkeys((*a, *b)):
        yield Row(section="timings", name=name, left=a.get(name), right=b.get(name))


def _durations(folder: Path) -> dict[str, float | None]:
    try:
        return {step.name: step.duration_sec for step in fold(iter_events(folder)).steps}
    except OSError:
        return {}


def _artifacts(a: RunSummary, b: RunSummary) -> Iterator[Row]:
    left = {one.label: one.sha256 or one.status for one in a.artifacts}
    right = {one.label: one.sha256 or one.status for one in b.artifacts}
    for label in dict.fromkeys((*left, *right)):
        yield Row(section="artifacts", name=label, left=left.get(label), right=right.get(label))


def _plan(left: Path, right: Path) -> Iterator[Row]:
    a, b = _read_plan(left), _read_plan(right)
    if a is None or b is None:
        return
    for name, one, other in islice(_differences("", a, b, 0), _MOST_ROWS):
        yield Row(section="plan", name=name, left=one, right=other)


def _read_plan(folder: Path) -> Any:
    try:
        data = json.loads(read_whole(folder / PLAN_NAME))
    except (OSError, ValueError, RecursionError):
        return None
    return data.get("plan") if isinstance(data, dict) else None


def _differences(name: str, a: Any, b: Any, depth: int) -> Iterator[tuple[str, Any, Any]]:
    if a == b:
        return
    if depth < _DEEPEST and isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            below = f"{name}.{key}" if name else key
            yield from _differences(below, a.get(key), b.get(key), depth + 1)
    elif depth < _DEEPEST and isinstance(a, list) and isinstance(b, list):
        for number, (key, one, other) in enumerate(_paired(a, b)):
            label = str(number) if key is None else key
            yield from _differences(f"{name}[{label}]", one, other, depth + 1)
    else:
        yield name, a, b


def _paired(a: list[Any], b: list[Any]) -> Iterator[tuple[str | None, Any, Any]]:
    """Yield the items of two lists that belong together: by name where each has its own."""
    left, right = _named(a), _named(b)
    if left is not None and right is not None:
        for key in dict.fromkeys((*left, *right)):
            yield key, left.get(key), right.get(key)
        return
    for number in range(max(len(a), len(b))):
        one = a[number] if number < len(a) else None
        other = b[number] if number < len(b) else None
        yield None, one, other


def _named(items: list[Any]) -> Mapping[str, Any] | None:
    names = [
        str(item.get("label") or item.get("name") or "") if isinstance(item, dict) else ""
        for item in items
    ]
    unique = all(names) and len(set(names)) == len(names)
    return dict(zip(names, items, strict=True)) if unique else None


def _packages(left: Path, right: Path) -> Iterator[Row]:
    a, b = read_packages(left), read_packages(right)
    if a is None or b is None:
        return
    for name in sorted({*a, *b}):
        if a.get(name) != b.get(name):
            yield Row(section="packages", name=name, left=a.get(name), right=b.get(name))


def read_packages(folder: Path) -> dict[str, str] | None:
    """Return package to version from a run's `pip_freeze.txt`; None when there is none."""
    try:
        with open_regular(folder / PACKAGES_NAME) as stream:
            text = stream.read(_MOST_PACKAGE_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    found = {}
    for one in text.splitlines():
        pin = _PIN.match(one)
        if pin is not None:
            found[re.sub(r"[-_.]+", "-", pin[1]).lower()] = pin[2] or pin[3]
    return found
