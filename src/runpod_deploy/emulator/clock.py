"""Two clocks: the real one for requests, and one for money that may run ahead of it."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


def rfc3339(moment: float, *, micros: bool = False) -> str:
    """Word a POSIX time as RFC 3339 in UTC, to the second or to the microsecond."""
    spec = "microseconds" if micros else "seconds"
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec=spec)
    return text.replace("+00:00", "Z")


def parse_rfc3339(text: str) -> float:
    """Read an RFC 3339 time with its offset; gives POSIX seconds.

    Raises:
        ValueError: Not a time, or one without an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment.timestamp()


@dataclass(frozen=True, kw_only=True, slots=True)
class BillingClock:
    """Runs `speed` times as fast as the real clock from `origin` (POSIX seconds) on."""

    speed: float = 1.0
    origin: float = field(default_factory=time.time)

    def now(self) -> float:
        """Give the billing time now, POSIX seconds."""
        return self.at(time.time())

    def at(self, moment: float) -> float:
        """Translate a real POSIX time into billing time."""
        return self.origin + (moment - self.origin) * self.speed
