"""A run's money: the ledger it keeps, the caps it is held to, and what it does at each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.errors import OverMonthlyCap, Unavailable
from runpod_deploy.executor import lease, spending
from runpod_deploy.record.ledger import Ledger
from support.fakes import FakeJob
from support.plans import changed, small_plan
from support.rig import Rig, RigMaker
from support.virtual_time import EPOCH

# The pod's price is a dollar an hour, and 20 GB of container disk cost beside it.
RATE = 1 + 20 * 0.1 / 720


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return the ledger of this test's user."""
    return Ledger(tmp_path / "state" / "ledger.jsonl")


def make(make_rig: RigMaker, ledger: Ledger, *, job: FakeJob | None = None, **budget: Any) -> Rig:
    """Return a run that keeps the ledger."""
    rig = make_rig(changed(small_plan(), budget=budget) if budget else None, job=job)
    rig.ctx.ledger = Ledger(ledger.file)
    return rig


def other_run(
    ledger: Ledger, *, limit: float = 10.0, rate: float = 1.0, age: float = 600.0, **more: Any
) -> None:
    """Enter a pod `pod9` of another run, which runs."""
    with ledger.locked():
        ledger.add(
            "opened",
            "rd-other",
            EPOCH - age,
            run="other",
            cloud="emulator",
            api_url="http://127.0.0.1:1",
            usd_per_hour=rate,
            disk_usd_per_hour=0.0,
            limit_usd=limit,
            until=EPOCH + 1e6,
            **more,
        )
        ledger.add("created", "rd-other", EPOCH - age, pod_id="pod9", usd_per_hour=rate)


def reached(rig: Rig) -> list[str]:
    """Return the limits that were reached."""
    return [event["limit"] for event in rig.events if event.event == "budget_reached"]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_every_pod_stands_in_the_ledger_until_its_confirmed_end(
    make_rig: RigMaker, ledger: Ledger, exit_code: int
) -> None:
    """The ledger's sum is that of the run, disks included, and nothing goes on after its end."""
    rig = make(make_rig, ledger, job=FakeJob(lasts=1000.0, exit_code=exit_code))
    run = rig.run()
    (account,) = ledger.accounts().pods.values()
    assert not account.open
    assert ("pod1", RATE) == (account.pod_id, pytest.approx(account.stretches[0].usd_per_hour))
    late = EPOCH + 1e6
    assert account.usd(0.0, late) == pytest.approx(rig.ctx.spent(), abs=1e-5)
    assert account.usd(0.0, late) > 1000 * RATE / 3600
    assert run.pods[account.name].gone_at is not None


def test_create_call_that_is_refused_leaves_no_cost(make_rig: RigMaker, ledger: Ledger) -> None:
    """A candidate that cannot be had is taken back; its successor counts."""
    rig = make(make_rig, ledger)
    rig.cloud.no_stock.add(("NVIDIA L4", "EU-RO-1", "SECURE"))
    rig.run()
    first, second = ledger.accounts().pods.values()
    assert (0.0, False) == (first.usd(0.0, EPOCH + 1e6), first.open)
    assert second.usd(0.0, EPOCH + 1e6) > 0


def test_stopped_pod_goes_on_costing_its_disk(make_rig: RigMaker, ledger: Ledger) -> None:
    """After a stop the ledger counts the disk at the price of a stopped one."""
    plan = changed(
        small_plan(),
        storage={"mode": "ephemeral", "mount": "/workspace", "volume_gb": 72},
        lifecycle={"on_failure": "stop"},
    )
    rig = make_rig(plan, job=FakeJob(exit_code=1))
    rig.ctx.ledger = ledger
    rig.run()
    (account,) = ledger.accounts().pods.values()
    assert (True, False) == (account.open, account.running)
    assert account.stretches[-1].usd_per_hour == pytest.approx(72 * 0.20 / 720)


def test_leaked_pod_goes_on_costing(make_rig: RigMaker, ledger: Ledger) -> None:
    """A pod that could not be confirmed gone stays open in the ledger."""
    rig = make(make_rig, ledger)
    rig.cloud.delete_always = "lie"
    assert "LEAKED" == rig.run().state
    (account,) = ledger.accounts().pods.values()
    assert account.open


