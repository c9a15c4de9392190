"""Prices, stock and ages in words, for every view that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from runpod_deploy.cli.amounts import count, duration, limit, usd
from runpod_deploy.cli.layout import Row
from runpod_deploy.compiler.market import reason
from runpod_deploy.compiler.observed import CandidateOffer, Estimate, ObservedCatalog, StockLevel
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.rates import volume_per_month

UNKNOWN = "unknown"


def per_hour(price: float | None) -> str:
    """Return `$0.49/h`, or that the price is not known: never $0.00."""
    return UNKNOWN if price is None else f"{usd(price)}/h"


def stock(level: StockLevel | str | None) -> str:
    """Return `high`, `medium`, `low` or `none`; `?` where the catalog did not say."""
    return "?" if level is None else level.lower()


def age(seconds: float) -> str:
    """Return `just now`, `12 s ago`, `3 min ago`, `2 h ago`."""
    whole = max(0, round(seconds))
    if whole < 2:
        return "just now"
    if whole < 120:
        return f"{whole} s ago"
    minutes = whole // 60
    return f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"


def seconds_since(stamp: str, now: float) -> float:
    """Return the seconds from a UTC stamp to `now`, not less than 0; 0 for what is no stamp."""
    return max(0.0, now - (_moment(stamp) or now))


def _moment(stamp: str) -> float:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return 0.0
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def source(catalog: ObservedCatalog, now: float) -> str:
    """Return whose prices and stock these are, and how old: `runpod, read 12 s ago`."""
    return f"{catalog.cloud}, read {age(seconds_since(catalog.read_at, now))}"


def then(seen: ObservedCatalog, compiled_at: str) -> str:
    """Return whose prices and stock a plan shows, and how old they were when it was made."""
    told = age(seconds_since(seen.read_at, _moment(compiled_at)))
    return f"prices and stock: {seen.cloud}, read {told}"


def chance(offer: CandidateOffer) -> str:
    """Return the stock of a candidate, or in as few letters why the price keeps it out."""
    kept_out = {
        "above_ceiling": "too dear",
        "price_unknown": "no price",
        "not_in_catalog": "not listed",
    }
    return kept_out.get(offer.passed_over or "") or stock(offer.stock)


def estimate_rows(plan: Plan, catalog: ObservedCatalog, made: Estimate) -> Iterator[Row]:
    """Return what a run would cost, line by line; amounts that are not known are said to be so."""
    if made.candidate is None:
        yield Row(label="first choice", text="none: no candidate passes")
        for offer in catalog.candidates[:3]:
            yield Row(label="", text=f"{offer.gpu}: {reason(offer, plan.pod)}")
        return
    first = plan.candidates[made.candidate]
    offer = catalog.candidates[made.candidate]
    yield Row(label="first choice", text=f"{first}, stock {stock(offer.stock)}")
    yield Row(label="GPUs" if plan.pod.cpu is None else "vCPUs", text=_gpus(plan, offer, made))
    yield Row(label="disks", text=_disks(plan, made))
    if made.rate_per_hour_usd is not None:
        yield Row(label="together", text=per_hour(made.rate_per_hour_usd))
    yield from _storage(plan, catalog, made)
    yield from _lengths(plan, made)


def _gpus(plan: Plan, offer: CandidateOffer, made: Estimate) -> str:
    if made.price_source == "assumed":
        rate = per_hour(made.compute_per_hour_usd)
        return f"{rate}, as the job file assumes: the catalog has no price"
    if made.compute_per_hour_usd is None:
        return "price unknown: the catalog has none, so no sum can be given"
    number = plan.pod.units * plan.nodes
    each = "" if number == 1 else f", {number} × {per_hour(offer.price_per_gpu_hour_usd)}"
    return f"{per_hour(made.compute_per_hour_usd)}{each}"


def _disks(plan: Plan, made: Estimate) -> str:
    parts = [f"{plan.pod.container_disk_gb} GB container"]
    if plan.storage.mode == "ephemeral" and plan.storage.volume_gb:
        parts.append(f"{plan.storage.volume_gb} GB persistent")
    each = "" if plan.nodes == 1 else f" on each of {plan.nodes} nodes"
    return f"{per_hour(made.disk_per_hour_usd)}, {' + '.join(parts)}{each}"


def _storage(plan: Plan, catalog: ObservedCatalog, made: Estimate) -> Iterator[Row]:
    if plan.storage.mode == "network_volume":
        volume = catalog.volume
        if volume is None and plan.storage.volume_gb is not None:
            monthly = usd(volume_per_month(plan.storage.volume_gb))
            text = f"made when the run starts, {monthly} a month for {plan.storage.volume_gb} GB"
        elif volume is None or made.volume_per_month_usd is None:
            text = f"{plan.storage.volume_name}: the account has not exactly one of that name"
        else:
            text = (
                f"{usd(made.volume_per_month_usd)} a month for {volume.size_gb} GB in "
                f"{volume.datacenter}, whether a pod runs or not"
            )
        yield Row(label="network volume", text=text)
    if made.stopped_per_day_usd is not None:
        days = f"{usd(made.stopped_per_day_usd)} a day"
        yield Row(
            label="while stopped", text=f"{days} for the persistent disk, twice its usual rate"
        )


def _lengths(plan: Plan, made: Estimate) -> Iterator[Row]:
    usual = made.typical
    if usual is None:
        yield Row(label="typical run", text="unknown: no run of this job has succeeded here yet")
    else:
        where = "on this GPU" if usual.same_gpu else "on other GPUs"
        cost = UNKNOWN if usual.usd is None else usd(usual.usd)
        yield Row(
            label="typical run",
            text=f"{cost} in {duration(usual.seconds)}, the median of "
            f"{count(usual.runs, 'run')} {where}",
        )
    if plan.budget.max_runtime_minutes is None:
        yield Row(label="longest run", text="no max_runtime_minutes: as long as the money lasts")
    else:
        cost = UNKNOWN if made.at_max_runtime is None else usd(made.at_max_runtime.usd)
        longest = limit(plan.budget.max_runtime_minutes * 60)
        yield Row(
            label="longest run",
            text=f"{cost} in {longest} of the script; start and transfers on top",
        )
    cap = usd(plan.budget.cost_cap_usd)
    lasts = "" if made.at_cap is None else f", reached after {duration(made.at_cap.seconds)}"
    yield Row(label="cost cap", text=f"{cap}{lasts or ', reached nobody knows when'}")
    if made.ends_by is not None:
        limits = {"max_runtime": "max_runtime_minutes", "cost_cap": "the cost cap"}
        yield Row(label="ended by", text=f"{limits[made.ends_by]}, if it never ends by itself")
