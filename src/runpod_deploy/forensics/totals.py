"""Sums over many runs, for the last line of a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runpod_deploy.forensics.summary import RunSummary


@dataclass(slots=True)
class Totals:
    """What many runs came to.

    Attributes:
        cost_usd: Sum over the runs whose cost is known.
        unpriced: Runs whose cost is not known.
        wall_time_sec: Sum over the runs whose time is known.
    """

    runs: int = 0
    succeeded: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    wall_time_sec: float = 0.0
    artifact_bytes: int = 0
    leaked: int = 0

    def add(self, run: RunSummary) -> None:
        """Count one more run."""
        self.runs += 1
        self.succeeded += run.succeeded
        self.cost_usd += run.cost_usd or 0.0
        self.unpriced += run.cost_usd is None
        self.wall_time_sec += run.wall_time_sec or 0.0
        self.artifact_bytes += run.artifact_bytes
        self.leaked += len(run.leaked_pods)


def total(runs: Iterable[RunSummary]) -> Totals:
    """Return the sums over `runs`."""
    sums = Totals()
    for run in runs:
        sums.add(run)
    return sums
