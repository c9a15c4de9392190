"""Money on the emulator: the ledger against its bill, and each cap against the clock."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.command import Bench

pytestmark = pytest.mark.emulated

RUN = ("run", "--cloud", "emulator", "job.yaml")
# So dear, a cap is reached within seconds: an L4 costs 0.49 USD a second.
DEAR = "wrong-price:factor=3600,times=99"
# Dear enough to reach a cap, with time enough left to be released below it.
DEARISH = "wrong-price:factor=360,times=99"
KEPT = {"storage": {"mode": "ephemeral", "volume_gb": 10}}


def ledger(bench: Bench) -> list[dict[str, Any]]:
    """Return the lines of the user's ledger."""
    file = bench.root / "state" / "runpod-deploy" / "ledger.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def billed(bench: Bench) -> float:
    """Return what the emulator bills for all pods it ever had."""
    return sum(float(pod["spent_usd"]) for pod in bench.history()["pods"])


def test_run_costs_what_the_emulator_bills(bench: Bench) -> None:
    """Accrued and billed differ by the moments between a call and its effect, disks included."""
    bench.emulator(DEAR)
    bench.job(run={"body": "sleep 3\n"}, **KEPT)
    status, output = bench.run(*RUN)

    assert status == 0, output
    accrued = bench.manifest()["cost"]["accrued_usd"]
    # What is asked for is billed from a little later on, and until a little earlier.
    assert billed(bench) <= accrued <= billed(bench) + 0.49 * 2
    assert [line["event"] for line in ledger(bench)] == ["opened", "created", "gone"]
    opened, created, gone = ledger(bench)
    by_ledger = (gone["at"] - opened["at"]) * created["usd_per_hour"] / 3600
    assert by_ledger == pytest.approx(accrued, abs=0.49)
    assert created["usd_per_hour"] == pytest.approx(0.49 * 3600 + 30 * 0.10 / 720, rel=0.01)


def test_job_is_ended_at_the_soft_limit_with_its_results(bench: Bench) -> None:
    """What the job wrote until then comes home, and the bill stays below the cap."""
    bench.emulator(DEAR)
    body = "mkdir -p /workspace/out; echo half > /workspace/out/a; sleep 600\n"
    bench.job(
        run={"body": body},
        budget={"cost_cap_usd": 20, "soft_cap_fraction": 0.5},
        artifacts=[{"label": "out", "remote_path": "/workspace/out"}],
    )
    status, output = bench.run(*RUN)

    assert status == 1, output
    assert "soft limit of the money reached" in output
    manifest = bench.manifest()
    assert (manifest["cause"], manifest["artifacts"][0]["status"]) == ("cost_cap", "success")
    assert (bench.last_run() / "out" / "a").read_text() == "half\n"
    assert bench.pods() == []
    assert 9 < billed(bench) <= 20


def test_hard_limit_ends_a_setup_that_goes_on(bench: Bench) -> None:
    """No later than one billing tick after the cap the pod is gone, whatever was being done."""
    bench.emulator(DEAR)
    bench.job(setup=[{"command": "sleep 600", "timeout_sec": 900}], budget={"cost_cap_usd": 5})
    status, output = bench.run(*RUN)

    assert status == 1, output
    assert bench.manifest()["cause"] == "cost_cap"
    assert bench.pods() == []
    assert billed(bench) <= 5 + 0.49 * 300


def test_month_that_is_spent_refuses_the_next_run_before_a_pod_exists(bench: Bench) -> None:
    """Exit status 6, no create call, and the reason with what was spent; other clouds do not count."""
    bench.emulator(DEARISH)
    budget = {"monthly_cap_usd": 1.6, "cost_cap_usd": 1.6, "soft_cap_fraction": 0.4}
    bench.job(run={"body": "sleep 600\n"}, budget=budget)
    assert bench.run(*RUN)[0] == 1
    assert 0.5 < billed(bench) <= 1.6

    bench.job(budget={**budget, "monthly_cap_usd": billed(bench)})
    status, output = bench.run(*RUN)

    assert status == 6, output
    assert "nothing is left for another pod" in output
    assert len(bench.history()["pods"]) == 1
    assert bench.manifest()["cause"] == "monthly_cap"


def test_runs_that_begin_together_do_not_spend_the_same_money(bench: Bench) -> None:
    """Of four runs at once each gets what the others leave; together they stay below the month's cap."""
    bench.emulator(DEARISH)
    budget = {"monthly_cap_usd": 3.6, "cost_cap_usd": 2.4, "soft_cap_fraction": 0.4}
    bench.job(run={"body": "sleep 600\n"}, budget=budget)
    with ThreadPoolExecutor(4) as together:
        ended = list(together.map(lambda _: bench.run(*RUN), range(4)))

    assert sorted(status for status, _ in ended) == [1, 1, 6, 6], "\n".join(o for _, o in ended)
    assert len(bench.history()["pods"]) == 2
    assert billed(bench) <= 3.6
    assert bench.pods() == []


def test_stopped_pod_costs_its_disk_until_it_is_cleaned_up(bench: Bench) -> None:
    """The ledger hears of the stop from the run, and of the end from `cleanup`."""
    bench.job(run={"body": "exit 1\n"}, lifecycle={"on_failure": "stop"}, **KEPT)
    status, output = bench.run(*RUN)
    assert status == 1, output
    (pod,) = bench.pods()
    status, output = bench.run("cleanup", "--cloud", "emulator", "--yes", pod["id"])

    assert status == 0, output
    events = [line["event"] for line in ledger(bench)]
    assert events == ["opened", "created", "stopped", "gone"]
    assert ledger(bench)[0]["disk_usd_per_hour"] == pytest.approx(10 * 0.20 / 720)
