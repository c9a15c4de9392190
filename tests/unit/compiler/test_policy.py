"""Rules of a policy held against plans: what keeps each, and what breaks it."""

from dataclasses import replace
from typing import Any

import pytest

from compiler_cases import job, plan_of
from runpod_deploy.compiler.observed import CandidateOffer, ObservedCatalog, ObservedVolume
from runpod_deploy.compiler.plan import Plan, PlanCluster, PlanShard
from runpod_deploy.compiler.policy.judge import judge
from runpod_deploy.compiler.policy.rule import Judged
from runpod_deploy.compiler.policy.rules import RULES, asks_catalog
from runpod_deploy.errors import Diagnostic, Severity
from runpod_deploy.schema.policy import Policy, read_policy
from runpod_deploy.schema.report import Report

DIGEST = f"@sha256:{'ab' * 32}"


def policy(rules: str, *, help: str = "") -> Policy:
    """Return a policy whose rules are written on the lines from the third on."""
    lines = "".join(f"  {line}\n" for line in rules.split("\n"))
    text = f"policy_version: 1\nrules:\n{lines}"
    text += f"help: {help}\n" if help else ""
    return read_policy(text.encode(), Report(file="policy.yaml"))


def plan(**parts: Any) -> Plan:
    """Return a plan of one candidate with changed parts: `pod={"image": …}`."""
    made = plan_of(job())
    for part, changes in parts.items():
        old = getattr(made, part)
        new = replace(old, **changes) if isinstance(changes, dict) else changes
        made = replace(made, **{part: new})
    return made


def places(*rows: tuple[str, str | None, str]) -> Any:
    """Return candidates by GPU, data center and cloud."""
    first = plan_of(job()).candidates[0]
    return tuple(
        replace(first, gpu=gpu, datacenter=where, cloud=cloud) for gpu, where, cloud in rows
    )


def nodes(number: int) -> PlanCluster:
    """Return a cluster of so many nodes."""
    return PlanCluster(nodes=number, type="TRAINING", collect="first")


def sweep(cap_usd: float | None) -> PlanShard:
    """Return which run of a sweep a plan is; the sweep may cost so much."""
    values = {"seed": "1"}
    return PlanShard(
        name="seed=1", values=values, max_parallel=None, fail_fast=False, cap_usd=cap_usd
    )


def catalog(*prices: float | None, volume: str | None = None) -> ObservedCatalog:
    """Return what a cloud says, a candidate for each price."""
    return ObservedCatalog(
        cloud="runpod",
        read_at="2026-05-14T02:12:00Z",
        candidates=tuple(
            CandidateOffer(
                gpu=f"GPU {number}",
                datacenter=None,
                cloud="SECURE",
                memory_gb=24,
                price_per_gpu_hour_usd=price,
                price_per_hour_usd=price,
                stock="HIGH",
                passed_over=None,
            )
            for number, price in enumerate(prices)
        ),
        volume=ObservedVolume(name="v", datacenter=volume, size_gb=10) if volume else None,
    )


