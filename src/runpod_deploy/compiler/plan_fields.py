"""A plan as dotted fields: what is compared with what, and under which heading it is told."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.schema.plain import to_plain

Leaf = Any


class _Absent:
    """What a plan that lacks a field has there."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()

# Lists whose items have a name of their own, by the field that holds it.
_KEYED = {
    "scripts": "name",
    "staging": "label",
    "secrets": "name",
    "artifacts": "label",
    "steps": "name",
}
# Told in full elsewhere: by the text of the script, by the files of the payload.
_ELSEWHERE = {
    "scripts": frozenset(("name", "text", "sha256")),
    "staging": frozenset(("label", "tree_sha256", "files", "bytes")),
    "secrets": frozenset(("name",)),
    "artifacts": frozenset(("label",)),
    "steps": frozenset(("name",)),
}
_SECTION_OF_FIELD = {"pod.max_price_per_hour_usd": "cost"}
_SECTION_OF_PART = {
    "budget": "cost",
    "candidates": "hardware",
    "pod": "hardware",
    "cluster": "hardware",
    "storage": "storage",
    "secrets": "secrets",
    "scripts": "scripts",
    "staging": "payload",
    "artifacts": "artifacts",
    "run": "run",
    "required_paths": "run",
    "lifecycle": "lifecycle",
    "lease": "lifecycle",
    "notify": "lifecycle",
    "forward": "run",
    "capacity": "lifecycle",
    "job": "job",
}


def section_of(field: str) -> str:
    """Return the heading under which a field is told."""
    part = field.partition(".")[0]
    return _SECTION_OF_FIELD.get(field) or _SECTION_OF_PART.get(part, "other")


def leaves(plan: Plan) -> dict[str, Leaf]:
    """Return every field of `plan` under its dotted name: scalars, and lists whole.

    A candidate is the list of its GPU, datacenter and cloud.
    """
    return dict(_leaves(to_plain(plan)))


def _leaves(plan: Mapping[str, Any]) -> Iterator[tuple[str, Leaf]]:
    for part, value in plan.items():
        if part in _KEYED:
            for item in value:
                yield from _named(part, item)
        elif part in {"candidates", "forward"}:
            yield part, [list(one.values()) for one in value]
        else:
            yield from _below(part, value)


def _named(part: str, item: Mapping[str, Any]) -> Iterator[tuple[str, Leaf]]:
    hidden = _ELSEWHERE[part]
    for key, value in item.items():
        if key not in hidden:
            yield from _below(f"{part}.{item[_KEYED[part]]}.{key}", value)


def _below(field: str, value: Any) -> Iterator[tuple[str, Leaf]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _below(f"{field}.{key}", item)
    else:
        yield field, value


def lonely_items(plan: Plan, other: Plan) -> tuple[str, ...]:
    """Return the dotted names of the named items that only `plan` has, such as `artifacts.model`."""
    return tuple(
        f"{part}.{getattr(item, key)}"
        for part, key in _KEYED.items()
        for item in _split(part, key, plan, other)[0]
    )


def shared_items(plan: Plan, other: Plan) -> Plan:
    """Return `plan` without those items."""
    kept: dict[str, Any] = {part: _split(part, key, plan, other)[1] for part, key in _KEYED.items()}
    return replace(plan, **kept)


def _split(part: str, key: str, plan: Plan, other: Plan) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    theirs = {getattr(one, key) for one in getattr(other, part)}
    items = getattr(plan, part)
    lonely = tuple(one for one in items if getattr(one, key) not in theirs)
    return lonely, tuple(one for one in items if getattr(one, key) in theirs)


def order_changes(before: Plan, after: Plan) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each list of named items whose common items stand in another order, with the names."""
    for part, key in _KEYED.items():
        old, new = ([getattr(one, key) for one in getattr(plan, part)] for plan in (before, after))
        common = set(old) & set(new)
        if [one for one in old if one in common] != [one for one in new if one in common]:
            yield f"{part}.order", old, new
