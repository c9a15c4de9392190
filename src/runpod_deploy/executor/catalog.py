"""The catalog, held against a plan: price and stock of each candidate, from rows of the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from runpod_deploy.compiler.candidates import VOLUME
from runpod_deploy.compiler.market import Asking, passed_over
from runpod_deploy.compiler.observed import CandidateOffer, ObservedVolume, StockLevel
from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.executor.ports import GpuOffer, StockQuery, Volume


def stock_query(plan: Asking) -> StockQuery:
    """Return what is to be asked for a plan: only clouds that it has candidates in."""
    clouds = dict.fromkeys(candidate.cloud for candidate in plan.candidates)
    return StockQuery(
        gpu_count=plan.pod.gpu_count,
        clouds=tuple(clouds),
        min_cuda=plan.pod.min_cuda,
        product="POD" if plan.nodes == 1 else "CLUSTER",
        vcpus=None if plan.pod.cpu is None else plan.pod.cpu.vcpus,
    )


def candidate_offers(
    plan: Asking, offers: Iterable[GpuOffer], volume: ObservedVolume | None = None
) -> tuple[CandidateOffer, ...]:
    """Return what the catalog says about each candidate of `plan`, in the plan's order.

    Args:
        volume: The plan's network volume, which says what place `@volume` is.
    """
    by_id = {offer.id: offer for offer in offers}
    return tuple(_one(plan, candidate, by_id, volume) for candidate in plan.candidates)


def the_volume(plan: Asking, volumes: Iterable[Volume]) -> ObservedVolume | None:
    """Return the network volume of a plan; None when it uses none, or not exactly one is called so."""
    if plan.storage.mode != "network_volume":
        return None
    found = [one for one in volumes if plan.storage.volume_name in {one.name, one.id}]
    if len(found) != 1:
        return None
    return ObservedVolume(
        name=found[0].name, datacenter=found[0].datacenter, size_gb=found[0].size_gb
    )


def stock_at(offer: GpuOffer, cloud: str, datacenter: str | None) -> StockLevel | None:
    """Return how much of a GPU is free; None when the catalog does not say.

    Args:
        datacenter: None for any.
    """
    levels = offer.stock.get(cloud)
    if not levels:
        return None
    overall = levels.get("")
    if datacenter is None or overall == "NONE":
        return cast("StockLevel | None", overall)
    if len(levels) == 1:
        return None  # some are free, and where was not told
    return cast("StockLevel", levels.get(datacenter, "NONE"))


def _one(
    plan: Asking,
    candidate: Candidate,
    offers: Mapping[str, GpuOffer],
    volume: ObservedVolume | None,
) -> CandidateOffer:
    offer = offers.get(candidate.gpu)
    single = offer.price(candidate.cloud) if offer else None
    whole = None if single is None else single * plan.pod.units * plan.nodes
    place = candidate.datacenter
    if place == VOLUME:
        place = volume.datacenter if volume else VOLUME
    stock = stock_at(offer, candidate.cloud, place) if offer and place != VOLUME else None
    return CandidateOffer(
        gpu=candidate.gpu,
        datacenter=candidate.datacenter,
        cloud=candidate.cloud,
        memory_gb=(offer.memory_gb or None) if offer else None,
        price_per_gpu_hour_usd=single,
        price_per_hour_usd=whole,
        stock=stock,
        passed_over=passed_over(
            plan.pod, in_catalog=offer is not None, price_per_hour_usd=whole, stock=stock
        ),
    )
