"""Sizes, times and money as people read them."""

import pytest

from runpod_deploy.cli import amounts


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_951, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (5 * 10**9, "5.0 GB"),
        (10**12, "1.0 TB"),
    ],
)
def test_sizes_are_in_powers_of_ten(number: int, text: str) -> None:
    """Two digits that say something, and never four."""
    assert text == amounts.size(number)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (3599.4, "59m 59s"),
        (3600, "1h 00m"),
        (90_000, "25h 00m"),
    ],
)
def test_durations_change_their_unit(seconds: float, text: str) -> None:
    """Tenths below ten seconds, then whole seconds, then minutes, then hours."""
    assert text == amounts.duration(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60, "60 s"),
        (90, "90 s"),
        (120, "2 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (0.5, "0.5 s"),
    ],
)
def test_limits_have_no_idle_digits(seconds: float, text: str) -> None:
    """A limit reads as somebody would have written it."""
    assert text == amounts.limit(seconds)


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (0.0042, "$0.0042"), (0.1, "$0.10"), (12.345, "$12.35")]
)
def test_small_money_keeps_its_digits(amount: float, text: str) -> None:
    """An amount that is not nothing never reads as nothing."""
    assert text == amounts.usd(amount)


def test_counts_know_their_plural() -> None:
    """One is singular, all others are not, and thousands are grouped."""
    texts = [amounts.count(number, "file") for number in (0, 1, 2, 12345)]
    assert ["0 files", "1 file", "2 files", "12,345 files"] == texts
