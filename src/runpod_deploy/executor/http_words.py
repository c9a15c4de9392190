"""What broke between us and a server that is not RunPod, as people say it."""

from __future__ import annotations

import httpx


def broke(error: Exception) -> str:
    """Return why there was no answer, without the names of our libraries."""
    if isinstance(error, httpx.TimeoutException):
        return "not in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection could be made"
    if isinstance(error, httpx.TransportError | OSError):
        return "the connection broke"
    return "its address or its answer cannot be used"
