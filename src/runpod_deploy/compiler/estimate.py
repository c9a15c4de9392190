"""What a run would cost: price × GPUs, disks, at the usual length, at the longest and at the cap."""

from typing import Literal

from runpod_deploy.compiler import rates
from runpod_deploy.compiler.market import asking_order
from runpod_deploy.compiler.observed import (
    CandidateOffer,
    Estimate,
    ObservedCatalog,
    Spend,
    TypicalSpend,
)
from runpod_deploy.compiler.plan import Plan

PriceSource = Literal["catalog", "assumed"]


def first_choice(plan: Plan, catalog: ObservedCatalog) -> int | None:
    """Return the index of the candidate that apply would ask for first; None when for none."""
    order = asking_order(plan.pod, catalog.candidates)
    return order[0] if order else None


def estimate(plan: Plan, catalog: ObservedCatalog, typical: TypicalSpend | None = None) -> Estimate:
    """Return what a run of `plan` would cost by `catalog`.

    Args:
        typical: How long earlier runs took; its `usd` is worked out here.
    """
    choice = first_choice(plan, catalog)
    compute, source = _compute(plan, None if choice is None else catalog.candidates[choice])
    persistent = (plan.storage.volume_gb or 0) if plan.storage.mode == "ephemeral" else 0
    disk = rates.running_disk_per_hour(plan.pod.container_disk_gb, persistent) * plan.nodes
    rate = None if compute is None else compute + disk
    longest = _longest(plan, rate)
    cap = (
        None
        if not rate
        else Spend(seconds=plan.budget.cost_cap_usd / rate * 3600, usd=plan.budget.cost_cap_usd)
    )
    return Estimate(
        candidate=choice,
        price_source=source,
        compute_per_hour_usd=compute,
        disk_per_hour_usd=disk,
        rate_per_hour_usd=rate,
        volume_per_month_usd=(
            rates.volume_per_month(catalog.volume.size_gb) if catalog.volume else None
        ),
        stopped_per_day_usd=(
            rates.stopped_disk_per_day(persistent)
            if persistent and plan.lifecycle.may_stop
            else None
        ),
        typical=None if typical is None else _priced(typical, rate),
        at_max_runtime=longest,
        at_cap=cap,
        ends_by=None if cap is None else _ends_by(longest, cap),
    )


def expected_usd(made: Estimate | None) -> float | None:
    """Return what a run is expected to cost: as usual, else at its longest; None when not known."""
    if made is None:
        return None
    if made.typical is not None and made.typical.usd is not None:
        return made.typical.usd
    return made.at_max_runtime.usd if made.at_max_runtime is not None else None


def _compute(plan: Plan, offer: CandidateOffer | None) -> tuple[float | None, PriceSource | None]:
    if offer is None:
        return None, None
    if offer.price_per_hour_usd is not None:
        return offer.price_per_hour_usd, "catalog"
    assumed = plan.budget.assumed_hourly_rate_usd
    return (None, None) if assumed is None else (assumed, "assumed")


def _longest(plan: Plan, rate: float | None) -> Spend | None:
    minutes = plan.budget.max_runtime_minutes
    if minutes is None or rate is None:
        return None
    return Spend(seconds=minutes * 60, usd=rate * minutes / 60)


def _ends_by(longest: Spend | None, cap: Spend) -> Literal["max_runtime", "cost_cap"]:
    return "max_runtime" if longest is not None and longest.seconds <= cap.seconds else "cost_cap"


def _priced(typical: TypicalSpend, rate: float | None) -> TypicalSpend:
    return TypicalSpend(
        runs=typical.runs,
        same_gpu=typical.same_gpu,
        seconds=typical.seconds,
        usd=None if rate is None else rate * typical.seconds / 3600,
    )
