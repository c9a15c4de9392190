"""What pods and volumes cost: rates by state, accrued by the second, cut into buckets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

BucketSize = Literal["hour", "day", "week", "month", "year"]
BUCKET_SIZES: tuple[BucketSize, ...] = ("hour", "day", "week", "month", "year")

HOURS_PER_MONTH = 720
"""Monthly disk prices are spread over 30 days of 24 hours."""

CONTAINER_DISK = 0.10
PERSISTENT_RUNNING = 0.10
PERSISTENT_STOPPED = 0.20
VOLUME_FIRST_TB = 0.07
VOLUME_ABOVE = 0.05
FIRST_TB_GB = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """USD per hour, by what is being paid for."""

    gpu: float = 0.0
    cpu: float = 0.0
    disk: float = 0.0


@dataclass(kw_only=True, slots=True)
class Segment:
    """A stretch of billing time (POSIX seconds) at one rate; open while `end` is None."""

    start: float
    rate: Rate
    end: float | None = None


@dataclass(kw_only=True, slots=True)
class Meter:
    """The bill of one pod or volume: stretches in time order, at most the last one open."""

    segments: list[Segment] = field(default_factory=list)

    def switch(self, now: float, rate: Rate) -> None:
        """Go on at another rate."""
        self.close(now)
        self.segments.append(Segment(start=now, rate=rate))

    def close(self, now: float) -> None:
        """Stop counting."""
        if self.segments and self.segments[-1].end is None:
            self.segments[-1].end = max(now, self.segments[-1].start)

    def between(self, start: float, end: float, now: float) -> Rate:
        """Give the USD accrued in [start, end), up to now."""
        gpu = cpu = disk = 0.0
        for segment in self.segments:
            last = min(end, now if segment.end is None else segment.end)
            hours = max(0.0, last - max(start, segment.start)) / 3600
            gpu += hours * segment.rate.gpu
            cpu += hours * segment.rate.cpu
            disk += hours * segment.rate.disk
        return Rate(gpu=gpu, cpu=cpu, disk=disk)

    def document(self) -> list[list[float | None]]:
        """Give the segments as plain numbers, for the state file."""
        return [[s.start, s.end, s.rate.gpu, s.rate.cpu, s.rate.disk] for s in self.segments]

    @classmethod
    def from_document(cls, rows: Sequence[Sequence[Any]]) -> "Meter":
        """Read what `document` gave."""
        return cls(
            segments=[
                Segment(start=start, end=end, rate=Rate(gpu=gpu, cpu=cpu, disk=disk))
                for start, end, gpu, cpu, disk in rows
            ]
        )


def pod_rate(
    *, running: bool, gpu: float, cpu: float, container_gb: int, persistent_gb: int
) -> Rate:
    """Give a pod's rate: compute and container disk while it runs, its own disk always.

    Args:
        running: Whether it holds its machine; a stopped pod pays twice for the persistent disk.
        gpu: USD per hour of all its GPUs.
        cpu: USD per hour of its vCPUs, for pods without GPUs.
        container_gb: Container disk, GB.
        persistent_gb: Persistent mount, GB, 0 without one.
    """
    if not running:
        return Rate(disk=_hourly(PERSISTENT_STOPPED, persistent_gb))
    disk = _hourly(CONTAINER_DISK, container_gb) + _hourly(PERSISTENT_RUNNING, persistent_gb)
    return Rate(gpu=gpu, cpu=cpu, disk=disk)


def volume_rate(size_gb: int) -> Rate:
    """Give a network volume's rate: the first TB costs more than what is above it."""
    first = min(size_gb, FIRST_TB_GB)
    above = size_gb - first
    return Rate(disk=_hourly(VOLUME_FIRST_TB, first) + _hourly(VOLUME_ABOVE, above))


def _hourly(per_gb_month: float, size_gb: int) -> float:
    return per_gb_month * size_gb / HOURS_PER_MONTH


def bucket_start(moment: float, size: BucketSize) -> datetime:
    """Give the start of the bucket a POSIX time falls into; weeks begin on Monday, UTC."""
    hour = datetime.fromtimestamp(moment, UTC).replace(minute=0, second=0, microsecond=0)
    if size == "hour":
        return hour
    day = hour.replace(hour=0)
    if size == "week":
        return day - timedelta(days=day.weekday())
    if size == "month":
        return day.replace(day=1)
    if size == "year":
        return day.replace(month=1, day=1)
    return day


def next_bucket(start: datetime, size: BucketSize) -> datetime:
    """Give the start of the bucket after the one that starts here."""
    if size == "month":
        return (start + timedelta(days=32)).replace(day=1)
    if size == "year":
        return start.replace(year=start.year + 1)
    return start + {"hour": timedelta(hours=1), "week": timedelta(days=7)}.get(
        size, timedelta(days=1)
    )


def buckets(start: float, end: float, size: BucketSize) -> Iterator[tuple[float, float]]:
    """Cut [start, end) into whole buckets, widened outwards to their edges (POSIX seconds)."""
    at = bucket_start(start, size)
    while True:
        following = next_bucket(at, size)
        yield at.timestamp(), following.timestamp()
        if following.timestamp() >= end:
            return
        at = following
