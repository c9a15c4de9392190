"""Create calls: whatever their answer, it is known afterwards what exists."""

from __future__ import annotations

import json

import pytest

from runpod_deploy.errors import (
    AccountError,
    CandidateRefused,
    EffectUnknown,
    RateLimited,
    RequestInvalid,
    Unavailable,
)
from support.fakes import AfterEffect, unavailable
from support.plans import L4, changed, small_plan
from support.rig import Rig, RigMaker

LOST = EffectUnknown("502 Bad Gateway", status=502)


def outcomes(rig: Rig) -> list[str]:
    """Return the outcomes of the create calls in order."""
    return [event["outcome"] for event in rig.events if event.event == "pod_create_settled"]


def test_created_pod_is_named_journalled_and_marked_as_ours(make_rig: RigMaker) -> None:
    """The intent is written under the unique name that the request carries, and the pod says whose it is."""
    rig = make_rig()
    rig.run()
    (request,) = rig.cloud.requests
    intended, settled = rig.one("pod_create_intended"), rig.one("pod_create_settled")
    assert request.name == intended["op_id"] == settled["op_id"] == intended["name"]
    assert request.name.startswith("rd-owner123-demo-2027")
    assert ("created", "pod1", 1.0) == (
        settled["outcome"],
        settled["pod_id"],
        settled["cost_per_hour_usd"],
    )
    meta = json.loads(request.env["RUNPOD_DEPLOY_META"])
    assert {"run", "plan_hash", "owner", "dead_after", "keep_hours"} == set(meta)
    assert rig.ctx.plan.lifecycle.keep_hours == meta["keep_hours"]
    assert rig.connector.public_key == request.env["PUBLIC_KEY"]


def test_refused_create_goes_to_the_next_candidate(make_rig: RigMaker) -> None:
    """A refusal settles its intent as refused, names its reason, and the next candidate is had."""
    rig = make_rig()
    rig.cloud.no_stock.add((L4.gpu, L4.datacenter, L4.cloud))
    run = rig.run()
    assert ["refused", "created"] == outcomes(rig)
    assert "SUCCEEDED" == run.state
    refused = rig.one("candidate_refused")
    assert (L4.gpu, L4.datacenter, 400) == (
        refused["gpu_id"],
        refused["datacenter_id"],
        refused["status"],
    )
    failover = rig.one("datacenter_failover")
    assert ("EU-RO-1", "EU-SE-1") == (failover["from"], failover["to"])


@pytest.mark.parametrize("visible_in", [0.0, 3.5, 9.9])
def test_pod_whose_answer_was_lost_is_adopted(make_rig: RigMaker, visible_in: float) -> None:
    """After a 5xx the pod of that name is found, also a little later, and used: no second one is made."""
    rig = make_rig()
    rig.cloud.creates.append(AfterEffect(LOST, visible_in=visible_in))
    run = rig.run()
    assert ["adopted"] == outcomes(rig)
    assert 1 == rig.cloud.made
    assert "SUCCEEDED" == run.state
    assert {} == rig.cloud.rented


def test_duplicates_of_one_call_are_deleted(make_rig: RigMaker) -> None:
    """When one call made three pods, one is used and two are deleted before the run goes on."""
    rig = make_rig()
    rig.cloud.creates.append(AfterEffect(LOST, copies=3))
    run = rig.run()
    assert ["adopted"] == outcomes(rig)
    reasons = [event["reason"] for event in rig.events if event.event == "pod_delete_intended"]
    assert ["duplicate of a create call"] * 2 + ["released"] == reasons
    assert {} == rig.cloud.rented
    assert "SUCCEEDED" == run.state


def test_create_without_effect_is_tried_again(make_rig: RigMaker) -> None:
    """A 5xx after which no pod is found counts as no effect, and the same candidate is asked again."""
    rig = make_rig()
    rig.cloud.creates.append(LOST)
    run = rig.run()
    assert ["none", "created"] == outcomes(rig)
    assert [L4.gpu, L4.gpu] == [request.gpu for request in rig.cloud.requests]
    assert 2 == len({request.name for request in rig.cloud.requests})
    assert "SUCCEEDED" == run.state


