"""The last requests, for tests that ask what a client really did."""

import json
from collections import deque
from typing import Any

KEPT = 1_000
_SECRET = frozenset({"password", "username"})
REDACTED = "<redacted>"


class RequestLog:
    """A ring of plain documents, oldest first."""

    def __init__(self) -> None:
        self._ring: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def add(self, document: dict[str, Any]) -> None:
        """Note a request that was answered."""
        self._ring.append(document)

    def documents(self) -> list[dict[str, Any]]:
        """Give them all."""
        return list(self._ring)


def redacted_body(raw: bytes) -> Any:
    """Decode a JSON body and hide every value of `env` and every credential; else None."""
    try:
        return redacted(json.loads(raw)) if raw else None
    except ValueError:
        return None


def redacted(value: Any) -> Any:
    """Copy plain data without the values of `env` and without credentials."""
    if isinstance(value, list):
        return [redacted(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if key == "env" and isinstance(item, dict):
            result[key] = dict.fromkeys(item, REDACTED)
        else:
            result[key] = REDACTED if key in _SECRET else redacted(item)
    return result
