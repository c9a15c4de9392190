"""By when a run and its pod end, told from plan and journal."""

from dataclasses import replace

import pytest

from record_cases import event, plan_file
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.record.events import Event
from runpod_deploy.record.run import fold
from runpod_deploy.record.run_ends import Ends, ends_of

T0 = 1_772_366_400.0  # 2026-03-01T12:00:00Z
NOW = T0 + 600
RATE = 2.0

CREATED = [
    event("run_started", run_id="r"),
    event(
        "pod_create_intended", op_id="p", name="p", gpu_id="g", datacenter_id=None, cloud_type="S"
    ),
    event(
        "pod_create_settled",
        op_id="p",
        outcome="created",
        pod_id="pod1",
        cost_per_hour_usd=RATE,
        error=None,
    ),
]
ARMED = event("lease_armed", verified=True, via="curl")
BEGUN = event("exec_start_settled", "2026-03-01T12:05:00Z", op_id="exec", outcome="started")
ENDED = event("job_ended", outcome="succeeded", exit_code=0, cause=None, log_bytes=0)


def plan(**changes: object) -> Plan:
    """Return a plan with 10 USD, 60 minutes and half an hour of silence."""
    base = plan_file().plan
    budget = replace(base.budget, max_runtime_minutes=changes.pop("minutes", 60.0))
    return replace(base, budget=budget, lease=replace(base.lease, **changes))


def ends(events: list[Event], of: Plan | None = None) -> Ends:
    """Return the ends of a run with these events."""
    return ends_of(of or plan(), fold(events), events, NOW)


def test_a_running_job_ends_at_the_earlier_limit() -> None:
    """The runtime counts from the job's start, the money from the create call."""
    told = ends([*CREATED, ARMED, BEGUN])
    assert (T0 + 300 + 3600, "max_runtime") == (told.job_at, told.job_because)
    told = ends([*CREATED, ARMED, BEGUN], plan(minutes=None))
    assert (T0 + 10 / RATE * 3600, "cost_cap") == (told.job_at, told.job_because)


def test_an_orphan_goes_after_its_job_and_the_silence() -> None:
    """Silence counts from the job's last possible moment; the money never waits longer."""
    told = ends([*CREATED, ARMED, BEGUN])
    assert (T0 + 300 + 3600 + 1800, "silence") == (told.pod_at, told.pod_because)
    told = ends([*CREATED, ARMED, BEGUN], plan(minutes=None))
    assert (T0 + 18000, "cost_cap") == (told.pod_at, told.pod_because)


@pytest.mark.parametrize("rest", [[], [BEGUN, ENDED]])
def test_before_and_after_the_job_silence_counts_from_now(rest: list[Event]) -> None:
    """Whoever falls silent at this moment loses the pod after the minutes of the lease."""
    told = ends([*CREATED, ARMED, *rest])
    assert (None, NOW + 1800) == (told.job_at, told.pod_at)


def test_results_that_would_be_wiped_wait_for_the_money() -> None:
    """Where acting would wipe results, silence does nothing once the job has begun."""
    told = ends([*CREATED, ARMED, BEGUN], plan(spares_results=True))
    assert (T0 + 18000, "cost_cap") == (told.pod_at, told.pod_because)


def test_silence_may_stop_a_running_job() -> None:
    """With `while_running: stop` silence counts at once."""
    assert NOW + 1800 == ends([*CREATED, ARMED, BEGUN], plan(while_running="stop")).pod_at


def test_without_a_watchdog_nothing_ends_the_pod() -> None:
    """Not armed: the watch of the start, where there is one; armed and powerless: nothing."""
    assert Ends(verified=None) == ends(CREATED)
    told = ends(CREATED, plan(at_boot=True))
    assert (T0 + 1800, "boot_grace") == (told.pod_at, told.pod_because)
    powerless = event("lease_armed", verified=False, via=None)
    told = ends([*CREATED, powerless, BEGUN])
    assert (None, False) == (told.pod_at, told.verified)


def test_an_earlier_pod_of_the_run_says_nothing() -> None:
    """What was armed and begun on a pod that was given back does not count for the next."""
    again = [replace(one, fields={**one.fields, "op_id": "q", "name": "q"}) for one in CREATED[1:]]
    assert ends([*CREATED, ARMED, BEGUN, *again]) == Ends()


def test_a_run_that_is_over_has_no_ends() -> None:
    """Nor has one without a pod."""
    over = event("state_changed", state="FAILED", cause="exit_code")
    assert Ends() == ends([*CREATED, ARMED, BEGUN, over])
    assert Ends() == ends(CREATED[:1])
