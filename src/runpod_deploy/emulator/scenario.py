"""A scenario file: the faults of one rehearsal, and how fast time runs in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runpod_deploy.emulator.faults import Fault, FaultSyntaxError, fault_from, near, parse_fault

_KEYS = ("description", "billing_speed", "faults")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """What a file asks for; `billing_speed` None leaves it to the flag."""

    faults: tuple[Fault, ...]
    billing_speed: float | None = None


def load_scenario(path: Path) -> Scenario:
    """Read a YAML or JSON file: a list of faults, or a mapping with the list under `faults`.

    Raises:
        FaultSyntaxError: The file cannot be read or holds something else; the message names the file,
            and of a fault its number in the list.
    """
    data = _read(path)
    if isinstance(data, list):
        data = {"faults": data}
    if not isinstance(data, Mapping):
        raise FaultSyntaxError(f"{path}: expected a list of faults, or a mapping with `faults:`")
    for key in data:
        if key not in _KEYS:
            raise FaultSyntaxError(f"{path}: a scenario has no key '{key}'{near(str(key), _KEYS)}")
    entries = data.get("faults")
    if not isinstance(entries, list):
        raise FaultSyntaxError(f"{path}: expected a list of faults under `faults:`")
    return Scenario(
        faults=tuple(_fault(path, number, entry) for number, entry in enumerate(entries, 1)),
        billing_speed=_speed(path, data.get("billing_speed")),
    )


def _read(path: Path) -> Any:
    import yaml  # noqa: PLC0415 - only a scenario file needs it, and the start must be quick

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        place = "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
        raise FaultSyntaxError(f"{path}{place}: not YAML: {exc.problem}") from exc
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as exc:
        raise FaultSyntaxError(f"cannot read the scenario {path}: {exc}") from exc


def _fault(path: Path, number: int, entry: object) -> Fault:
    try:
        if isinstance(entry, str):
            return parse_fault(entry)
        if isinstance(entry, Mapping):
            return fault_from(entry)
    except FaultSyntaxError as exc:
        raise FaultSyntaxError(f"{path}: fault {number}: {exc}") from exc
    raise FaultSyntaxError(
        f"{path}: fault {number} is {entry!r}; expected a mapping with `kind:`, or a text as of --fault"
    )


def _speed(path: Path, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 10_000:
        raise FaultSyntaxError(
            f"{path}: billing_speed is {value!r}; expected a number above 0 and up to 10000"
        )
    return float(value)
