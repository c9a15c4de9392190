"""No run ends with a pod that nobody meant to keep: a cancel in an outage, a wrong end on record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.errors import Unavailable
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.executor.left_over import left_over
from runpod_deploy.record.run import Run, RunState
from support.fakes import unavailable
from support.killing import after, left_at
from support.plans import changed, small_plan
from support.rig import Rig, RigMaker


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def running(make_rig: RigMaker, **lifecycle: str) -> Rig:
    """Return the executor after one that was killed while its job ran."""
    plan = small_plan()
    rig = make_rig(changed(plan, lifecycle=lifecycle) if lifecycle else plan)
    rig.job.lasts = 50_000.0
    return left_at(rig, "exec_start_settled")


def wrongly_over(make_rig: RigMaker, **lifecycle: str) -> Rig:
    """Return the executor for a run that an earlier version left as cancelled, with its pod running."""
    rig = running(make_rig, **lifecycle)
    rig.ctx.journal.write("state_changed", state="CANCELLED", cause="cancelled")
    rig.ctx.journal._abandon()
    return after(rig)


def statuses(rig: Rig) -> list[str]:
    """Return how the pods of the account are."""
    return [one.pod.status for one in rig.cloud.rented.values()]


@pytest.mark.parametrize("call", ["pods", "get"])
def test_cancel_while_the_api_is_down_leaves_the_run_as_it_was(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A run of which only half is known is not ended; a later cancel ends it and its pod."""
    rig = running(make_rig)

    async def down(*_args: Any) -> Any:
        rig.interrupts.ask(Request.CANCEL)
        await rig.clock.sleep(5.0)
        raise unavailable()

    with monkeypatch.context() as outage:
        outage.setattr(rig.cloud, call, down)
        run = rig.run()

    failure = rig.engine.failure
    assert isinstance(failure, Unavailable)
    assert failure.help is not None
    assert f"cancel {rig.ctx.folder.path}" in failure.help
    assert rig.engine.given_up
    assert not run.state.final
    assert statuses(rig) == ["RUNNING"]

    later = after(rig)
    later.interrupts.ask(Request.CANCEL)
    run = later.run()

    assert (run.state, run.cause) == (RunState.CANCELLED, "cancelled")
    assert not rig.cloud.rented


def test_resume_of_a_run_that_is_over_ends_the_pod_that_nobody_kept(make_rig: RigMaker) -> None:
    """Its journal has the pod alive and no reason for it, so that it is released."""
    rig = wrongly_over(make_rig)

    run = rig.run()

    assert run.state is RunState.CANCELLED
    assert [pod.status for pod in run.pods.values()] == ["gone"]
    assert not rig.cloud.rented
    assert not left_over(rig.ctx.plan, run)


def test_pod_left_over_that_cannot_be_ended_is_told_as_a_leak(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is no longer called cancelled, and the pod is found by whoever looks for leaks."""
    rig = wrongly_over(make_rig)

    async def refuse(_pod_id: str) -> None:
        raise unavailable()

    monkeypatch.setattr(rig.cloud, "delete", refuse)

    run = rig.run()

    assert run.state is RunState.LEAKED
    assert [pod.pod_id for pod in run.leaked] == list(rig.cloud.rented)


def test_pod_that_was_left_on_purpose_is_not_left_over(make_rig: RigMaker) -> None:
    """`on_failure: preserve` leaves it, and a later resume changes nothing about that."""
    rig = wrongly_over(make_rig, on_failure="preserve")

    run = rig.run()

    assert run.state is RunState.CANCELLED
    assert statuses(rig) == ["RUNNING"]
    assert not left_over(rig.ctx.plan, run)


def test_pod_that_went_over_to_another_run_is_not_ended(make_rig: RigMaker) -> None:
    """Where another run's mark is on it, it is that run's."""
    rig = wrongly_over(make_rig)
    (rented,) = rig.cloud.rented.values()
    mark = json.dumps({"owner": rig.ctx.owner, "run": "another"})
    rented.request = replace(rented.request, env={"RUNPOD_DEPLOY_META": mark})

    rig.run()

    assert statuses(rig) == ["RUNNING"]


def _run(rig: Rig, **changes: Any) -> Run:
    """Return what the journal says, but for one pod."""
    run = rig.run()
    (pod,) = run.pods.values()
    return replace(run, pods={pod.name: replace(pod, **changes)})


@pytest.mark.parametrize(("status", "left"), [("alive", 1), ("intended", 1), ("leaked", 0)])
def test_what_is_left_over_is_read_from_the_record(
    make_rig: RigMaker, status: str, left: int
) -> None:
    """A pod without an end counts, one that is told of as leaked does not, nor one of a run that works."""
    rig = make_rig()
    run = _run(rig, status=status)

    assert len(left_over(rig.ctx.plan, run)) == left
    assert not left_over(rig.ctx.plan, replace(run, state=RunState.WORKING))
    assert not left_over(rig.ctx.plan, replace(run, state=RunState.LEAKED))


def test_held_pod_is_not_left_over(make_rig: RigMaker) -> None:
    """A pod that was kept for the results on it stays."""
    rig = make_rig()
    run = replace(_run(rig, status="alive"), state=RunState.KEPT, cause="not_verified")

    assert not left_over(rig.ctx.plan, run)
