"""Requests per user in fixed windows, with the headers that tell how many are left."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from runpod_deploy.emulator.options import RateLimits

WINDOWS = {"minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(slots=True)
class _Window:
    name: str
    quota: int
    seconds: int
    begun: float
    used: int = 0

    def left(self) -> int:
        return max(0, self.quota - self.used)

    def reset_in(self, now: float) -> int:
        return max(0, math.ceil(self.begun + self.seconds - now))


@dataclass(frozen=True, kw_only=True, slots=True)
class Exceeded:
    """The window that is used up, and the whole seconds until it opens again."""

    window: str
    retry_after: int


class RateLimiter:
    """Counts requests; `now` gives seconds on any clock that only goes forward."""

    def __init__(self, limits: RateLimits, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        begun = now()
        self._windows = [
            _Window(name, getattr(limits, name), seconds, begun)
            for name, seconds in WINDOWS.items()
        ]

    def count(self) -> Exceeded | None:
        """Count one request, unless a window is used up."""
        now = self._now()
        for window in self._windows:
            if now >= window.begun + window.seconds:
                window.begun, window.used = now, 0
        for window in self._windows:
            if not window.left():
                return Exceeded(window=window.name, retry_after=max(1, window.reset_in(now)))
        for window in self._windows:
            window.used += 1
        return None

    def headers(self) -> dict[str, str]:
        """Give RateLimit and RateLimit-Policy as they stand now."""
        now = self._now()
        return {
            "RateLimit": ", ".join(
                f'"{w.name}";r={w.left()};t={w.reset_in(now)}' for w in self._windows
            ),
            "RateLimit-Policy": ", ".join(
                f'"{w.name}";q={w.quota};w={w.seconds}' for w in self._windows
            ),
        }
