"""What a run would cost, and who is asked for first, from a catalog and a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compiler_cases import job, plan_file_of
from runpod_deploy.compiler import rates
from runpod_deploy.compiler.estimate import estimate
from runpod_deploy.compiler.freshness import Now, can_apply, is_stale
from runpod_deploy.compiler.market import asking_order, reason
from runpod_deploy.compiler.observed import ObservedCatalog, ObservedVolume, TypicalSpend
from runpod_deploy.compiler.plan import Observed, Plan, PlanCluster
from runpod_deploy.compiler.planfile import dumps, loads, plan_hash
from runpod_deploy.compiler.price_drift import PricesUnknown
from runpod_deploy.errors import PlanRefused
from runpod_deploy.executor.catalog import candidate_offers, stock_query, the_volume
from runpod_deploy.executor.ports import GpuOffer, StockQuery, Volume
from support.plans import A4000, L4, changed, small_plan


def offer(gpu: str, price: float | None, **levels: str) -> GpuOffer:
    """Return a row of the catalog; `levels` is the stock of Secure Cloud, `_` for all of it."""
    stock = {name.replace("_", "-").strip("-"): level for name, level in levels.items()}
    return GpuOffer(
        id=gpu,
        memory_gb=24,
        secure_price=price,
        community_price=None,
        stock={"SECURE": stock} if stock else {},
    )


def catalog(plan: Plan, *offers: GpuOffer, volume: ObservedVolume | None = None) -> ObservedCatalog:
    """Return the catalog as it is seen by a plan."""
    return ObservedCatalog(
        cloud="runpod",
        read_at="2026-05-14T02:12:00Z",
        candidates=candidate_offers(plan, offers, volume),
        volume=volume,
    )


BOTH = (offer(L4.gpu, 0.9, _="HIGH"), offer(A4000.gpu, 0.3, _="HIGH"))


def test_the_price_is_that_of_all_gpus() -> None:
    """The catalog's price is for one GPU; the pod's is that times the count."""
    plan = changed(small_plan(), pod={"gpu_count": 4})
    seen = catalog(plan, offer(L4.gpu, 0.5))
    assert (0.5, 2.0) == (
        seen.candidates[0].price_per_gpu_hour_usd,
        seen.candidates[0].price_per_hour_usd,
    )
    assert (None, None, None) == (
        seen.candidates[1].price_per_gpu_hour_usd,
        seen.candidates[1].memory_gb,
        seen.candidates[1].stock,
    )


@pytest.mark.parametrize(
    ("levels", "stock"),
    [
        ({}, None),
        ({"_": "NONE"}, "NONE"),
        ({"_": "LOW"}, None),
        ({"_": "LOW", "EU_RO_1": "LOW"}, "LOW"),
        ({"_": "HIGH", "US_TX_1": "HIGH"}, "NONE"),
    ],
)
def test_stock_is_that_of_the_place(levels: dict[str, str], stock: str | None) -> None:
    """A data center that is not listed has none; a cloud that lists no place leaves it open."""
    (first, _) = catalog(small_plan(), offer(L4.gpu, 0.5, **levels)).candidates
    assert stock == first.stock


def test_any_datacenter_takes_the_stock_of_the_cloud() -> None:
    """Where the place is left to RunPod, the best level of all places counts."""
    plan = replace(small_plan(), candidates=(replace(L4, datacenter=None),))
    (one,) = catalog(plan, offer(L4.gpu, 0.5, _="MEDIUM", US_TX_1="MEDIUM")).candidates
    assert "MEDIUM" == one.stock


@pytest.mark.parametrize(
    ("ceiling", "price", "why"),
    [
        (None, None, None),
        (2.0, 1.0, None),
        (1.0, 0.5, None),
        (0.99, 0.5, "above_ceiling"),
        (2.0, None, "price_unknown"),
    ],
)
def test_an_unknown_price_fails_a_ceiling(
    ceiling: float | None, price: float | None, why: str | None
) -> None:
    """The ceiling is for the whole pod, and what is not known never passes it."""
    plan = changed(small_plan(), pod={"gpu_count": 2, "max_price_per_hour_usd": ceiling})
    (first, _) = catalog(plan, offer(L4.gpu, price)).candidates
    assert why == first.passed_over
    assert (why is None) == (reason(first, plan.pod) is None)


def test_a_gpu_outside_of_the_catalog_fails_a_ceiling_only() -> None:
    """Without a ceiling such a candidate is asked for; with one it is not."""
    assert [0, 1] == asking_order(small_plan().pod, catalog(small_plan()).candidates)
    plan = changed(small_plan(), pod={"max_price_per_hour_usd": 1.0})
    assert [] == asking_order(plan.pod, catalog(plan).candidates)


def test_the_order_is_that_of_the_plan_unless_price_is_preferred() -> None:
    """`prefer: price` puts the cheapest first, an unknown price last, equals as they stand."""
    third = replace(A4000, gpu="NVIDIA X")
    plan = replace(small_plan(), candidates=(third, L4, A4000))
    assert [0, 1, 2] == asking_order(plan.pod, catalog(plan, *BOTH).candidates)
    cheap = changed(plan, pod={"prefer": "price"})
    assert [2, 1, 0] == asking_order(cheap.pod, catalog(cheap, *BOTH).candidates)
    same = (offer(L4.gpu, 0.3), offer(A4000.gpu, 0.3))
    assert [1, 2, 0] == asking_order(cheap.pod, catalog(cheap, *same).candidates)


def test_who_is_out_of_stock_comes_last() -> None:
    """Stock is a hint: none shown means last and not never, whatever the price."""
    plan = changed(small_plan(), pod={"prefer": "price"})
    seen = catalog(plan, BOTH[0], offer(A4000.gpu, 0.3, _="NONE"))
    assert [0, 1] == asking_order(plan.pod, seen.candidates)


def test_the_estimate_counts_gpus_and_disks() -> None:
    """An hour costs the GPUs, and both disks at the rate of a running pod."""
    plan = changed(
        small_plan(),
        pod={"gpu_count": 2, "container_disk_gb": 40},
        storage={"mode": "ephemeral", "mount": "/workspace", "volume_gb": 320},
        lifecycle={"on_failure": "stop"},
    )
    made = estimate(plan, catalog(plan, *BOTH))
    assert (0, "catalog", 1.8) == (made.candidate, made.price_source, made.compute_per_hour_usd)
    assert made.disk_per_hour_usd == pytest.approx(0.05)
    assert made.rate_per_hour_usd == pytest.approx(1.85)
    assert made.stopped_per_day_usd == pytest.approx(320 * 0.20 / 30)
    assert made.at_max_runtime is not None
    assert (3600.0, pytest.approx(1.85)) == (made.at_max_runtime.seconds, made.at_max_runtime.usd)
    assert made.at_cap is not None
    assert made.at_cap.seconds == pytest.approx(10 / 1.85 * 3600)
    assert "max_runtime" == made.ends_by
    assert made.typical is None


def test_the_cap_ends_what_is_dear() -> None:
    """Where the money is gone before `max_runtime`, the cap is what ends the run."""
    plan = changed(small_plan(), budget={"cost_cap_usd": 0.5})
    assert "cost_cap" == estimate(plan, catalog(plan, *BOTH)).ends_by
    endless = changed(small_plan(), budget={"max_runtime_minutes": None})
    made = estimate(endless, catalog(endless, *BOTH))
    assert ("cost_cap", None) == (made.ends_by, made.at_max_runtime)


def test_an_unknown_price_is_unknown_to_the_end() -> None:
    """Without a price there is no rate, no sum and no end; the disks are known all the same."""
    plan = small_plan()
    made = estimate(plan, catalog(plan), TypicalSpend(runs=2, same_gpu=True, seconds=60, usd=None))
    assert (0, None, None, None) == (
        made.candidate,
        made.price_source,
        made.compute_per_hour_usd,
        made.rate_per_hour_usd,
    )
    assert (None, None, None) == (made.at_max_runtime, made.at_cap, made.ends_by)
    assert made.disk_per_hour_usd > 0
    assert made.typical is not None
    assert (60, None) == (made.typical.seconds, made.typical.usd)


def test_the_assumed_rate_stands_in_and_says_so() -> None:
    """`budget.assumed_hourly_rate_usd` is used only where the catalog has no price."""
    plan = changed(small_plan(), budget={"assumed_hourly_rate_usd": 1.65})
    made = estimate(plan, catalog(plan))
    assert ("assumed", 1.65) == (made.price_source, made.compute_per_hour_usd)
    assert "catalog" == estimate(plan, catalog(plan, *BOTH)).price_source


def test_nothing_is_estimated_where_nobody_is_asked() -> None:
    """When the ceiling keeps every candidate out there is no rate."""
    plan = changed(small_plan(), pod={"max_price_per_hour_usd": 0.01})
    made = estimate(plan, catalog(plan, *BOTH))
    assert (None, None) == (made.candidate, made.rate_per_hour_usd)


def test_a_typical_run_is_priced_at_the_rate_of_today() -> None:
    """What earlier runs took, times what an hour costs now."""
    plan = small_plan()
    usual = TypicalSpend(runs=3, same_gpu=False, seconds=1800, usd=None)
    made = estimate(plan, catalog(plan, *BOTH), usual)
    assert made.typical is not None
    assert made.rate_per_hour_usd is not None
    assert made.typical.usd == pytest.approx(made.rate_per_hour_usd / 2)
    assert (3, False) == (made.typical.runs, made.typical.same_gpu)


def network_plan(**pod: Any) -> Plan:
    """Return a plan whose pod is where its network volume is."""
    plan = replace(small_plan(), candidates=(replace(L4, datacenter="@volume"),))
    return changed(
        plan,
        pod=pod,
        storage={"mode": "network_volume", "mount": "/workspace", "volume_name": "data"},
    )


def test_a_network_volume_says_the_place_and_costs_by_the_month() -> None:
    """Stock is that of the volume's data center; the volume is in no sum of the run."""
    plan = network_plan()
    volume = the_volume(plan, [Volume(id="v", name="data", datacenter="EU-NL-1", size_gb=2000)])
    seen = catalog(plan, offer(L4.gpu, 0.5, _="HIGH", EU_NL_1="LOW"), volume=volume)
    assert ("@volume", "LOW") == (seen.candidates[0].datacenter, seen.candidates[0].stock)
    made = estimate(plan, seen)
    assert made.volume_per_month_usd == pytest.approx(70 + 50)
    assert made.stopped_per_day_usd is None