def broken(
    rules: str, made: Plan, seen: ObservedCatalog | None = None, *, help: str = ""
) -> tuple[Diagnostic, ...]:
    """Return the findings about a plan."""
    return judge([policy(rules, help=help)], Judged(plan=made, catalog=seen), "jobs/train.yaml")


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # rule, parts of a plan that keep it, parts that break it
    (
        "max_price_per_hour_usd: 2",
        {"pod": {"max_price_per_hour_usd": 2.0}},
        {"pod": {"max_price_per_hour_usd": 2.01}},
    ),
    (
        "require_price_ceiling: true",
        {"pod": {"max_price_per_hour_usd": 9.0}},
        {"pod": {"max_price_per_hour_usd": None}},
    ),
    (
        "max_cost_cap_usd: 40",
        {"budget": {"cost_cap_usd": 40.0}},
        {"budget": {"cost_cap_usd": 40.5}},
    ),
    (
        "max_sweep_cap_usd: 40",
        {"matrix": sweep(cap_usd=40.0), "budget": {"cost_cap_usd": 41.0}},
        {"matrix": sweep(cap_usd=None), "budget": {"cost_cap_usd": 41.0}},
    ),
    (
        "max_runtime_minutes: 60",
        {"budget": {"max_runtime_minutes": 60.0}},
        {"budget": {"max_runtime_minutes": None}},
    ),
    (
        "allowed_images: [runpod/pytorch, 'ghcr.io/acme/*']",
        {"pod": {"image": f"ghcr.io/acme/a/b{DIGEST}"}},
        {"pod": {"image": "runpod/pytorch2:1"}},
    ),
    (
        "require_image_digest: true",
        {"pod": {"image": f"runpod/pytorch:1{DIGEST}"}},
        {"pod": {"image": "runpod/pytorch:1"}},
    ),
    (
        "allowed_gpus: [NVIDIA L*]",
        {"candidates": places(("NVIDIA L4", None, "SECURE"))},
        {"candidates": places(("NVIDIA L4", None, "SECURE"), ("NVIDIA H200", None, "SECURE"))},
    ),
    ("max_gpu_count: 2", {"pod": {"gpu_count": 2}}, {"pod": {"gpu_count": 3}}),
    (
        "max_gpu_count: 4",
        {"pod": {"gpu_count": 2}, "cluster": nodes(2)},
        {"pod": {"gpu_count": 2}, "cluster": nodes(3)},
    ),
    ("max_nodes: 2", {"cluster": nodes(2)}, {"cluster": nodes(3)}),
    (
        "allowed_clouds: [SECURE]",
        {"candidates": places(("L4", None, "SECURE"))},
        {"candidates": places(("L4", None, "SECURE"), ("L4", None, "COMMUNITY"))},
    ),
    (
        "allowed_datacenters: [EU-*]",
        {"candidates": places(("L4", "EU-RO-1", "SECURE"))},
        {"candidates": places(("L4", "EU-RO-1", "SECURE"), ("L4", "US-KS-2", "SECURE"))},
    ),
    (
        "allowed_storage_modes: [none, ephemeral]",
        {"storage": {"mode": "ephemeral"}},
        {"storage": {"mode": "network_volume"}},
    ),
    (
        "max_container_disk_gb: 50",
        {"pod": {"container_disk_gb": 50}},
        {"pod": {"container_disk_gb": 51}},
    ),
    ("max_volume_gb: 100", {"storage": {"volume_gb": None}}, {"storage": {"volume_gb": 101}}),
    (
        "on_success: [delete]",
        {"lifecycle": {"on_success": "delete"}},
        {"lifecycle": {"on_success": "preserve"}},
    ),
    (
        "on_failure: [delete, stop]",
        {"lifecycle": {"on_failure": "stop"}},
        {"lifecycle": {"on_failure": "preserve"}},
    ),
    (
        "on_orphaned: [delete]",
        {"lifecycle": {"on_orphaned": "delete"}},
        {"lifecycle": {"on_orphaned": "stop"}},
    ),
    (
        "max_keep_hours: 24",
        {
            "lifecycle": {
                "on_success": "delete",
                "on_failure": "delete",
                "on_orphaned": "delete",
                "keep_hours": 99.0,
            }
        },
        {"lifecycle": {"on_failure": "stop", "keep_hours": 25.0}},
    ),
    ("require_lease: true", {"lease": {"required": True}}, {"lease": {"required": False}}),
]


def test_every_rule_has_a_case() -> None:
    """A rule that is added gets a plan that keeps it and one that breaks it."""
    assert RULES.keys() == {rules.partition(":")[0] for rules, *_ in CASES}


