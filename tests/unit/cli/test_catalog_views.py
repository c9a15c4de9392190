"""Prices, stock and estimates as people see them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.cli import market_words as words
from runpod_deploy.cli.catalog_views import candidate_table, gpu_table
from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.layout import labelled
from runpod_deploy.cli.plan_view import render_plan
from runpod_deploy.cli.style import Style
from runpod_deploy.compiler.estimate import estimate
from runpod_deploy.compiler.observed import ObservedCatalog, TypicalSpend
from runpod_deploy.compiler.plan import Candidate, Plan, PlanFile
from runpod_deploy.executor.catalog import candidate_offers, the_volume
from runpod_deploy.executor.ports import GpuOffer, Volume

GOLDEN = Path(__file__).parent / "golden"
PLAIN = Style(color=False)
LONG = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"
OFFERS = (
    GpuOffer(
        id="NVIDIA L4",
        memory_gb=24,
        secure_price=0.49,
        community_price=None,
        stock={"SECURE": {"": "HIGH", "EU-RO-1": "HIGH"}, "COMMUNITY": {"": "NONE"}},
    ),
    GpuOffer(
        id="NVIDIA GeForce RTX 4090",
        memory_gb=24,
        secure_price=0.74,
        community_price=0.34,
        stock={"SECURE": {"": "NONE"}, "COMMUNITY": {"": "LOW", "EU-RO-1": "LOW"}},
    ),
    GpuOffer(id=LONG, memory_gb=96, secure_price=None, community_price=11.64),
)


def seen(plan: Plan, *volumes: Volume, read_at: str = "2026-05-14T02:11:20Z") -> ObservedCatalog:
    """Return the catalog above as a plan sees it."""
    volume = the_volume(plan, volumes)
    return ObservedCatalog(
        cloud="runpod",
        read_at=read_at,
        candidates=candidate_offers(plan, OFFERS, volume),
        volume=volume,
    )


def live(sample: PlanFile, *volumes: Volume, typical: TypicalSpend | None = None) -> PlanFile:
    """Return a plan with what the catalog says beside it."""
    catalog = seen(sample.plan, *volumes)
    made = estimate(sample.plan, catalog, typical)
    return replace(sample, observed=replace(sample.observed, catalog=catalog, estimate=made))


def sections(view: str, *titles: str) -> list[str]:
    """Return the sections of a view that begin with these titles."""
    return [part for part in view.split("\n\n") if part.startswith(titles)]


def golden(name: str, text: str) -> None:
    """Hold a text against what was agreed."""
    assert (GOLDEN / name).read_text("utf-8") == text + "\n"


def test_the_catalog_reads_as_agreed() -> None:
    """Memory and money are aligned, unknown is a word, and a long id stands above its numbers."""
    golden("gpu-list.txt", "\n".join(gpu_table(OFFERS, PLAIN)))


def test_a_plan_with_prices_reads_as_agreed(sample: PlanFile) -> None:
    """Candidates come as apply asks for them, with price, stock, and why one is left out."""
    usual = TypicalSpend(runs=5, same_gpu=True, seconds=754, usd=None)
    view = render_plan(live(sample, typical=usual), PLAIN, width=80)
    golden("prices.txt", "\n\n".join(sections(view, "Candidates", "Estimate")))


def test_no_line_is_longer_than_the_terminal(sample: PlanFile) -> None:
    """Eighty columns are enough, for a long id too."""
    many = replace(
        sample.plan,
        candidates=(*sample.plan.candidates, Candidate(gpu=LONG, datacenter=None, cloud="SECURE")),
    )
    told = live(
        replace(sample, plan=many),
        typical=TypicalSpend(runs=1, same_gpu=False, seconds=9, usd=None),
    )
    lines = [*gpu_table(OFFERS, PLAIN), *render_plan(told, PLAIN, width=80).splitlines()]
    assert [] == [line for line in lines if cells(line) > 80]
    assert f"   –  {LONG}" in render_plan(told, PLAIN, width=80)


def test_columns_that_were_not_asked_for_are_left_out() -> None:
    """Without prices the cloud's name heads its stock; with one cloud the other is not there."""
    head, first, *_ = gpu_table(OFFERS, PLAIN, clouds=("SECURE",), prices=False)
    assert head.split() == ["GPU", "memory", "Secure"]
    assert first.split() == ["NVIDIA", "L4", "24", "GB", "high"]
    head, *_ = gpu_table(OFFERS, PLAIN, levels=False)
    assert head.split() == ["GPU", "memory", "Secure", "Community"]


def test_stock_is_that_of_the_datacenter_asked_for() -> None:
    """With a data center the level is the one there."""
    rows = gpu_table(OFFERS[:2], PLAIN, prices=False, datacenter="US-TX-1")
    assert [row.split()[-2:] for row in rows[1:]] == [["none", "none"], ["none", "none"]]


