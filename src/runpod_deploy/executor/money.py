"""What a running pod costs, and when it must end."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """The moment a run must have ended.

    Attributes:
        at: Seconds since the epoch; infinity when nothing limits the run.
        reason: `cost_cap` or `max_runtime`: what would be broken by going on.
    """

    at: float
    reason: str

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the deadline, not less than 0."""
        return max(0.0, self.at - now)


def accrued(rate_usd_per_hour: float | None, since: float, now: float) -> float:
    """Return USD since `since`; an unknown rate counts as 0 and must be said to be unknown."""
    return (rate_usd_per_hour or 0.0) * max(0.0, now - since) / 3600


def capped_at(billed_since: float, rate_usd_per_hour: float | None, cost_cap_usd: float) -> float:
    """Return when a pod will have cost the cap; infinity when its price is unknown."""
    return billed_since + cost_cap_usd / rate_usd_per_hour * 3600 if rate_usd_per_hour else math.inf


def deadline(
    *,
    billed_since: float,
    started: float,
    rate_usd_per_hour: float | None,
    cost_cap_usd: float,
    max_runtime_minutes: float | None,
) -> Deadline:
    """Return the earlier of the money deadline and the runtime deadline.

    Args:
        billed_since: When the pod was asked for: money runs from there.
        started: When the script starts: `max_runtime_minutes` runs from there.
        rate_usd_per_hour: The whole pod's rate; None gives no money deadline.
    """
    money = capped_at(billed_since, rate_usd_per_hour, cost_cap_usd)
    runtime = math.inf if max_runtime_minutes is None else started + max_runtime_minutes * 60
    if runtime <= money:
        return Deadline(at=runtime, reason="max_runtime")
    return Deadline(at=money, reason="cost_cap")