@pytest.mark.parametrize(
    ("rules", "kept", "breaks"), CASES, ids=[rules.partition(":")[0] for rules, *_ in CASES]
)
def test_a_rule_tells_plans_apart(rules: str, kept: dict[str, Any], breaks: dict[str, Any]) -> None:
    """What keeps the rule passes; what breaks it is an error at the rule, naming the plan's field."""
    assert () == broken(rules, plan(**kept))

    (said,) = broken(rules, plan(**breaks))

    name = rules.partition(":")[0]
    assert (Severity.ERROR, f"policy-{name.replace('_', '-')}") == (said.severity, said.code)
    assert said.where is not None
    assert ("policy.yaml", 3, 3) == (said.where.file, said.where.line, said.where.column)
    assert f"  {rules}" == said.source_line
    assert "jobs/train.yaml" in said.detail
    assert f"`{name}: " in said.detail
    part = next(iter(breaks))
    assert f"`{part}" in said.detail


@pytest.mark.parametrize("name", [name for name in RULES if name.startswith("require_")])
def test_a_rule_that_is_false_asks_nothing(name: str) -> None:
    """`false` switches a rule off, so that a policy can say so."""
    made = plan(pod={"max_price_per_hour_usd": None}, lease={"required": False})
    assert () == broken(f"{name}: false", made)


@pytest.mark.parametrize(
    ("cap", "said"),
    [
        (None, "`matrix.cap_usd` is not set, and the caps of the runs come to $1,000.00."),
        (500.0, "`matrix.cap_usd` is $500, and the caps of the runs come to $1,000.00."),
        (200.0, None),
    ],
)
def test_all_runs_of_a_sweep_are_judged_together(cap: float | None, said: str | None) -> None:
    """Two hundred runs of $5 come to $1000, or to the cap of the sweep; a job alone is no sweep."""
    rules = [policy("max_sweep_cap_usd: 200")]
    run = plan(matrix=sweep(cap_usd=cap), budget={"cost_cap_usd": 5.0})
    found = judge(rules, Judged(plan=run, catalog=None, caps_usd=1000.0), "job.yaml")
    assert ([] if said is None else [said]) == [
        one.detail.removeprefix("In the plan of job.yaml, ").partition(" The policy")[0]
        for one in found
    ]
    assert () == judge(rules, Judged(plan=run, catalog=None), "job.yaml"), "$5 by itself"
    alone = plan(budget={"cost_cap_usd": 900.0})
    assert () == judge(rules, Judged(plan=alone, catalog=None), "job.yaml")


FREE = {"pod": {"max_price_per_hour_usd": None}}


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (None, "nobody was asked"),
        (catalog(1.0, None), "is not known (GPU 1"),
        (catalog(1.0, 2.5), "is $2.5 (GPU 1"),
    ],
    ids=["offline", "unknown", "dear"],
)
def test_a_price_that_is_not_known_keeps_no_rule(seen: ObservedCatalog | None, says: str) -> None:
    """Without a ceiling every candidate's price must be known and low enough."""
    (said,) = broken("max_price_per_hour_usd: 2", plan(**FREE), seen)
    assert says in said.detail


def test_known_prices_keep_the_rule() -> None:
    """A plan without a ceiling passes when every price of the catalog does."""
    assert () == broken("max_price_per_hour_usd: 2", plan(**FREE), catalog(1.0, 2.0))


def test_a_ceiling_counts_whatever_the_catalog_says() -> None:
    """A plan that would pay more than the policy allows breaks it, cheap as it is today."""
    made = plan(pod={"max_price_per_hour_usd": 9.0})
    assert 1 == len(broken("max_price_per_hour_usd: 2", made, catalog(1.0)))


def test_an_assumed_rate_is_no_price() -> None:
    """What the job file assumes about the price is nothing that a policy believes."""
    made = plan(**FREE, budget={"assumed_hourly_rate_usd": 0.1})
    assert 1 == len(broken("max_price_per_hour_usd: 2", made))


