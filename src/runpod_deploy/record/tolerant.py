"""Reads fields of events that an older, newer or broken writer may have left out or spoilt.

Each function returns what is there when it has the right type and else nothing: never an error.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def text(fields: Mapping[str, Any], key: str) -> str | None:
    """Return a string that is not empty."""
    value = fields.get(key)
    return value if isinstance(value, str) and value else None


def number(fields: Mapping[str, Any], key: str) -> float | None:
    """Return a finite number."""
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def finite(value: Any) -> Any:
    """Return JSON-like data that JSON can say: NaN and the infinities are null, keys are texts."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def integer(fields: Mapping[str, Any], key: str) -> int | None:
    """Return an integer."""
    value = fields.get(key)
    return value if type(value) is int else None


def boolean(fields: Mapping[str, Any], key: str) -> bool | None:
    """Return true or false."""
    value = fields.get(key)
    return value if isinstance(value, bool) else None


def texts(fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the strings of a list."""
    value = fields.get(key)
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def seconds(stamp: str | None) -> float | None:
    """Return an ISO 8601 time as seconds since the epoch; one without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(stamp or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def elapsed(since: str | None, until: str) -> float | None:
    """Return the seconds between two UTC times, not less than 0; None when one cannot be read."""
    start, end = seconds(since), seconds(until)
    return None if start is None or end is None else round(max(0.0, end - start), 6)
