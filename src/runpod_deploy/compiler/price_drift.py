"""Prices of a saved plan against those of now: what became dearer was not what was approved."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runpod_deploy.compiler.observed import CandidateOffer

_SAME = 5e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class PricesUnknown:
    """The catalog was asked for prices and gave none; `why`: what it said."""

    why: str


def price_changes(
    planned: Sequence[CandidateOffer], now: Sequence[CandidateOffer], *, ceiling: bool
) -> Iterator[tuple[str, str, str, bool]]:
    """Yield field, price planned, price now, and whether that is worse, for each GPU and cloud once.

    A price that was known and is not any more is worse. So is one that was not known, where nothing
    but the plan's reader held it: without a ceiling. Candidates that the price kept out when the plan
    was made are passed by: apply looks at the ceiling anew.

    Args:
        now: For the same candidates, in the same order.
        ceiling: Whether the plan has one, which every price is held against.
    """
    told: set[str] = set()
    for before, after in zip(planned, now, strict=True):
        field = f"price.{before.gpu}.{before.cloud}"
        if field in told or before.passed_over not in {None, "out_of_stock"}:
            continue
        told.add(field)
        was, is_now = before.price_per_hour_usd, after.price_per_hour_usd
        if was is None and is_now is None:
            continue
        if was is None or is_now is None:
            yield field, _words(was), _words(is_now), is_now is None or not ceiling
        elif abs(was - is_now) > _SAME:
            yield field, _words(was), _words(is_now), is_now > was


def _words(price: float | None) -> str:
    return "unknown" if price is None else f"${price:.4g}/h"