@pytest.mark.parametrize(
    ("image", "pattern", "fits"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest", True),
        ("ubuntu:22.04", "docker.io/library/*", True),
        ("docker.io/runpod/pytorch:1", "runpod/pytorch:1", True),
        ("docker.io/runpod/pytorch:1", "docker.io/runpod/*", True),
        (f"runpod/pytorch{DIGEST}", "runpod/pytorch", True),
        ("evil.example/runpod/pytorch:1", "runpod/*", False),
        ("runpod/pytorch:1", "runpod/pytorch:[0-9]", False),
        ("host:5000/a/b:1", "host:5000/a/b", True),
        ("a" * 3000, "*a*a*a*a*a*a*a*a*a*a*b", False),
    ],
)
def test_images_are_matched_by_their_names(image: str, pattern: str, fits: bool) -> None:
    """A pattern fits the name as written or in full, never another registry's."""
    found = broken(f"allowed_images: ['{pattern}']", plan(pod={"image": image}))
    assert fits is (found == ())


def test_an_image_that_only_a_template_knows_breaks_the_rule() -> None:
    """What cannot be known is not allowed."""
    made = plan(pod={"image": None, "template_id": "abc"})
    assert 1 == len(broken("allowed_images: ['*']", made))
    assert 1 == len(broken("require_image_digest: true", made))


def test_a_choice_left_to_runpod_needs_the_pattern_for_all() -> None:
    """`any` is no data center that a policy allows, unless it allows all."""
    made = plan(candidates=places(("L4", None, "SECURE")))
    assert 1 == len(broken("allowed_datacenters: ['EU-*']", made))
    assert () == broken("allowed_datacenters: ['*']", made)


@pytest.mark.parametrize(
    ("seen", "count"),
    [
        (None, 1),
        (catalog(1.0), 1),
        (catalog(1.0, volume="US-KS-2"), 1),
        (catalog(1.0, volume="EU-RO-1"), 0),
    ],
)
def test_a_volume_decides_the_place(seen: ObservedCatalog | None, count: int) -> None:
    """Where a network volume lies must be known from the catalog, and be allowed."""
    made = plan(candidates=places(("L4", "@volume", "SECURE")))
    assert count == len(broken("allowed_datacenters: ['EU-*']", made, seen))


def test_one_finding_for_each_rule_and_file() -> None:
    """All rules of all files must be kept; many candidates are one finding, with a count."""
    made = plan(candidates=places(*[("H200", "US-KS-2", "COMMUNITY")] * 9))
    two = [policy("allowed_clouds: [SECURE]\nallowed_gpus: [L4]"), policy("max_gpu_count: 1")]

    found = judge(two, Judged(plan=made, catalog=None), "job.yaml")

    assert ["policy-allowed-clouds", "policy-allowed-gpus"] == [one.code for one in found]
    assert [3, 4] == [one.where.line for one in found if one.where]
    assert all("and 4 more" in one.detail for one in found)


def test_the_policy_says_whom_to_ask() -> None:
    """The help of the file ends that of each finding."""
    (said,) = broken("max_gpu_count: 1", plan(pod={"gpu_count": 2}), help="Ask in the channel.")
    assert said.help is not None
    assert said.help.endswith("\nAsk in the channel.")


@pytest.mark.parametrize(
    ("rules", "made", "asks"),
    [
        ("max_price_per_hour_usd: 2", plan(**FREE), True),
        ("max_price_per_hour_usd: 2", plan(pod={"max_price_per_hour_usd": 9.0}), False),
        ("allowed_datacenters: [EU-*]", plan(candidates=places(("L", "@volume", "SECURE"))), True),
        ("allowed_datacenters: [EU-*]", plan(candidates=places(("L", None, "SECURE"))), False),
        ("max_gpu_count: 1", plan(**FREE), False),
    ],
)
def test_the_catalog_is_asked_only_where_it_decides(rules: str, made: Plan, asks: bool) -> None:
    """A policy that the plan alone can answer needs no account and no network."""
    assert asks is asks_catalog(policy(rules).rules, made)
