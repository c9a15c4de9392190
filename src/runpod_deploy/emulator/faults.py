"""Faults: what goes wrong, for whom, how often, from when on.

A fault is data. The places that can fail ask the board for the first fault of their kind that
matches what they are doing; asking uses one of its `times` up. A new kind is one line in
`fault_kinds` and one question at the place where it happens.
"""

import difflib
import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from runpod_deploy.emulator.fault_kinds import CHOICES, KINDS


class FaultSyntaxError(ValueError):
    """A fault that cannot be understood; the message says what would be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Shell-style patterns; a field that is set matches only where the value is known."""

    gpu: str | None = None
    datacenter: str | None = None
    cloud: str | None = None
    name: str | None = None
    method: str | None = None
    path: str | None = None
    command: str | None = None

    def covers(self, context: Mapping[str, str]) -> bool:
        """Say whether every pattern that is set matches the context's value of that name."""
        for item in fields(self):
            pattern = getattr(self, item.name)
            if pattern is None:
                continue
            value = context.get(item.name)
            if value is None or not fnmatch.fnmatchcase(value, pattern):
                return False
        return True


COMMON: Final = ("times", "skip", "after", "lasts")
MATCH_FIELDS: Final = tuple(item.name for item in fields(Match))


@dataclass(kw_only=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        times: Counts down to 0; None never does.
        skip: Lets that many occasions pass first.
        after: It is in force from so many seconds of the billing clock on, counted from its arrival.
        lasts: It is in force for so many of them; None for ever.
        arrived: When it was put on the board.
    """

    kind: str
    match: Match
    times: int | None
    params: dict[str, float | str]
    skip: int = 0
    after: float = 0.0
    lasts: float | None = None
    arrived: float = 0.0

    def in_force(self, now: float) -> bool:
        """Say whether its time has come and is not over."""
        passed = now - self.arrived - self.after
        return passed >= 0 and (self.lasts is None or passed < self.lasts)

    def number(self, name: str) -> float:
        """Give a numeric parameter."""
        return float(self.params[name])

    def document(self) -> dict[str, Any]:
        """Give the fault as the admin API shows it and as `fault_from` reads it."""
        match = {name: getattr(self.match, name) for name in MATCH_FIELDS}
        return {
            "kind": self.kind,
            "match": {name: value for name, value in match.items() if value is not None},
            "times": self.times,
            "skip": self.skip,
            "after": self.after,
            "lasts": self.lasts,
            "params": dict(self.params),
        }


class FaultBoard:
    """The faults there are, oldest first; `now` is the clock that their times are counted on."""

    def __init__(
        self, faults: Iterable[Fault] = (), now: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._now = now
        self._faults: list[Fault] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Put a fault on the board."""
        fault.arrived = self._now()
        self._faults.append(fault)

    def clear(self, kind: str | None = None) -> int:
        """Take away all faults, or all of one kind; gives how many there were."""
        gone = [f for f in self._faults if kind in {None, f.kind}]
        self._faults = [f for f in self._faults if f not in gone]
        return len(gone)

    def take(self, kind: str, **context: str) -> Fault | None:
        """Use up one time of the first fault of this kind that covers the context."""
        for fault in self._faults:
            if fault.kind != kind or fault.times == 0 or not fault.match.covers(context):
                continue
            if not fault.in_force(self._now()):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    def peek(self, kind: str, **context: str) -> Fault | None:
        """Find the fault that `take` would use, without using it."""
        for fault in self._faults:
            live = fault.kind == kind and fault.times != 0 and fault.skip == 0
            if live and fault.in_force(self._now()) and fault.match.covers(context):
                return fault
        return None

    def let_pass(self, kind: str, contexts: Iterable[Mapping[str, str]]) -> None:
        """Count one case, seen from several sides, that faults with `skip` leave alone."""
        cases = list(contexts)
        for fault in self._faults:
            covered = fault.in_force(self._now()) and any(
                fault.match.covers(case) for case in cases
            )
            if fault.kind == kind and fault.skip > 0 and covered:
                fault.skip -= 1

    def documents(self) -> list[dict[str, Any]]:
        """List the faults for the admin API, used-up ones included."""
        return [fault.document() for fault in self._faults]


def parse_fault(text: str) -> Fault:
    """Read the command line's form, `kind:key=value,key=value`.

    Raises:
        FaultSyntaxError: Unknown kind or key, or a value of the wrong type.
    """
    kind, _, rest = text.partition(":")
    entry: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise FaultSyntaxError(f"fault '{text}': '{part}' is not of the form key=value")
        entry[key.strip()] = value.strip()
    return fault_from({"kind": kind.strip(), **entry})


def fault_from(entry: Mapping[str, Any]) -> Fault:
    """Read one fault from a scenario or from the admin API.

    Matches and parameters may stand in `match` and `params` or beside `kind`.

    Raises:
        FaultSyntaxError: Unknown kind or key, or a value of the wrong type.
    """
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if key in {"match", "params"}:
            if not isinstance(value, Mapping):
                raise FaultSyntaxError(f"fault: '{key}' must be a mapping, got {value!r}")
            flat.update(value)
        else:
            flat[key] = value
    name = str(flat.pop("kind", ""))
    kind = KINDS.get(name)
    if kind is None:
        raise FaultSyntaxError(f"unknown fault kind '{name}'{near(name, KINDS)}")
    match = {key: str(flat.pop(key)) for key in MATCH_FIELDS if flat.get(key) is not None}
    times = _count(name, "times", flat.pop("times", kind.times))
    skip = _count(name, "skip", flat.pop("skip", 0)) or 0
    after = _seconds(name, "after", flat.pop("after", 0)) or 0.0
    lasts = _seconds(name, "lasts", flat.pop("lasts", None))
    params = dict(kind.params)
    for key, value in flat.items():
        if key not in params:
            known = (*MATCH_FIELDS, *COMMON, *kind.params)
            raise FaultSyntaxError(f"fault '{name}' has no key '{key}'{near(key, known)}")
        params[key] = _param(name, key, value)
    return Fault(
        kind=name,
        match=Match(**match),
        times=times,
        params=params,
        skip=skip,
        after=after,
        lasts=lasts,
    )


def _count(kind: str, key: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        number = int(str(value))
    except ValueError as exc:
        raise FaultSyntaxError(f"fault '{kind}': {key}={value!r} is not a whole number") from exc
    if number < 0:
        raise FaultSyntaxError(f"fault '{kind}': {key}={value!r} is negative")
    return number


def _seconds(kind: str, key: str, value: object) -> float | None:
    if value is None:
        return None
    number = _number(kind, key, value)
    if number < 0:
        raise FaultSyntaxError(f"fault '{kind}': {key}={value!r} is negative")
    return number


def _param(kind: str, key: str, value: object) -> float | str:
    if key in CHOICES:
        if value not in CHOICES[key]:
            choices = ", ".join(CHOICES[key])
            raise FaultSyntaxError(f"fault '{kind}': {key}={value!r} is none of {choices}")
        return str(value)
    return _number(kind, key, value)


def _number(kind: str, key: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError as exc:
        raise FaultSyntaxError(f"fault '{kind}': {key}={value!r} is not a number") from exc
    if not math.isfinite(number):
        raise FaultSyntaxError(
            f"fault '{kind}': {key}={value!r} is not a number that can be waited"
        )
    return number


def near(word: str, known: Iterable[str]) -> str:
    """Name the known word that is nearest, or all of them, to follow a complaint."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(names)}"
