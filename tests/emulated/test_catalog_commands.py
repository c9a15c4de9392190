"""Prices and stock from the emulator over real HTTP, as a user asks for them."""

from __future__ import annotations

import json

import pytest

from runpod_deploy.emulator import client
from support.command import Bench

pytestmark = pytest.mark.emulated

EMULATOR = ("--cloud", "emulator")
TWO = {"gpu_order": ["NVIDIA L4", "NVIDIA RTX A5000"], "datacenters": ["EU-RO-1"]}


def asked(bench: Bench) -> int:
    """Return how often the emulator's catalog was read."""
    info = client.find(bench.env)
    assert info is not None
    rows = client.admin(info, "GET", "requests")["requests"]
    return sum(row["path"].startswith("/v2/catalog/gpus") for row in rows)


def test_the_catalog_is_read_once_and_kept(bench: Bench) -> None:
    """A second look within a minute asks nobody; `--refresh` does."""
    bench.emulator()

    status, output = bench.run("gpu-list", *EMULATOR)
    assert status == 0, output
    assert "NVIDIA GeForce RTX 4090" in output
    assert "emulator, read" in output
    before = asked(bench)
    assert before == 2  # one question for each cloud

    status, output = bench.run("gpu-list", *EMULATOR, "--json")
    assert json.loads(output)["kept"] is True
    assert asked(bench) == before

    bench.run("gpu-list", *EMULATOR, "--refresh")
    assert asked(bench) == 2 * before


def test_inventory_ends_with_3_when_all_is_gone(bench: Bench) -> None:
    """The exit status is what scripts wait for."""
    bench.emulator("stock-out:gpu=NVIDIA L4")
    bench.job(pod=TWO)
    status, output = bench.run("gpu-inventory", *EMULATOR, "job.yaml", "--json")
    levels = [row["stock"] for row in json.loads(output)["candidates"]]
    assert (status, levels[0]) == (0, "NONE"), output
    assert levels[1] in {"LOW", "MEDIUM", "HIGH"}
    assert json.loads(output)["asking_order"] == [1, 0]

    bench.job(pod={"gpu_order": ["NVIDIA L4"]})
    status, output = bench.run("gpu-inventory", *EMULATOR, "job.yaml")
    assert status == 3, output
    assert "None of the candidates can be had now." in output


def test_a_live_plan_is_applied_and_its_estimate_kept(bench: Bench) -> None:
    """The estimate of the plan stands in the manifest, and the next one knows how long it took."""
    bench.emulator()
    bench.job(pod=TWO, budget={"max_runtime_minutes": 30})
    status, output = bench.run("plan", "job.yaml", "--live", *EMULATOR, "-o", "plan.json")
    assert status == 0, output
    assert "$0.49/h" in output
    assert "no run of this job has succeeded here yet" in output

    status, output = bench.run("apply", "plan.json", "--yes", *EMULATOR)
    assert status == 0, output
    estimated = bench.manifest()["cost"]["estimated_usd"]
    assert estimated == pytest.approx((0.49 + 20 * 0.10 / 720) / 2)

    status, output = bench.run("estimate", "job.yaml", *EMULATOR)
    assert status == 0, output
    assert "the median of 1 run on this GPU" in output


def test_a_wrong_key_ends_with_5(bench: Bench) -> None:
    """The API's own refusal of a key is told as that."""
    bench.emulator()
    info = client.find(bench.env)
    assert info is not None
    bench.extra |= {"RUNPOD_API_URL": info.url, "RUNPOD_API_KEY": "rpa_WRONG"}

    status, output = bench.run("gpu-prices")

    assert status == 5, output
    assert "RUNPOD_API_KEY" in output
    assert "WRONG" not in output


def test_a_rate_limit_is_waited_out(bench: Bench) -> None:
    """A 429 costs a second and not the command."""
    bench.emulator("rate-limit:times=1,retry_after=1")

    status, output = bench.run("gpu-prices", *EMULATOR)

    assert status == 0, output
    assert "NVIDIA L4" in output


def test_validate_live_asks_the_emulator(bench: Bench) -> None:
    """Stock and network volume are looked up where `--cloud` says."""
    bench.emulator("stock-out:gpu=NVIDIA L4")
    bench.job()

    status, output = bench.run("validate", "job.yaml", "--live", *EMULATOR)
    assert status == 0, output
    assert "nothing-to-be-had" in output

    status, output = bench.run("validate", "job.yaml", "--live", "--strict", *EMULATOR)
    assert status == 4, output

    bench.job(storage={"mode": "network_volume", "volume_name": "data"})
    status, output = bench.run("validate", "job.yaml", "--live", *EMULATOR)
    assert status == 4, output
    assert "no such network volume" in output


def test_a_saved_plan_whose_price_rose_is_refused(bench: Bench) -> None:
    """The price that was approved is held against the catalog; `--allow price` lets it pass."""
    bench.emulator()
    bench.job(pod=TWO)
    assert bench.run("plan", "job.yaml", "--live", *EMULATOR, "-o", "plan.json")[0] == 0
    plan = json.loads((bench.project / "plan.json").read_text("utf-8"))
    for row in plan["observed"]["catalog"]["candidates"]:
        row["price_per_hour_usd"] /= 2
    bench.write("plan.json", json.dumps(plan))

    status, output = bench.run("apply", "plan.json", "--yes", *EMULATOR)
    assert status == 6, output
    assert "price.NVIDIA L4.SECURE" in output
    assert "$0.49/h" in output
    assert bench.runs() == []

    status, output = bench.run("apply", "plan.json", "--yes", "--allow", "price", *EMULATOR)
    assert status == 0, output
    drifts = [event for event in bench.events() if event["event"] == "plan_drift"]
    assert {event["verdict"] for event in drifts} == {"allowed"}
