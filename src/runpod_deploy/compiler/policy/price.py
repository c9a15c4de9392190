"""The rules about a pod's price, and a sweep's; a price that is not known keeps none of them."""

from collections.abc import Iterator

from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.policy.rule import Breach, Judged

CEILING = "pod.max_price_per_hour_usd"
SWEEP_CAP = "matrix.cap_usd"
_TOLERANCE = 1e-9


def price(judged: Judged, most: float) -> Iterator[Breach]:
    """The plan's ceiling holds the price; without one, the catalog's price of every candidate."""
    if not needs_prices(judged.plan):
        ceiling = judged.plan.pod.max_price_per_hour_usd or 0.0
        if ceiling > most + _TOLERANCE:
            yield Breach(field=CEILING, says=f"lets a pod cost up to {_usd(ceiling)} an hour")
        return
    if judged.catalog is None:
        yield Breach(
            field=CEILING, says="is not set and nobody was asked for prices, so none is known"
        )
        return
    for index, offer in enumerate(judged.catalog.candidates):
        field = f"observed.catalog.candidates[{index}].price_per_hour_usd"
        where = f"{offer.gpu} · {offer.datacenter or 'any datacenter'} · {offer.cloud}"
        if offer.price_per_hour_usd is None:
            yield Breach(field=field, says=f"is not known ({where})")
        elif offer.price_per_hour_usd > most + _TOLERANCE:
            yield Breach(field=field, says=f"is {_usd(offer.price_per_hour_usd)} ({where})")


def ceiling(judged: Judged, required: bool) -> Iterator[Breach]:
    """The plan has a ceiling of its own."""
    if required and needs_prices(judged.plan):
        yield Breach(field=CEILING, says="is not set")


def sweep_cap(judged: Judged, most: float) -> Iterator[Breach]:
    """The runs of a sweep may cost at most that together; a job that is no sweep keeps the rule."""
    matrix = judged.plan.matrix
    if matrix is None:
        return
    caps = judged.plan.budget.cost_cap_usd if judged.caps_usd is None else judged.caps_usd
    if min(caps, caps if matrix.cap_usd is None else matrix.cap_usd) <= most + _TOLERANCE:
        return
    said = "is not set" if matrix.cap_usd is None else f"is {_usd(matrix.cap_usd)}"
    yield Breach(field=SWEEP_CAP, says=f"{said}, and the caps of the runs come to {_usd(caps)}")


def needs_prices(plan: Plan) -> bool:
    """Tell whether only the catalog can say what a pod of the plan would cost."""
    return plan.pod.max_price_per_hour_usd is None


def _usd(amount: float) -> str:
    return f"${amount:.4g}" if amount < 1000 else f"${amount:,.2f}"
