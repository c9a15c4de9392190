"""What every view and every question needs to know of the run: its state so far, as folded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.record.events import Event
from runpod_deploy.record.records import PodRecord, Run
from runpod_deploy.record.run import step
from runpod_deploy.record.spending import accrued_usd, disks_of

if TYPE_CHECKING:
    from runpod_deploy.compiler.plan import PlanFile
    from runpod_deploy.executor.run import Target


@dataclass(kw_only=True)
class Watch:
    """A run as its events told it so far.

    Attributes:
        folder: The run folder; None until it was claimed.
        resumed: Whether an earlier executor began it.
    """

    plan_file: PlanFile
    target: Target
    run: Run = field(default_factory=Run)
    folder: Path | None = None
    run_id: str = ""
    resumed: bool = False

    def opened(self, folder: Path, run_id: str) -> None:
        """Remember where the run is."""
        self.folder, self.run_id = folder, run_id

    def event(self, event: Event) -> None:
        """Fold one more event."""
        self.run = step(self.run, event)

    def spent_usd(self, now: str) -> float:
        """Return what the run has cost until the UTC time `now`."""
        plan = self.plan_file.plan
        return accrued_usd(self.run, now, plan.budget.assumed_hourly_rate_usd, disks_of(plan))

    @property
    def left(self) -> tuple[PodRecord, ...]:
        """Pods that still cost something, or may: alive, stopped, or not known to be gone."""
        return tuple(pod for pod in self.run.pods.values() if pod.status not in {"gone", "refused"})


def shown(folder: Path) -> str:
    """Return a folder as people read it: relative where it lies below the working folder."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