def test_hostile_ids_cannot_reach_the_terminal(sample: PlanFile) -> None:
    """A catalog may say anything; the terminal gets escapes."""
    hostile = "NVIDIA\x1b]0;owned\x07"
    plan = replace(
        sample.plan, candidates=(Candidate(gpu=hostile, datacenter="\x1b[2J", cloud="SECURE"),)
    )
    rows = [
        *gpu_table([replace(OFFERS[0], id=hostile)], PLAIN),
        *candidate_table(plan, seen(plan), PLAIN),
    ]
    assert all(row.isprintable() for row in rows)


def test_many_candidates_are_counted(sample: PlanFile) -> None:
    """What is not shown is not forgotten."""
    rows = candidate_table(sample.plan, seen(sample.plan), PLAIN, most=1)
    assert rows[-1].strip() == "… and 1 more"


def rows_of(plan_file: PlanFile) -> str:
    """Return the estimate of a plan as text."""
    catalog, made = plan_file.observed.catalog, plan_file.observed.estimate
    assert catalog is not None
    assert made is not None
    return "\n".join(labelled(words.estimate_rows(plan_file.plan, catalog, made), PLAIN, 80))


def test_an_unknown_price_is_told_as_unknown(sample: PlanFile) -> None:
    """No line turns what is not known into $0.00."""
    pod = replace(sample.plan.pod, max_price_per_hour_usd=None)
    gpu = (Candidate(gpu="NVIDIA X", datacenter=None, cloud="SECURE"),)
    usual = TypicalSpend(runs=1, same_gpu=False, seconds=60, usd=None)
    text = rows_of(
        live(replace(sample, plan=replace(sample.plan, pod=pod, candidates=gpu)), typical=usual)
    )
    assert "price unknown" in text
    assert "unknown in 1m 00s, the median of 1 run on other GPUs" in text
    assert "longest run     unknown in 15 min" in text
    assert "$0.50, reached nobody knows when" in text
    assert "$0.00/h" not in text
    assert "$0.00 " not in text


def test_the_assumed_rate_is_told_as_assumed(sample: PlanFile) -> None:
    """A rate that the job file assumes is not taken for the catalog's."""
    pod = replace(sample.plan.pod, max_price_per_hour_usd=None)
    budget = replace(sample.plan.budget, assumed_hourly_rate_usd=1.65)
    gpu = (Candidate(gpu="NVIDIA X", datacenter=None, cloud="SECURE"),)
    plan = replace(sample.plan, pod=pod, budget=budget, candidates=gpu)
    assert "$1.65/h, as the job file assumes" in rows_of(live(replace(sample, plan=plan)))


def test_without_a_candidate_the_reasons_are_told(sample: PlanFile) -> None:
    """Where the ceiling keeps all out there is no sum, and each is told why."""
    pod = replace(sample.plan.pod, max_price_per_hour_usd=0.01)
    text = rows_of(live(replace(sample, plan=replace(sample.plan, pod=pod))))
    assert "none: no candidate passes" in text
    assert "NVIDIA L4: $0.98/h is above max_price_per_hour_usd 0.01" in text


def test_a_network_volume_is_told_apart(sample: PlanFile) -> None:
    """It costs by the month, whether a pod runs or not; one that is not there is said to be so."""
    storage = replace(
        sample.plan.storage, mode="network_volume", volume_name="data", volume_gb=None
    )
    gpu = (Candidate(gpu="NVIDIA L4", datacenter="@volume", cloud="SECURE"),)
    pod = replace(sample.plan.pod, max_price_per_hour_usd=None)
    plan = replace(sample, plan=replace(sample.plan, storage=storage, candidates=gpu, pod=pod))
    there = live(plan, Volume(id="v", name="data", datacenter="EU-RO-1", size_gb=100))
    assert "$7.00 a month for 100 GB in EU-RO-1" in rows_of(there)
    assert "EU-RO-1  SECURE" in "\n".join(
        candidate_table(there.plan, there.observed.catalog or seen(plan.plan), PLAIN)
    )
    assert "data: the account has not exactly one of that name" in rows_of(live(plan))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (1.4, "just now"),
        (12, "12 s ago"),
        (119, "119 s ago"),
        (125, "2 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
    ],
)
def test_ages_read_well(seconds: float, text: str) -> None:
    """An age has one unit, and none is in the future."""
    assert words.age(seconds) == text


def test_what_is_no_time_has_no_age() -> None:
    """A stamp that cannot be read is as old as nothing."""
    assert words.seconds_since("soon", 100.0) == 0.0
    assert words.seconds_since("1970-01-01T00:00:40Z", 100.0) == 60.0
