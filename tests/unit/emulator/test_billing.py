"""Rates by state, accrual by the second, and buckets."""

import pytest

from runpod_deploy.emulator.billing import (
    BucketSize,
    Meter,
    Rate,
    buckets,
    pod_rate,
    volume_rate,
)
from runpod_deploy.emulator.clock import BillingClock, parse_rfc3339, rfc3339

NOON = parse_rfc3339("2026-03-15T12:00:00Z")  # a Sunday


def test_running_pod() -> None:
    """A running pod pays its GPUs and both disks at the same price."""
    rate = pod_rate(running=True, gpu=1.5, cpu=0.0, container_gb=72, persistent_gb=72)
    assert pytest.approx((1.5, 0.0, 0.02)) == (rate.gpu, rate.cpu, rate.disk)


def test_stopped_pod() -> None:
    """A stopped pod pays no compute, no container disk, and twice for the persistent disk."""
    rate = pod_rate(running=False, gpu=1.5, cpu=0.0, container_gb=72, persistent_gb=72)
    assert pytest.approx((0.0, 0.0, 0.02)) == (rate.gpu, rate.cpu, rate.disk)


def test_network_volume() -> None:
    """The first terabyte of a volume costs 0.07 per GB and month, the rest 0.05."""
    assert pytest.approx(0.07 * 100 / 720) == volume_rate(100).disk
    assert pytest.approx((0.07 * 1000 + 0.05 * 500) / 720) == volume_rate(1500).disk


def test_meter_over_a_life() -> None:
    """An hour on, an hour off, then gone: each stretch counts at its own rate."""
    meter = Meter()
    meter.switch(0, Rate(gpu=2.0, disk=0.1))
    meter.switch(3600, Rate(disk=0.2))
    meter.close(7200)
    total = meter.between(0, 1e9, now=1e9)
    assert pytest.approx((2.0, 0.3)) == (total.gpu, total.disk)


def test_open_stretch_counts_until_now() -> None:
    """What still runs is billed up to now, by the second."""
    meter = Meter()
    meter.switch(0, Rate(gpu=3600.0))
    assert pytest.approx(7.0) == meter.between(0, 1e9, now=7).gpu


def test_window_cuts_a_stretch() -> None:
    """Only the part inside the window counts."""
    meter = Meter()
    meter.switch(0, Rate(gpu=3600.0))
    meter.close(100)
    assert pytest.approx(10.0) == meter.between(50, 60, now=1000).gpu


def test_meter_survives_the_state_file() -> None:
    """A meter read back bills the same."""
    meter = Meter()
    meter.switch(5, Rate(gpu=1.0, cpu=2.0, disk=3.0))
    assert meter == Meter.from_document(meter.document())


@pytest.mark.parametrize(
    ("size", "start", "end"),
    [
        ("hour", "2026-03-15T12:00:00Z", "2026-03-15T13:00:00Z"),
        ("day", "2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z"),
        ("week", "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z"),
        ("month", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("year", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_bucket(size: BucketSize, start: str, end: str) -> None:
    """A moment lies in one bucket, whose edges are in UTC and whose weeks begin on Monday."""
    found = [(rfc3339(a), rfc3339(b)) for a, b in buckets(NOON + 60, NOON + 120, size)]
    assert [(start, end)] == found


def test_buckets_cover_a_range() -> None:
    """Buckets follow each other without a gap and stop at the end."""
    found = list(buckets(NOON, NOON + 3 * 3600, "hour"))
    assert 3 == len(found)
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]


def test_fast_clock() -> None:
    """At speed 60 a real minute is an hour of billing."""
    clock = BillingClock(speed=60.0, origin=1000.0)
    assert 1000.0 + 3600.0 == clock.at(1060.0)


@pytest.mark.parametrize("text", ["2026-03-15T12:00:00", "noon", "12"])
def test_time_without_offset(text: str) -> None:
    """A time needs its offset."""
    with pytest.raises(ValueError, match=r".+"):
        parse_rfc3339(text)