@pytest.mark.parametrize(("visible_in", "when"), [(11.0, "before"), (17.0, "after")])
def test_stray_that_shows_up_late_is_deleted(
    make_rig: RigMaker, visible_in: float, when: str
) -> None:
    """A pod that is listed only after the search gave up is deleted before the job starts, or at the end."""
    rig = make_rig()
    rig.cloud.creates.append(AfterEffect(LOST, visible_in=visible_in))
    run = rig.run()
    order = [
        event.event
        for event in rig.events
        if event.event == "exec_start_intended" or event.get("reason") == "stray of a create call"
    ]
    first = "pod_delete_intended" if when == "before" else "exec_start_intended"
    assert first == order[0]
    assert 2 == rig.cloud.made
    assert {} == rig.cloud.rented
    assert "SUCCEEDED" == run.state


def test_unknown_create_is_a_leak(make_rig: RigMaker) -> None:
    """A lost answer whose pod can never be looked for ends LEAKED and says which name to look for."""
    rig = make_rig()
    rig.cloud.creates.append(AfterEffect(LOST))
    rig.cloud.find_always = unavailable()
    run = rig.run()
    name = rig.cloud.requests[0].name
    assert ["unknown", "created"] == outcomes(rig)
    assert "LEAKED" == run.state
    assert [name] == [pod.name for pod in run.leaked]
    assert any(name in warning for warning in run.warnings)


def test_unknown_create_that_can_be_looked_up_at_the_end_is_settled(make_rig: RigMaker) -> None:
    """When the search works again at the end, the stray is deleted and nothing counts as leaked."""
    rig = make_rig()
    rig.cloud.creates.append(AfterEffect(LOST))
    rig.cloud.finds.extend([unavailable()] * 4)
    run = rig.run()
    assert ["unknown", "created", "none"] == outcomes(rig)
    assert "SUCCEEDED" == run.state
    assert {} == rig.cloud.rented


def test_key_refused_while_looking_settles_the_intent(make_rig: RigMaker) -> None:
    """A key that is refused while the lost pod is looked for leaves no open intent: it is a leak."""
    rig = make_rig()
    rig.cloud.creates.append(AfterEffect(LOST))
    rig.cloud.find_always = AccountError("401")
    run = rig.run()
    assert {} == dict(run.open_intents)
    assert "LEAKED" == run.state


def test_answer_that_cannot_be_read_is_looked_into(make_rig: RigMaker) -> None:
    """An exception of any kind from the create call may stand for a pod: it is found and adopted."""
    rig = make_rig()
    rig.cloud.creates.append(AfterEffect(KeyError("id")))
    run = rig.run()
    assert ["adopted"] == outcomes(rig)
    assert "SUCCEEDED" == run.state


@pytest.mark.parametrize(
    "error", [RateLimited("429", status=429, retry_after=7.0), Unavailable("connection refused")]
)
def test_a_call_that_had_no_effect_is_asked_again(make_rig: RigMaker, error: Exception) -> None:
    """A rate limit, or an API that was not reached, is waited out with the same candidate."""
    rig = make_rig()
    rig.cloud.creates.append(error)
    run = rig.run()
    assert ["refused", "created"] == outcomes(rig)
    assert [L4.gpu, L4.gpu] == [request.gpu for request in rig.cloud.requests]
    assert "SUCCEEDED" == run.state


def test_rate_limit_waits_as_long_as_it_is_told(make_rig: RigMaker) -> None:
    """The second create comes no sooner than Retry-After says."""
    rig = make_rig()
    rig.cloud.creates.append(RateLimited("429", status=429, retry_after=77.0))
    rig.run()
    first, second = [event for event in rig.events if event.event == "pod_create_intended"]
    assert 77 <= _seconds(second.ts_utc) - _seconds(first.ts_utc) < 80


@pytest.mark.parametrize("error", [AccountError("402"), RequestInvalid("422", status=422)])
def test_error_that_no_candidate_mends_ends_the_run(make_rig: RigMaker, error: Exception) -> None:
    """No balance, or a body that is wrong, is not tried with another candidate."""
    rig = make_rig()
    rig.cloud.creates.append(error)
    run = rig.run()
    assert error is rig.engine.failure
    assert 1 == len(rig.cloud.requests)
    assert "FAILED" == run.state


def test_api_without_answer_for_long_refuses_the_candidate(make_rig: RigMaker) -> None:
    """Three calls that led nowhere are enough for one candidate."""
    rig = make_rig(changed(small_plan()))
    rig.cloud.creates.extend([CandidateRefused("no"), LOST, LOST, LOST])
    rig.run()
    assert ["refused", "none", "none", "none"] == outcomes(rig)
    assert 3 == rig.engine.failure.exit_code


def _seconds(stamp: str) -> int:
    hours, minutes, seconds = stamp[11:19].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
