"""What disks cost at RunPod: USD per GB and month, spread over months of 30 days."""

HOURS_PER_MONTH = 720

RUNNING_DISK = 0.10
"""Container disk and persistent disk of a pod that runs."""

STOPPED_DISK = 0.20
"""Persistent disk of a pod that is stopped: twice as much. The container disk is wiped then."""

VOLUME_FIRST_TB = 0.07
VOLUME_ABOVE = 0.05
_FIRST_GB = 1000


def running_disk_per_hour(container_gb: int, persistent_gb: int) -> float:
    """Return USD per hour for the disks of a running pod."""
    return (container_gb + persistent_gb) * RUNNING_DISK / HOURS_PER_MONTH


def stopped_disk_per_hour(persistent_gb: int) -> float:
    """Return USD per hour for the persistent disk of a stopped pod."""
    return persistent_gb * STOPPED_DISK / HOURS_PER_MONTH


def stopped_disk_per_day(persistent_gb: int) -> float:
    """Return USD per day for the persistent disk of a stopped pod."""
    return stopped_disk_per_hour(persistent_gb) * 24


def volume_per_month(size_gb: int) -> float:
    """Return USD per month for a network volume: the first 1,000 GB, then each GB above."""
    return min(size_gb, _FIRST_GB) * VOLUME_FIRST_TB + max(0, size_gb - _FIRST_GB) * VOLUME_ABOVE
