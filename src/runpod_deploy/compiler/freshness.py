"""Whether a saved plan still means what it says: the one place that decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runpod_deploy.compiler.plan import PayloadEntry, PlanFile

Verdict = Literal["refuse", "note"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One difference between a plan and the world.

    Attributes:
        field: `payload.LABEL.PATH`, or the dotted name of a field of the plan.
        planned: What the plan says; None when it says nothing.
        now: What is there; None when nothing is.
        verdict: `refuse` makes the plan stale; `note` is only told.
    """

    field: str
    planned: str | None
    now: str | None
    verdict: Verdict


def can_apply(
    plan_file: PlanFile, facts_now: Mapping[str, Sequence[PayloadEntry]]
) -> tuple[Drift, ...]:
    """Return every difference between the plan and `facts_now`, its payload as it is now.

    The plan may be applied when none of them says `refuse`. Labels that only `facts_now` has are
    refused as well: the plan does not know them.
    """
    labels = dict.fromkeys([*plan_file.payload, *facts_now])
    return tuple(
        drift
        for label in labels
        for drift in _payload(label, plan_file.payload.get(label, ()), facts_now.get(label, ()))
    )


def is_stale(drifts: Sequence[Drift]) -> bool:
    """Return whether one of `drifts` forbids to apply the plan."""
    return any(drift.verdict == "refuse" for drift in drifts)


def _payload(
    label: str, planned: Sequence[PayloadEntry], now: Sequence[PayloadEntry]
) -> Iterator[Drift]:
    before = {entry.path: entry for entry in planned}
    after = {entry.path: entry for entry in now}
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            yield Drift(
                field=f"payload.{label}.{path}" if path else f"payload.{label}",
                planned=_told(old),
                now=_told(new),
                verdict="refuse",
            )


def _told(entry: PayloadEntry | None) -> str | None:
    if entry is None:
        return None
    if entry.type == "link":
        return f"link to {entry.target}"
    executable = ", executable" if entry.exec else ""
    return f"{entry.size} bytes{executable}, sha256 {entry.sha256}"
