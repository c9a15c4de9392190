"""A stop that could not be confirmed: what is on the pod is brought home, and it is not deleted for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runpod_deploy.errors import ConnectFailed, Leaked
from runpod_deploy.executor.ports import PodAction
from runpod_deploy.record.ledger import Ledger
from runpod_deploy.record.run import RunState
from support.fake_cloud import unavailable
from support.fakes import FakeJob
from support.killing import left_at, next_one
from support.rig import Rig, RigMaker
from unit.executor.core.test_waking import ARMED, begun, plan_with_disk, unverified

RESULTS = "/workspace/results"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def without_room(make_rig: RigMaker) -> Rig:
    """Return a run whose result does not fit here the first time, not begun yet."""
    rig = begun(make_rig)
    rig.downloads.outcomes[RESULTS] = [OSError("no space left")]
    return rig


@pytest.mark.parametrize("status", ["RUNNING", "EXITED"])
def test_results_come_home_from_a_pod_whose_stop_was_not_confirmed(
    make_rig: RigMaker, status: str
) -> None:
    """Whether it runs on or stopped at last, its results are pulled before it is deleted."""
    rig = without_room(make_rig)
    rig.cloud.act_always = unavailable()
    assert rig.run().state is RunState.LEAKED
    rig.cloud.act_always = None
    if status == "EXITED":
        rig.cloud.change("pod1", status="EXITED", ssh=None)
    rig.clock.later(600.0)
    second = next_one(rig)
    run = second.run()

    assert (run.state, run.cause, run.leaked) == (RunState.SUCCEEDED, None, ())
    assert rig.downloads.tried == [RESULTS, RESULTS]
    assert (rig.cloud.starts, rig.cloud.rented) == (int(status == "EXITED"), {})
    names = second.names("artifact_pull_completed", "pod_delete_intended")
    assert names == ["artifact_pull_completed", "pod_delete_intended"]


def test_killed_while_it_is_stopped_for_its_results(make_rig: RigMaker) -> None:
    """Neither stopped nor reached, it is left and told of as leaked; a later try brings the results home."""
    second = left_at(without_room(make_rig), "pod_action_intended")
    second.ctx.ledger = Ledger(second.ctx.project_root / "ledger.jsonl")
    second.cloud.act_always = unavailable()
    second.connector.always = ConnectFailed("nobody answers")
    run = second.run()

    assert run.state is RunState.LEAKED
    assert [pod.pod_id for pod in run.leaked] == ["pod1"]
    assert (list(second.cloud.rented), second.cloud.gone) == (["pod1"], {})
    assert "pod_delete_intended" not in second.names()

    second.cloud.act_always = second.connector.always = None
    third = next_one(second)
    run = third.run()
    assert run.leaked == ()
    assert second.downloads.tried == [RESULTS, RESULTS]
    assert second.names().index("artifact_pull_failed") < third.names().index(
        "artifact_pull_completed"
    )


def test_pod_that_nobody_gets_into_keeps_its_results(make_rig: RigMaker) -> None:
    """Started for its results, not reached and not stopped: carried on as told, it gives them."""
    rig = unverified(make_rig)
    rig.connector.always = ConnectFailed("nobody answers")
    act = rig.cloud.act

    async def never_stopped(pod_id: str, action: PodAction) -> None:
        if action == "stop":
            raise unavailable()
        await act(pod_id, action)

    rig.cloud.act = never_stopped
    rig.run()
    assert isinstance(rig.engine.failure, Leaked)
    rig.connector.always = None
    rig.cloud.act = act
    run = next_one(rig).run()

    assert (run.state, rig.downloads.tried) == (RunState.SUCCEEDED, [RESULTS, RESULTS])
    assert (run.leaked, rig.cloud.rented) == ((), {})


@pytest.mark.parametrize("code", [0, 3])
def test_stop_that_the_lifecycle_asks_for_is_asked_for_again(make_rig: RigMaker, code: int) -> None:
    """Nothing is missing here, and still the pod is stopped as was said, never deleted."""
    plan = plan_with_disk()
    lifecycle = replace(plan.lifecycle, on_success="stop")
    rig = make_rig(replace(plan, lifecycle=lifecycle), job=FakeJob(exit_code=code))
    rig.answering(ARMED)
    rig.ctx.ledger = Ledger(rig.ctx.project_root / "ledger.jsonl")
    rig.cloud.act_always = unavailable()
    assert rig.run().state is RunState.LEAKED
    rig.cloud.act_always = None
    run = next_one(rig).run()

    assert (run.state, run.leaked) == (RunState.FAILED if code else RunState.SUCCEEDED, ())
    assert (rig.cloud.rented["pod1"].pod.status, rig.cloud.gone) == ("EXITED", {})


def test_run_whose_kept_pod_was_deleted_is_not_kept_any_more(make_rig: RigMaker) -> None:
    """Its end was asked for and could not be confirmed: asked again, the run is told as failed."""
    rig = unverified(make_rig)
    asked = {"op_id": "delete-pod1", "pod_id": "pod1"}
    rig.ctx.journal.write("pod_delete_intended", **asked, reason="cleanup")
    rig.ctx.journal.write("pod_delete_settled", **asked, outcome="leaked", error="502")
    rig.ctx.journal.close()
    run = next_one(rig).run()

    assert (run.state, run.cause, rig.cloud.rented) == (RunState.FAILED, "not_verified", {})
    assert [pod.status for pod in run.pods.values()] == ["gone"]
