"""The catalog and a job's candidates as tables that fit 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runpod_deploy.cli import market_words as words
from runpod_deploy.cli.layout import INDENT, pad, table
from runpod_deploy.cli.market_words import per_hour
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.compiler.market import asking_order
from runpod_deploy.compiler.observed import CandidateOffer, ObservedCatalog, ObservedVolume
from runpod_deploy.compiler.plan import Plan

if TYPE_CHECKING:
    from runpod_deploy.executor.ports import GpuOffer

ID_COLUMNS = 34
CLOUDS = ("SECURE", "COMMUNITY")


def gpu_table(
    offers: Sequence[GpuOffer],
    style: Style,
    *,
    clouds: Sequence[str] = CLOUDS,
    prices: bool = True,
    levels: bool = True,
    datacenter: str | None = None,
) -> list[str]:
    """Return GPU types, one a line: memory, then price and stock in each cloud.

    An id that is longer than its column stands on a line of its own above its numbers: it has to be
    copied whole.

    Args:
        datacenter: Show the stock there; None: anywhere.
    """
    head = ["GPU", "memory"]
    for cloud in clouds:
        head += [cloud.title()] * prices
        head += ([cloud.title()] if not prices else ["stock"]) * levels
    rows = []
    for offer in offers:
        row = [offer.id, f"{offer.memory_gb} GB" if offer.memory_gb else "?"]
        for cloud in clouds:
            row += [_price(offer.price(cloud))] * prices
            row += [words.stock(stock_of(offer, cloud, datacenter))] * levels
        rows.append(row)
    return _with_long_first(rows, head, style, f".r{('r' * prices + '.' * levels) * len(clouds)}")


def stock_of(offer: GpuOffer, cloud: str, datacenter: str | None) -> str | None:
    """Return how much of a GPU is free; None when the catalog does not say."""
    from runpod_deploy.executor.catalog import stock_at  # noqa: PLC0415 - loaded by then

    return stock_at(offer, cloud, datacenter)


def candidate_table(
    plan: Plan, catalog: ObservedCatalog, style: Style, *, most: int | None = None
) -> list[str]:
    """Return a plan's candidates in the order in which apply asks for them, the others last.

    Args:
        most: How many to show; the others are counted.
    """
    offers = catalog.candidates
    order = asking_order(plan.pod, offers)
    rest = [index for index in range(len(offers)) if index not in order]
    numbers = [*map(str, range(1, len(order) + 1)), *("–" for _ in rest)]
    rows = [
        _candidate(offers[index], catalog.volume, number)
        for number, index in list(zip(numbers, [*order, *rest], strict=True))[:most]
    ]
    left = len(offers) - len(rows)
    more = [f"{INDENT}… and {left} more"] if left else []
    machine = "GPU" if plan.pod.cpu is None else "CPU"
    head = [f"{'':4}{machine}", "where", "cloud", "pod", "stock"]
    return [*_with_long_first(rows, head, style, "...r."), *more]


def _candidate(offer: CandidateOffer, volume: ObservedVolume | None, number: str) -> list[str]:
    where = offer.datacenter or "any"
    if where == "@volume":
        where = volume.datacenter if volume else "volume's"
    return [
        f"{number:>2}  {offer.gpu}",
        where,
        offer.cloud,
        per_hour(offer.price_per_hour_usd),
        words.chance(offer),
    ]


def _price(price: float | None) -> str:
    return words.UNKNOWN if price is None else f"${price:.2f}"


def _with_long_first(
    rows: Sequence[Sequence[str]], head: Sequence[str], style: Style, right: str
) -> list[str]:
    """Return a table whose first column is narrow; what does not fit stands above its row."""
    shown = [[line(cell) for cell in row] for row in rows]
    short = [[row[0] if len(row[0]) <= ID_COLUMNS else "", *row[1:]] for row in shown]
    width = min(ID_COLUMNS, max((len(row[0]) for row in [*shown, head]), default=0))
    padded = [[pad(row[0], width), *row[1:]] for row in short]
    first, *lines = table(padded, style, head=[pad(head[0], width), *head[1:]], right=right)
    result = [first]
    for row, text in zip(shown, lines, strict=True):
        if len(row[0]) > ID_COLUMNS:
            result.append(f"{INDENT}{row[0]}")
        result.append(text)
    return result
