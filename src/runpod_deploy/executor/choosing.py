"""Which candidates are asked for, and in which order: the ring, arranged by the catalog as it is now."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from runpod_deploy.compiler.listed import listed, near_names
from runpod_deploy.compiler.market import asking_order, reason
from runpod_deploy.compiler.observed import CandidateOffer
from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.errors import (
    AccountError,
    CloudError,
    RunpodDeployError,
    StockOut,
    Unavailable,
    Unreachable,
)
from runpod_deploy.executor.catalog import candidate_offers, stock_query, the_volume
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.ports import Volume
from runpod_deploy.executor.ring import Ring
from runpod_deploy.record.run import PodRecord

T = TypeVar("T")

ROUND_PAUSE_SEC = 10.0
_FLAVOR = re.compile(r"cpu[0-9]{1,2}[a-z]")


async def arrange(ctx: RunContext, ring: Ring, volume: Volume | None) -> None:
    """Read the catalog and arrange the rest of this round by price and stock.

    Candidates that the price keeps out are refused without being asked for; those without stock come
    last. Without a catalog the round stays as it is: the pod's own cost is held against the ceiling
    all the same, once it is known.

    Raises:
        Unreachable: Nobody answers at the API's address.
        AccountError: The API refused the key.
    """
    offers = await reached(ctx, ring, lambda: _offers(ctx, ring, volume))
    if offers is None:
        return
    candidates = ctx.plan.candidates
    prices = (
        (one, offer.price_per_hour_usd) for one, offer in zip(candidates, offers, strict=True)
    )
    ring.prices = {candidate: price for candidate, price in prices if price is not None}
    order = asking_order(ctx.plan.pod, offers)
    in_stock = any(
        candidates[index] in ring.waiting and offers[index].passed_over is None for index in order
    )
    for candidate, offer in zip(candidates, offers, strict=True):
        why = reason(offer, ctx.plan.pod)
        if why is None or candidate not in ring.waiting:
            continue
        if offer.passed_over != "out_of_stock":
            refuse(ctx, candidate, why)
        elif in_stock:
            refuse(ctx, candidate, f"{why}; it is asked for last")
    ring.arrange([candidates[index] for index in order])


async def reached(ctx: RunContext, ring: Ring, call: Callable[[], Awaitable[T]]) -> T:
    """Return what `call` returns; an API out of reach is waited for as long as capacity is.

    Raises:
        Unreachable: Nobody answers, and `capacity.wait_minutes` are over or none were given.
    """
    while True:
        try:
            return await call()
        except Unreachable as error:
            if ring.until is None or ctx.clock.monotonic() >= ring.until:
                raise
            _tell_once(ctx, ring, "api-unreachable", f"{error.message}; it is tried again.")
        await ctx.clock.sleep(ROUND_PAUSE_SEC)


def refuse(
    ctx: RunContext,
    candidate: Candidate,
    why: str,
    status: int = 0,
    *,
    api_failed: bool = False,
) -> None:
    """Note in ring and journal why a candidate was passed over."""
    if ctx.ring is not None:
        ctx.ring.refuse(candidate, why, status, api_failed=api_failed)
    ctx.journal.write(
        "candidate_refused",
        gpu_id=candidate.gpu,
        datacenter_id=candidate.datacenter,
        cloud_type=candidate.cloud,
        reason=why,
        status=status,
    )


def candidate_of(ctx: RunContext, record: PodRecord) -> Candidate:
    """Return the candidate that a pod was asked for as."""
    for candidate in ctx.plan.candidates:
        place = candidate.datacenter in (None, "@volume", record.datacenter_id)
        if (candidate.gpu, candidate.cloud) == (record.gpu_id, record.cloud_type) and place:
            return candidate
    cloud: Literal["SECURE", "COMMUNITY"] = "SECURE"
    if record.cloud_type == "COMMUNITY":
        cloud = "COMMUNITY"
    return Candidate(gpu=record.gpu_id, datacenter=record.datacenter_id, cloud=cloud)


def nothing_had(ring: Ring) -> RunpodDeployError:
    """Return the error of a ring that came to its end: no stock, or an API that never answered."""
    refusals = ring.last_refusals()
    rows = "\n".join(f"  {refusal.candidate}: {refusal.reason}" for refusal in refusals)
    if refusals and all(refusal.api_failed for refusal in refusals):
        return Unavailable(
            f"RunPod's API failed for every candidate; nothing is left running.\n{rows}",
            status=refusals[-1].status,
            help="That says nothing about stock: try again later.",
        )
    return StockOut(
        f"No candidate could be had; nothing is left running.\n{rows}", help=_advice(ring)
    )


def _advice(ring: Ring) -> str:
    """Return what may help: a name that is not in the catalog is no matter of waiting."""
    wrong = sorted(ring.unlisted & {one.gpu for one in ring.candidates})
    lines = []
    flavors = [name for name in wrong if _FLAVOR.fullmatch(name)]
    if flavors:
        return f"The catalog has no {flavors[0]} with so many vCPUs: correct pod.cpu."
    if all(_FLAVOR.fullmatch(one.gpu) for one in ring.candidates):
        return (
            "Widen pod.datacenters to `any`, choose another pod.cpu.flavor, or wait: "
            "capacity.wait_minutes goes round the candidates again."
        )
    for gpu in wrong:
        near = near_names(gpu, listed("gpu"))
        meant = f"; near it {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else ""
        lines.append(f"The catalog has no {gpu}{meant}.")
    if wrong:
        lines.append("Correct pod.gpu_order; the ids are those of:\n  runpod-deploy gpu-list")
    if any(one.gpu not in ring.unlisted for one in ring.candidates):
        lines.append(
            "Add GPUs to pod.gpu_order, widen pod.datacenters to `any`, allow COMMUNITY in "
            "pod.cloud_type, or wait: capacity.wait_minutes goes round the candidates again."
        )
    return "\n".join(lines)


async def _offers(
    ctx: RunContext, ring: Ring, volume: Volume | None
) -> tuple[CandidateOffer, ...] | None:
    plan = ctx.plan
    try:
        rows = await ctx.cloud.catalog(stock_query(plan))
    except (AccountError, Unreachable):
        raise
    except CloudError as error:
        if plan.pod.max_price_per_hour_usd is not None or plan.pod.prefer == "price":
            told = f"The catalog gives no prices: {error.message}"
            _tell_once(ctx, ring, "catalog-unavailable", told)
        return None
    known = {one.id for one in rows}
    ring.unlisted = frozenset(one.gpu for one in plan.candidates if known and one.gpu not in known)
    return candidate_offers(plan, rows, the_volume(plan, [volume] if volume else []))


def _tell_once(ctx: RunContext, ring: Ring, code: str, message: str) -> None:
    if code not in ring.told:
        ring.told.add(code)
        ctx.warn(code, message)