def test_job_is_ended_at_the_soft_limit_and_its_results_come_home(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """Nine tenths of the money are the job's; the rest pays for what is brought home."""
    rig = make(make_rig, ledger, job=FakeJob(lasts=1e6), cost_cap_usd=1.0)
    run = rig.run()
    assert ("FAILED", "cost_cap") == (run.state, run.cause)
    assert ["/workspace/results"] == rig.downloads.tried
    assert {} == rig.cloud.rented
    assert ["soft_cap"] == reached(rig)
    assert rig.ctx.spent() == pytest.approx(0.9, abs=0.01)


def test_hard_limit_ends_whatever_is_being_done(make_rig: RigMaker, ledger: Ledger) -> None:
    """A setup command that outlasts the money is cut off, and the pod released."""
    rig = make(make_rig, ledger, cost_cap_usd=0.01)
    made = rig.cloud.machine

    def machine() -> Any:
        one = made()
        one.hangs.add("setup-1")
        return one

    rig.cloud.machine = machine
    run = rig.run()
    assert ("FAILED", "cost_cap") == (run.state, run.cause)
    assert ["cost_cap"] == reached(rig)
    assert {} == rig.cloud.rented
    assert rig.ctx.spent() < 0.01 + 5 / 60 * RATE


def test_a_cap_that_is_spent_before_the_job_begins_names_its_key(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """With what was written there, and what to do."""
    rig = make(make_rig, ledger, cost_cap_usd=10.0, soft_cap_fraction=1e-9)
    run = rig.run()
    assert ("FAILED", "cost_cap") == (run.state, run.cause)
    assert (
        "`budget.cost_cap_usd` (10 USD, of which the job may use 0%)"
        in rig.one("step_failed")["error"]
    )


def test_pods_before_count_against_the_cap(make_rig: RigMaker, ledger: Ledger) -> None:
    """What a host cost that was given up is not there for the next one."""
    rig = make(make_rig, ledger, cost_cap_usd=1.0, max_runtime_minutes=None)
    rig.cloud.changes.append({"ssh": None})
    rig.run()
    first, second = ledger.accounts().pods.values()
    lost = first.usd(0.0, EPOCH + 1e6)
    assert lost > 300 / 3600
    seconds, reason = rig.job.limit
    assert "cost_cap" == reason
    paid = seconds + (rig.job.started_at or 0.0) - (second.stretches[0].start - EPOCH)
    assert paid == pytest.approx((0.9 - lost) / RATE * 3600, abs=3)


def test_month_without_money_refuses_before_a_pod_is_asked_for(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """What a run under way may still cost is spoken for; nothing is created, and the reason is told."""
    other_run(ledger, limit=10.0)
    rig = make(make_rig, ledger, monthly_cap_usd=10.0)
    rig.cloud.gets.extend([Unavailable("not now")] * 9)
    run = rig.run()
    assert ("FAILED", "monthly_cap") == (run.state, run.cause)
    assert isinstance(rig.engine.failure, OverMonthlyCap)
    assert 6 == rig.engine.failure.exit_code
    assert "may still cost" in rig.engine.failure.message
    assert ([], 0) == (rig.cloud.requests, len(run.pods))


def test_run_gets_what_the_month_has_left(make_rig: RigMaker, ledger: Ledger) -> None:
    """With less left than its own cap, the run is ended at what is left, and says so beforehand."""
    other_run(ledger, limit=9.0)
    rig = make(make_rig, ledger, job=FakeJob(lasts=1e6), monthly_cap_usd=10.0)
    rig.cloud.gets.extend([Unavailable("not now")])
    run = rig.run()
    assert ("FAILED", "cost_cap") == (run.state, run.cause)
    assert any("leaves $1.00 for this run" in text for text in run.warnings)
    assert rig.ctx.spent() == pytest.approx(0.9, abs=0.01)


def test_pod_that_ended_with_nobody_looking_gives_its_money_back(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """Before a run is refused, the API is asked for the pods that the ledger holds to be there."""
    other_run(ledger, limit=10.0)
    rig = make(make_rig, ledger, monthly_cap_usd=10.0)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    account = ledger.accounts().pods["rd-other"]
    assert not account.open
    assert account.usd(0.0, EPOCH + 1e6) == pytest.approx(600 / 3600, abs=1e-3)


@pytest.mark.parametrize("cluster", [False, True])
def test_only_a_pod_is_known_to_be_gone_where_clusters_cannot_be_seen(
    make_rig: RigMaker, ledger: Ledger, *, cluster: bool
) -> None:
    """The ledger tells which is which: a single pod's end frees its money, a cluster's is not believed."""
    other_run(ledger, limit=10.0, cluster=cluster)
    rig = make(make_rig, ledger, monthly_cap_usd=10.0)
    rig.cloud.clusters_unseen = True
    rig.ctx.account = rig.cloud
    assert ("monthly_cap" if cluster else None) == rig.run().cause
    assert cluster == ledger.accounts().pods["rd-other"].open


def test_young_pod_of_another_run_is_not_taken_for_gone(make_rig: RigMaker, ledger: Ledger) -> None:
    """A pod that another process is just asking for is not in the list yet, and counts."""
    other_run(ledger, limit=10.0, age=5.0)
    rig = make(make_rig, ledger, monthly_cap_usd=10.0)
    assert "monthly_cap" == rig.run().cause


def test_month_that_is_spent_while_the_run_goes_on_ends_it(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """Another run that no cap holds can spend the month; this one then ends and brings its results."""
    rig = make(
        make_rig,
        ledger,
        job=FakeJob(lasts=1e6),
        monthly_cap_usd=20.0,
        max_runtime_minutes=None,
    )
    rig.clock.gate.act = lambda number, _name: (
        other_run(ledger, rate=3600.0, age=0.0) if number == 120 else None
    )
    run = rig.run()
    assert ("FAILED", "monthly_cap") == (run.state, run.cause)
    assert ["/workspace/results"] == rig.downloads.tried
    assert {} == rig.cloud.rented


def test_ledger_that_cannot_be_kept_is_a_warning_without_a_monthly_cap(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """A run with a cap of its own goes on; that others do not see it is said once."""
    ledger.file.parent.write_text("not a folder")
    rig = make(make_rig, ledger)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert 1 == sum("ledger" in text for text in run.warnings)


def test_ledger_that_cannot_be_kept_refuses_a_run_with_a_monthly_cap(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """A cap over runs that cannot see each other would be none."""
    ledger.file.parent.write_text("not a folder")
    rig = make(make_rig, ledger, monthly_cap_usd=10.0)
    run = rig.run()
    assert ("FAILED", "ledger_unwritten") == (run.state, run.cause)
    assert [] == rig.cloud.requests


def test_dearer_pod_than_the_catalog_said_is_told(make_rig: RigMaker, ledger: Ledger) -> None:
    """The price of the pod itself is held against that of the catalog before anything else is paid for."""
    rig = make(make_rig, ledger)
    rig.ctx.ring = None
    rig.cloud.cost = 1.5
    rig.cloud.offers = [catalog_row(1.0)]
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert any("$1.5/h" in text and "$1/h" in text for text in run.warnings)


def catalog_row(price: float) -> Any:
    """Return a catalog row for the first candidate."""
    from runpod_deploy.executor.ports import GpuOffer  # noqa: PLC0415 - one test alone needs it

    return GpuOffer(
        id="NVIDIA L4",
        name="L4",
        memory_gb=24,
        secure_price=price,
        community_price=None,
        stock={"SECURE": {"": "HIGH", "EU-RO-1": "HIGH"}},
        max_count={"SECURE": 8},
    )


def test_end_that_somebody_else_brought_about_is_noted(ledger: Ledger) -> None:
    """A pod that is reaped is closed in the ledger; one that it does not know is passed over."""
    other_run(ledger)
    spending.tell(ledger, ["pod9", "pod7"], "gone", EPOCH + 600)
    spending.tell(ledger, ["pod9"], "gone", EPOCH + 9000)
    (account,) = ledger.accounts().pods.values()
    assert account.usd(0.0, EPOCH + 1e6) == pytest.approx(1200 / 3600)


def test_pod_is_told_when_the_months_money_ends_not_the_plans(
    make_rig: RigMaker, ledger: Ledger
) -> None:
    """`dead_after`, for which `reap` waits, follows from what the run may really cost."""
    ends = []
    for left in (2.0, 0.5):
        budget = {"cost_cap_usd": 2.0, "monthly_cap_usd": left, "max_runtime_minutes": None}
        rig = make(make_rig, ledger, **budget)
        rig.run()
        meta = json.loads(rig.cloud.requests[0].env["RUNPOD_DEPLOY_META"])
        ends.append(meta["dead_after"] - EPOCH)

    cheapest = 1.5 / lease.CHEAPEST_GPU_USD * 3600
    assert ends[0] - ends[1] == pytest.approx(cheapest, rel=0.05)
