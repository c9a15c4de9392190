"""Who comes first, and who not at all, once prices and stock are known: the same for plan and apply."""

from collections.abc import Sequence
from dataclasses import dataclass

from runpod_deploy.compiler.observed import CandidateOffer, PassedOver, StockLevel
from runpod_deploy.compiler.plan import Candidate, Plan, PlanPod, PlanStorage

_CENT_FRACTION = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """As much of a plan as a catalog is asked about."""

    candidates: tuple[Candidate, ...]
    pod: PlanPod
    storage: PlanStorage
    nodes: int = 1


Asking = Plan | Wanted


def passed_over(
    pod: PlanPod, *, in_catalog: bool, price_per_hour_usd: float | None, stock: StockLevel | None
) -> PassedOver | None:
    """Return why a candidate is not asked for; a price that is not known never passes a ceiling.

    Args:
        price_per_hour_usd: For all GPUs of the pod, or of all pods of a cluster.
    """
    ceiling = pod.max_price_per_hour_usd
    if ceiling is not None:
        if not in_catalog:
            return "not_in_catalog"
        if price_per_hour_usd is None:
            return "price_unknown"
        if price_per_hour_usd > ceiling + _CENT_FRACTION:
            return "above_ceiling"
    return "out_of_stock" if stock == "NONE" else None


def asking_order(pod: PlanPod, offers: Sequence[CandidateOffer]) -> list[int]:
    """Return the indices of the candidates in the order in which apply asks for them.

    Those without stock come after all others: the catalog is a hint, so they are asked for rather
    than never, but last. Those that the price keeps out are not in the list. With `prefer: price`
    the cheapest comes first, an unknown price last, and equals keep the order of the plan.
    """
    asked = [index for index, one in enumerate(offers) if one.passed_over in {None, "out_of_stock"}]

    def key(index: int) -> tuple[bool, float]:
        price = offers[index].price_per_hour_usd
        by_price = pod.prefer == "price"
        rank = (float("inf") if price is None else price) if by_price else 0.0
        return offers[index].passed_over is not None, rank

    return sorted(asked, key=key)


def reason(offer: CandidateOffer, pod: PlanPod) -> str | None:
    """Return `passed_over` as a sentence without its full stop."""
    ceiling = pod.max_price_per_hour_usd
    match offer.passed_over:
        case "not_in_catalog":
            return "the catalog does not know it, so its price cannot be held against the ceiling"
        case "price_unknown":
            return f"no {offer.cloud} price is known, and max_price_per_hour_usd is {ceiling:g}"
        case "above_ceiling":
            return f"${offer.price_per_hour_usd:.2f}/h is above max_price_per_hour_usd {ceiling:g}"
        case "out_of_stock":
            return "the catalog shows none free"
        case None:
            return None


def asks_the_same(one: Plan, other: Plan) -> bool:
    """Return whether the market says the same about two plans: runs of a sweep mostly do."""
    return (one.candidates, one.pod, one.storage, one.budget, one.nodes) == (
        other.candidates,
        other.pod,
        other.storage,
        other.budget,
        other.nodes,
    )
