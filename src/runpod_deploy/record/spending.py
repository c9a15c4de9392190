"""What pods cost while they run and while they are stopped, from the create call to their confirmed end."""

from __future__ import annotations

from dataclasses import dataclass

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.rates import running_disk_per_hour, stopped_disk_per_hour
from runpod_deploy.record.run import PodRecord, Run
from runpod_deploy.record.tolerant import elapsed


@dataclass(frozen=True, kw_only=True, slots=True)
class Disks:
    """USD per hour that a pod's own disks cost beside its compute."""

    running: float = 0.0
    stopped: float = 0.0


NO_DISKS = Disks()


def disks_of(plan: Plan) -> Disks:
    """Return what the disks of all the plan's pods cost; a network volume bills on its own."""
    persistent = (plan.storage.volume_gb or 0) if plan.storage.mode == "ephemeral" else 0
    return Disks(
        running=running_disk_per_hour(plan.pod.container_disk_gb, persistent) * plan.nodes,
        stopped=stopped_disk_per_hour(persistent) * plan.nodes,
    )


def accrued_usd(
    run: Run, until: str, assumed_rate: float | None = None, disks: Disks = NO_DISKS
) -> float:
    """Return what the run's pods have cost so far: compute and disks, running and stopped.

    Each counts from the intent to create it to its confirmed stop, and its persistent disk from
    there to its confirmed deletion. A pod whose price is not known costs its disks, unless
    `assumed_rate` is given.

    Args:
        until: UTC time up to which a pod that has not ended counts.
        assumed_rate: USD per hour for pods without a price of their own.
    """
    return sum(pod_usd(pod, until, assumed_rate, disks) for pod in run.pods.values())


def pod_usd(pod: PodRecord, until: str, assumed_rate: float | None, disks: Disks) -> float:
    """Return what one pod has cost until the UTC time `until`; one that never was costs nothing."""
    if pod.pod_id is None:
        return 0.0
    rate = pod.cost_per_hour_usd if pod.cost_per_hour_usd is not None else assumed_rate
    running = pod.ran_sec + (elapsed(pod.created_at, pod.ended_at or until) or 0.0)
    stopped = pod.rested_sec + (elapsed(pod.ended_at, pod.gone_at or until) or 0.0)
    return ((rate or 0.0) + disks.running) * running / 3600 + disks.stopped * stopped / 3600
