"""Faults: what goes wrong, for whom, how often.

A fault is data. The places that can fail ask the board for the first fault of their kind that
matches what they are doing; asking uses one of its `times` up. A new kind is one line in `KINDS`
and one question at the place where it happens.
"""

import difflib
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

ALWAYS: Final = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One way to fail: how often by default (None: always), and its parameters with defaults."""

    times: int | None
    params: Mapping[str, float | str]
    effect: str


KINDS: Mapping[str, Kind] = {
    "stock-out": Kind(
        times=ALWAYS,
        params={"hidden": 0},
        effect="creates answer the capacity 400; hidden=1 leaves it on show in the catalog",
    ),
    "stock-limit": Kind(times=ALWAYS, params={"free": 1}, effect="only `free` GPUs are left"),
    "create-5xx-before": Kind(times=1, params={"status": 500}, effect="no pod, 5xx"),
    "create-5xx-after": Kind(times=1, params={"status": 500}, effect="the pod is made, then 5xx"),
    "create-hang-after": Kind(
        times=1, params={"seconds": 30}, effect="the pod is made, the answer comes late"
    ),
    "rate-limit": Kind(times=1, params={"retry_after": 1}, effect="429 with Retry-After"),
    "server-error": Kind(times=1, params={"status": 503}, effect="5xx before anything happens"),
    "slow": Kind(times=ALWAYS, params={"seconds": 1}, effect="requests wait before they act"),
    "balance-too-low": Kind(times=ALWAYS, params={}, effect="creates answer 402"),
    "pod-key-refused": Kind(
        times=ALWAYS, params={"status": 403}, effect="the key inside the pod is refused"
    ),
    "image-refused": Kind(times=ALWAYS, params={}, effect="creates answer 422"),
    "wrong-price": Kind(
        times=ALWAYS, params={"factor": 2}, effect="the pod costs `factor` times the list price"
    ),
    "never-ready": Kind(times=ALWAYS, params={}, effect="runtime and ssh.direct stay null"),
    "no-sshd": Kind(times=ALWAYS, params={}, effect="the image starts no sshd"),
    "error-state": Kind(
        times=ALWAYS, params={"seconds": 0}, effect="the pod turns to ERROR after `seconds`"
    ),
    "slow-pull": Kind(
        times=ALWAYS, params={"seconds": 10}, effect="the image pull takes `seconds`"
    ),
    "pull-fails": Kind(times=ALWAYS, params={}, effect="the image pull fails for ever"),
    "zero-gpus": Kind(
        times=ALWAYS,
        params={"when": "always"},
        effect="nvidia-smi shows no GPU; when=create, start or always",
    ),
    "start-refused": Kind(
        times=1, params={"status": 400}, effect="start answers that the host has no free GPU"
    ),
    "stale-port": Kind(
        times=ALWAYS, params={}, effect="the first poll after a start still shows the old port"
    ),
    "delete-fails": Kind(times=1, params={"status": 500}, effect="delete answers 5xx, pod stays"),
    "delete-lies": Kind(times=1, params={}, effect="delete answers 204, pod stays"),
    "pod-killed": Kind(
        times=ALWAYS,
        params={"seconds": 5, "then": "exited"},
        effect="the pod dies after `seconds`; then=exited, error or gone",
    ),
    "ssh-drop": Kind(
        times=ALWAYS, params={"seconds": 5}, effect="SSH connections are cut after `seconds`"
    ),
    "log-drop": Kind(
        times=1, params={"events": 1}, effect="the log stream is cut after `events` events"
    ),
}
_CHOICES = {"when": ("create", "start", "always"), "then": ("exited", "error", "gone")}


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


MATCH_FIELDS: Final = tuple(item.name for item in fields(Match))


@dataclass(kw_only=True, slots=True)
class Fault:
    """One fault; `times` counts down to 0, None never does; `skip` lets that many pass first."""

    kind: str
    match: Match
    times: int | None
    params: dict[str, float | str]
    skip: int = 0

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
            "params": dict(self.params),
        }


class FaultBoard:
    """The faults that are in force, oldest first."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
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
            if live and fault.match.covers(context):
                return fault
        return None

    def let_pass(self, kind: str, contexts: Iterable[Mapping[str, str]]) -> None:
        """Count one case, seen from several sides, that faults with `skip` leave alone."""
        cases = list(contexts)
        for fault in self._faults:
            covered = any(fault.match.covers(case) for case in cases)
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
        raise FaultSyntaxError(f"unknown fault kind '{name}'{_near(name, KINDS)}")
    match = {key: str(flat.pop(key)) for key in MATCH_FIELDS if flat.get(key) is not None}
    times = _count(name, "times", flat.pop("times", kind.times))
    skip = _count(name, "skip", flat.pop("skip", 0)) or 0
    params = dict(kind.params)
    for key, value in flat.items():
        if key not in params:
            known = (*MATCH_FIELDS, "times", "skip", *kind.params)
            raise FaultSyntaxError(f"fault '{name}' has no key '{key}'{_near(key, known)}")
        params[key] = _param(name, key, value)
    return Fault(kind=name, match=Match(**match), times=times, params=params, skip=skip)


def load_scenario(path: Path) -> list[Fault]:
    """Read a YAML or JSON file: a list of faults, or a mapping with the list under `faults`.

    Raises:
        FaultSyntaxError: The file cannot be read or holds something else.
    """
    import yaml  # noqa: PLC0415 - only a scenario file needs it, and the start must be quick

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise FaultSyntaxError(f"cannot read the scenario {path}: {exc}") from exc
    if isinstance(data, Mapping):
        data = data.get("faults")
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        raise FaultSyntaxError(f"{path}: expected a list of faults, or a mapping with `faults:`")
    return [fault_from(item) for item in data]


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


def _param(kind: str, key: str, value: object) -> float | str:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            choices = ", ".join(_CHOICES[key])
            raise FaultSyntaxError(f"fault '{kind}': {key}={value!r} is none of {choices}")
        return str(value)
    try:
        return float(str(value))
    except ValueError as exc:
        raise FaultSyntaxError(f"fault '{kind}': {key}={value!r} is not a number") from exc


def _near(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(names)}"
