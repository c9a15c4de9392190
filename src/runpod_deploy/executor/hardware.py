"""What a pod's hardware is, read from nvidia-smi and df in one remote command."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_MARK = "--runpod-deploy--"
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU; memory in GB (10^9 bytes)."""

    name: str
    memory_gb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """What was seen; None for what no tool told."""

    gpus: tuple[Card, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    disk_gb: float | None = None
    trouble: str | None = None


def probe_command(home: str) -> str:
    """Return the shell command whose output `parse_hardware` reads; `home` lies on the container disk."""
    query = "nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits"
    return (
        f"{query} 2>&1; echo {_MARK}; nvidia-smi 2>/dev/null | head -n 12; echo {_MARK}; "
        f"df -Pk {shlex.quote(home)} 2>/dev/null | tail -n 1"
    )


def parse_hardware(output: str) -> Hardware:
    """Read the probe's output; what cannot be read is None."""
    listing, banner, disk = (*output.split(_MARK), "", "", "")[:3]
    cards, drivers, trouble = [], [], None
    for line in listing.strip().splitlines():
        name, memory, driver = (*(part.strip() for part in line.rsplit(",", 2)), "", "", "")[:3]
        if _NUMBER.fullmatch(memory) and re.fullmatch(r"[0-9.]{1,40}", driver):
            cards.append(Card(name, float(memory) * 1024 * 1024 / 1e9))
            drivers.append(driver)
        else:
            trouble = trouble or line.strip()
    cuda = re.search(r"CUDA Version:\s*([0-9.]{1,40})", banner)
    columns = disk.split()
    free = columns[3] if len(columns) > 4 and _NUMBER.fullmatch(columns[3]) else None
    return Hardware(
        gpus=tuple(cards),
        driver=drivers[0] if drivers else None,
        cuda=cuda[1] if cuda else None,
        disk_gb=float(free) * 1024 / 1e9 if free else None,
        trouble=trouble,
    )