@pytest.mark.parametrize("count", [0, 2])
def test_a_volume_that_is_not_one_leaves_the_place_open(count: int) -> None:
    """A volume that is missing, or a name that two have, leaves stock and size unknown."""
    plan = network_plan()
    volumes = [
        Volume(id=f"v{number}", name="data", datacenter="EU-NL-1", size_gb=1)
        for number in range(count)
    ]
    assert the_volume(plan, volumes) is None
    seen = catalog(plan, offer(L4.gpu, 0.5, _="HIGH"))
    assert seen.candidates[0].stock is None
    assert estimate(plan, seen).volume_per_month_usd is None


def test_only_the_clouds_of_the_candidates_are_asked() -> None:
    """Count, clouds and CUDA floor of the question are those of the plan."""
    plan = changed(small_plan(), pod={"gpu_count": 2, "min_cuda": "12.8"})
    assert StockQuery(gpu_count=2, clouds=("SECURE",), min_cuda="12.8") == stock_query(plan)


def test_disk_rates_are_those_of_the_price_list() -> None:
    """Running 0.10, stopped 0.20, volumes 0.07 and 0.05 above the first 1,000 GB."""
    assert rates.running_disk_per_hour(72, 0) == pytest.approx(0.01)
    assert rates.running_disk_per_hour(0, 72) == pytest.approx(0.01)
    assert rates.stopped_disk_per_day(30) == pytest.approx(0.2)
    assert rates.volume_per_month(1000) == pytest.approx(70)
    assert rates.volume_per_month(1100) == pytest.approx(75)


