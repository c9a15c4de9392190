"""Where two plans differ, field by field, under names that people can say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.schema.plain import to_plain

_SUMS = frozenset(("tree_sha256", "files", "bytes"))
_OWN_NAME = {"pod.image": "image"}
_SHOWN = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One field that two plans say differently.

    Attributes:
        field: Dotted; items of a list by their name or label: `scripts.run.text`.
        before: What the first says, shortened; None when it says nothing.
        after: What the second says.
    """

    field: str
    before: str | None
    after: str | None


def differences(before: Plan, after: Plan) -> tuple[Difference, ...]:
    """Return every field in which two plans differ, in the order of the fields.

    The sums over a payload are left out: its files tell more.
    """
    return tuple(_mapping("", to_plain(before), to_plain(after)))


def _any(field: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after and type(before) is type(after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _mapping(field, before, after)
    elif isinstance(before, list) and isinstance(after, list) and _named(before, after):
        yield from _items(field, before, after)
    elif field.startswith("scripts.") and field.endswith(".text"):
        yield _script_text(field, before, after)
    elif before != after:
        yield Difference(
            field=_OWN_NAME.get(field, field), before=_told(before), after=_told(after)
        )


def _mapping(
    field: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Difference]:
    for key in dict.fromkeys([*before, *after]):
        if field.startswith("staging.") and key in _SUMS:
            continue
        if field.startswith("scripts.") and key == "sha256":
            continue
        yield from _any(f"{field}.{key}" if field else key, before.get(key), after.get(key))


def _named(*lists: Sequence[Any]) -> bool:
    return all(isinstance(item, Mapping) and _name(item) for items in lists for item in items)


def _name(item: Mapping[str, Any]) -> Any:
    return item.get("name") or item.get("label")


def _items(field: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    old = {_name(item): item for item in before}
    new = {_name(item): item for item in after}
    for name in dict.fromkeys([*old, *new]):
        place = f"{field}.{name}"
        if name in old and name in new:
            yield from _any(place, old[name], new[name])
        else:
            yield Difference(
                field=place,
                before="there" if name in old else None,
                after="there" if name in new else None,
            )
    common = old.keys() & new.keys()
    order = [name for name in old if name in common]
    if order != (now := [name for name in new if name in common]):
        yield Difference(field=f"{field}.order", before=_told(order), after=_told(now))


def _script_text(field: str, before: Any, after: Any) -> Difference:
    """Tell the first line that differs; the whole is for a real diff."""
    old, new = str(before).split("\n"), str(after).split("\n")
    pairs = zip([*old, None], [*new, None], strict=False)
    number, (one, other) = next(
        (at, pair) for at, pair in enumerate(pairs, start=1) if pair[0] != pair[1]
    )
    return Difference(
        field=field.removesuffix(".text"),
        before=_line(number, one),
        after=_line(number, other),
    )


def _line(number: int, text: str | None) -> str:
    return f"ends before line {number}" if text is None else _short(f"line {number}: {text}")


def _told(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _short(", ".join(filter(None, map(_told, value)))) or "none"
    if isinstance(value, Mapping):
        if set(value) == {"gpu", "datacenter", "cloud"}:
            return " · ".join(str(part or "any datacenter") for part in value.values())
        return _short(", ".join(f"{key}={_told(item)}" for key, item in value.items())) or "none"
    return _short(str(value)) or '""'


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
