"""What differs between two plans, told in one line each: for the table of a stale plan."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.plan_diff import (
    FieldChange,
    ScriptChange,
    changed_fields,
    changed_scripts,
)
from runpod_deploy.compiler.plan_fields import ABSENT, lonely_items, shared_items

_OWN_NAME = {"pod.image": "image"}
_SHOWN = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One field that two plans say differently.

    Attributes:
        field: Dotted; items of a list by their name or label: `scripts.run`.
        before: What the first says, shortened; None when it says nothing.
        after: What the second says.
    """

    field: str
    before: str | None
    after: str | None


def differences(before: Plan, after: Plan) -> tuple[Difference, ...]:
    """Return every field in which two plans differ, in the order of the fields, scripts last.

    An item that only one of them has is one difference. The sums over a payload are left out: its
    files tell more.
    """
    fields = changed_fields(shared_items(before, after), shared_items(after, before))
    return (
        *map(_field, fields),
        *_items(lonely_items(before, after), lonely_items(after, before)),
        *map(_script, (one for one in changed_scripts(before, after) if one.kind == "changed")),
    )


def _items(lost: Collection[str], gained: Collection[str]) -> Iterator[Difference]:
    for item in lost:
        yield Difference(field=item, before="there", after=None)
    for item in gained:
        yield Difference(field=item, before=None, after="there")


def _field(change: FieldChange) -> Difference:
    return Difference(
        field=_OWN_NAME.get(change.field, change.field),
        before=_told(change.field, change.before),
        after=_told(change.field, change.after),
    )


def _script(change: ScriptChange) -> Difference:
    """Tell the first line that differs; the whole is for a real diff."""
    old, new = str(change.before).split("\n"), str(change.after).split("\n")
    pairs = zip([*old, None], [*new, None], strict=False)
    number, (one, other) = next(
        (at, pair) for at, pair in enumerate(pairs, start=1) if pair[0] != pair[1]
    )
    return Difference(
        field=f"scripts.{change.name}", before=_line(number, one), after=_line(number, other)
    )


def _line(number: int, text: str | None) -> str:
    return f"ends before line {number}" if text is None else _short(f"line {number}: {text}")


def _told(field: str, value: Any) -> str | None:
    if value is None or value is ABSENT:
        return None
    if field == "candidates":
        return _short(", ".join(map(_candidate, value)))
    if isinstance(value, list):
        return _short(", ".join(filter(None, (_told("", one) for one in value)))) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _short(str(value)) or '""'


def _candidate(parts: Sequence[Any]) -> str:
    return " · ".join(str(part or "any datacenter") for part in parts)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