def test_what_was_seen_reads_back_and_changes_no_hash() -> None:
    """Catalog and estimate survive the file, and the identity is the same with and without them."""
    sound_plan = plan_file_of(job())
    plan = sound_plan.plan
    seen = catalog(plan, *BOTH)
    live = replace(
        sound_plan,
        observed=replace(sound_plan.observed, catalog=seen, estimate=estimate(plan, seen)),
    )
    assert live == loads(dumps(live), "plan.json")
    assert plan_hash(plan) == live.plan_hash


def test_what_was_seen_of_other_candidates_is_refused() -> None:
    """A file whose prices stand beside other candidates, or whose estimate is for none, is forged."""
    sound_plan = plan_file_of(job())
    plan = sound_plan.plan
    seen = catalog(plan, *BOTH)
    fewer = replace(seen, candidates=seen.candidates[1:])
    beyond = replace(estimate(plan, seen), candidate=len(plan.candidates))
    for change in ({"catalog": fewer}, {"estimate": beyond}):
        observed: Observed = replace(sound_plan.observed, **change)
        with pytest.raises(PlanRefused):
            loads(dumps(replace(sound_plan, observed=observed)), "plan.json")


def test_a_price_that_rose_makes_a_plan_stale() -> None:
    """What became dearer is refused, what became cheaper only told; each GPU and cloud once."""
    plan_file = plan_file_of(job({"pod": {"gpu_order": [L4.gpu, A4000.gpu]}}))
    plan = plan_file.plan
    seen = replace(plan_file, observed=replace(plan_file.observed, catalog=catalog(plan, *BOTH)))
    world = Now(payload={}, tool_version=plan_file.observed.tool_version, plan=plan)
    for prices, verdicts in (
        ((0.9, 0.3), {}),
        ((0.91, 0.3), {f"price.{L4.gpu}.SECURE": ("$0.9/h", "$0.91/h", "refuse")}),
        ((0.9, 0.2), {f"price.{A4000.gpu}.SECURE": ("$0.3/h", "$0.2/h", "note")}),
        ((None, 0.3), {f"price.{L4.gpu}.SECURE": ("$0.9/h", "unknown", "refuse")}),
    ):
        offers = (offer(L4.gpu, prices[0]), offer(A4000.gpu, prices[1]))
        now = replace(world, offers=candidate_offers(plan, offers))
        drifts = can_apply(seen, now)
        assert verdicts == {one.field: (one.planned, one.now, one.verdict) for one in drifts}
        assert not is_stale(can_apply(seen, now, allow={"price"}))
        assert () == can_apply(plan_file, now)
    assert () == can_apply(seen, world)


