"""When a run must end, and what it costs until then."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_deploy.executor.money import Deadline, accrued, deadline

RATES = st.floats(min_value=0.01, max_value=100)
TIMES = st.floats(min_value=0, max_value=1e5)


@pytest.mark.parametrize(
    ("rate", "cap", "minutes", "at", "reason"),
    [
        (2.0, 10.0, None, 1000 + 18_000, "cost_cap"),
        (2.0, 10.0, 60.0, 1500 + 3600, "max_runtime"),
        (8.0, 10.0, 600.0, 1000 + 4500, "cost_cap"),
        (None, 10.0, 60.0, 1500 + 3600, "max_runtime"),
        (0.0, 10.0, 60.0, 1500 + 3600, "max_runtime"),
        (None, 10.0, None, math.inf, "max_runtime"),
        (2.0, 10.0, 0.5, 1530, "max_runtime"),
    ],
)
def test_deadline_is_the_earlier_of_money_and_runtime(
    rate: float | None, cap: float, minutes: float | None, at: float, reason: str
) -> None:
    """Money runs from the create call, runtime from the start of the script."""
    found = deadline(
        billed_since=1000.0,
        started=1500.0,
        rate_usd_per_hour=rate,
        cost_cap_usd=cap,
        max_runtime_minutes=minutes,
    )
    assert Deadline(at=at, reason=reason) == found


@given(rate=RATES, cap=RATES, setup=TIMES)
def test_nothing_is_spent_beyond_the_cap(rate: float, cap: float, setup: float) -> None:
    """At the deadline exactly the cap has accrued, setup included."""
    found = deadline(
        billed_since=0.0,
        started=setup,
        rate_usd_per_hour=rate,
        cost_cap_usd=cap,
        max_runtime_minutes=None,
    )
    assert math.isclose(cap, accrued(rate, 0.0, found.at), rel_tol=1e-9)


def test_seconds_left_end_at_zero() -> None:
    """After the deadline nothing is left, and an endless run has for ever."""
    assert 5.0 == Deadline(at=105.0, reason="cost_cap").seconds_left(100.0)
    assert 0.0 == Deadline(at=95.0, reason="cost_cap").seconds_left(100.0)
    assert math.inf == Deadline(at=math.inf, reason="max_runtime").seconds_left(100.0)


@pytest.mark.parametrize(
    ("rate", "since", "now", "usd"),
    [(3.6, 0.0, 1000.0, 1.0), (None, 0.0, 1000.0, 0.0), (3.6, 1000.0, 0.0, 0.0)],
)
def test_accrued(rate: float | None, since: float, now: float, usd: float) -> None:
    """Rate times time; an unknown rate counts nothing, and a clock set back does not earn money."""
    assert math.isclose(usd, accrued(rate, since, now))
