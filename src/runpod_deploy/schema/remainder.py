"""What is left of a document without its faults, so that the rest of it can be checked at once."""

from collections.abc import Iterable, Mapping
from typing import Any

from runpod_deploy.schema.conforms import conforms
from runpod_deploy.schema.faults import Fault, faults
from runpod_deploy.schema.pointer import child, parent, split

_MOST_ROUNDS = 5
"""A value that is taken away can break another rule, such as one about its section."""

_SPELT = ("/variables", "/pod/env", "/remote_env/exports", "/run/env", "/matrix", "/forward")
"""Values that are taken as they are spelt; with one of them in doubt too much else is."""

_SOURCED = ("/remote_env/source_files",)
_REST_ON = dict.fromkeys(("/secrets", "/staging", "/setup", "/preflight"), _SOURCED)
"""What is checked by whether another list makes it: nothing is known of it without that list."""


def misfits(data: Any, schema: Mapping[str, Any], refused: Iterable[str]) -> frozenset[str] | None:
    """Return the pointers of all that has to go for a document to keep to its schema.

    Args:
        data: A document.
        schema: What it breaks.
        refused: Pointers of keys that may not stand there, whatever the schema says.

    Returns:
        None when too little is left: a value that is needed is missing or wrong. Of a list with a
        wrong item all goes, since without that one the others would have other places.
    """
    gone = set(refused)
    data = without(data, gone)
    for _ in range(_MOST_ROUNDS):
        if any(_near(pointer, spelt) for pointer in gone for spelt in _SPELT):
            return None
        if conforms(data, schema, schema):
            return frozenset(gone)
        wrong = {_whole(pointer) for fault in faults(data, schema) for pointer in _of(fault)}
        if "" in wrong:
            return None
        gone |= wrong
        data = without(data, wrong)
    return None


def without(data: Any, gone: Iterable[str]) -> Any:
    """Return a document without the values at some pointers; what holds them is copied."""
    # What holds another goes last, so that every pointer still leads somewhere.
    for pointer in sorted(gone, key=len, reverse=True):
        data = _without(data, split(pointer))
    return data


def in_doubt(data: Any, gone: Iterable[str]) -> frozenset[str]:
    """Return the pointers about which nothing can be said once values were taken away.

    These are the values themselves, and the single values that stood beside them: a check of one of
    those may rest on what is gone.
    """
    doubtful = set(gone)
    for pointer in gone:
        doubtful |= set(_REST_ON.get(pointer, ()))
        above = parent(pointer)
        section = data
        for key in split(above):
            section = section[int(key) if isinstance(section, list) else key]
        doubtful |= {
            child(above, key)
            for key, value in section.items()
            if not isinstance(value, (dict, list))
        }
    return frozenset(doubtful)


def _of(fault: Fault) -> Iterable[str]:
    """Return the pointers of what has to go for a rule to hold."""
    if fault.keyword == "additionalProperties":
        known = fault.schema.get("properties", {})
        return [child(fault.pointer, key) for key in fault.value if key not in known]
    return [fault.pointer]


def _whole(pointer: str) -> str:
    """Return the pointer of what has to go together with a value: of an item, its list."""
    while pointer and split(pointer)[-1].isdecimal():
        pointer = parent(pointer)
    return pointer


def _near(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _without(data: Any, path: tuple[str, ...]) -> Any:
    """Return `data` without the value at `path`; nothing else is copied than what holds it."""
    key, *below = path
    if isinstance(data, list) and key.isdecimal() and int(key) < len(data) and below:
        at = int(key)
        return [*data[:at], _without(data[at], tuple(below)), *data[at + 1 :]]
    if not isinstance(data, dict) or key not in data:
        return data
    if not below:
        return {name: value for name, value in data.items() if name != key}
    return {**data, key: _without(data[key], tuple(below))}