def test_a_price_that_becomes_known_is_refused_without_a_ceiling() -> None:
    """With one it is told; and one that the ceiling kept out is apply's to look at."""
    plan_file = plan_file_of(job({"pod": {"gpu_order": [L4.gpu]}}))
    unknown = replace(
        plan_file, observed=replace(plan_file.observed, catalog=catalog(plan_file.plan))
    )
    now = Now(
        payload={},
        tool_version=plan_file.observed.tool_version,
        plan=plan_file.plan,
        offers=candidate_offers(plan_file.plan, BOTH),
    )
    assert [(f"price.{L4.gpu}.SECURE", "unknown", "refuse")] == [
        (one.field, one.planned, one.verdict) for one in can_apply(unknown, now)
    ]
    assert not is_stale(can_apply(unknown, now, allow={"price"}))
    within = plan_file_of(job({"pod": {"gpu_order": [L4.gpu], "max_price_per_hour_usd": 2}}))
    row = replace(catalog(within.plan).candidates[0], passed_over=None)
    seen = replace(
        within,
        observed=replace(within.observed, catalog=replace(catalog(within.plan), candidates=(row,))),
    )
    assert ["note"] == [one.verdict for one in can_apply(seen, replace(now, plan=within.plan))]
    dear = plan_file_of(job({"pod": {"gpu_order": [L4.gpu], "max_price_per_hour_usd": 0.1}}))
    kept_out = replace(
        dear, observed=replace(dear.observed, catalog=catalog(dear.plan, offer(L4.gpu, 0.2)))
    )
    assert () == can_apply(kept_out, replace(now, plan=dear.plan))


def test_prices_that_cannot_be_checked_are_told() -> None:
    """A ceiling holds all the same; without one the plan is refused, unless `price` is allowed."""
    for ceiling, verdict in (({}, "refuse"), ({"max_price_per_hour_usd": 2}, "note")):
        plan_file = plan_file_of(job({"pod": {"gpu_order": [L4.gpu], **ceiling}}))
        observed = replace(plan_file.observed, catalog=catalog(plan_file.plan, *BOTH))
        now = Now(
            payload={},
            tool_version=plan_file.observed.tool_version,
            plan=plan_file.plan,
            offers=PricesUnknown(why="RunPod answered 500."),
        )
        seen = replace(plan_file, observed=observed)
        (drift,) = can_apply(seen, now)
        assert ("price", "could not be checked: RunPod answered 500.", verdict) == (
            drift.field,
            drift.now,
            drift.verdict,
        )
        assert not is_stale(can_apply(seen, now, allow={"price"}))
        assert () == can_apply(plan_file, now)


def test_a_cluster_costs_what_all_its_nodes_cost() -> None:
    """Price, ceiling and disks are those of all nodes together, and stock is asked for clusters."""
    alone = changed(small_plan(), pod={"gpu_count": 2, "max_price_per_hour_usd": 3.9})
    plan = replace(alone, cluster=PlanCluster(nodes=4, type="TRAINING", collect="first"))
    seen = catalog(plan, offer(L4.gpu, 0.5))
    assert 4.0 == seen.candidates[0].price_per_hour_usd
    assert "above_ceiling" == seen.candidates[0].passed_over
    one = estimate(alone, catalog(alone, offer(L4.gpu, 0.5)))
    four = estimate(plan, catalog(changed(plan, pod={"max_price_per_hour_usd": None}), *BOTH))
    assert pytest.approx(4 * one.disk_per_hour_usd) == four.disk_per_hour_usd
    assert ("CLUSTER", "POD") == (stock_query(plan).product, stock_query(alone).product)
