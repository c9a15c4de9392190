"""A kept pod whose run was killed: who has it next, and what is said where nobody may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runpod_deploy.compiler.plan import PlanStorage
from runpod_deploy.record.kept_pods import KeptPods
from runpod_deploy.record.run import RunState
from runpod_deploy.record.run_lock import RunLock
from support.killing import left_at
from support.plans import small_plan
from support.rig import Rig, RigMaker


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def second_run(make_rig: RigMaker) -> Rig:
    """Return the second run of a job that keeps its pod, not begun yet."""
    plan = small_plan()
    lifecycle = replace(plan.lifecycle, on_success="recycle", state_file="kept.json")
    storage = PlanStorage(mode="ephemeral", mount="/workspace", volume_name=None, volume_gb=20)
    first = make_rig(replace(plan, storage=storage, lifecycle=lifecycle))
    first.run()
    return first.next_run()


def killed_at(rig: Rig, event: str) -> Rig:
    """Kill a run after an event; returns the executor that would carry it on.

    In memory an executor that dies still gives its claim back. One that was killed leaves it.
    """
    after = left_at(rig, event)
    store = KeptPods(file=rig.ctx.project_root / "kept.json")
    (entry,) = store.read()
    store.claim(entry.binding, str(rig.ctx.folder.path), lambda _run: False)
    return after


def warnings(rig: Rig) -> dict[str, str]:
    """Return the warnings of a run, by their codes."""
    return {event["code"]: event["message"] for event in rig.events if event.event == "warning"}


def test_a_pod_that_its_killed_run_never_started_is_used(make_rig: RigMaker) -> None:
    """Whoever died before the start left nothing on it: the next run has the pod, the dead one its own."""
    second = second_run(make_rig)
    resumed = killed_at(second, "pod_claimed")
    third = second.next_run()
    run = third.run()

    assert (run.state, run.pod_resumed, third.cloud.made) == (RunState.SUCCEEDED, True, 1)
    assert warnings(third) == {}
    assert resumed.run().state is RunState.SUCCEEDED
    assert {one.pod.status for one in third.cloud.rented.values()} == {"EXITED"}


def test_a_pod_of_a_living_run_is_nobody_elses(make_rig: RigMaker) -> None:
    """Whose executor is at work has it, and nothing is said of it."""
    second = second_run(make_rig)
    killed_at(second, "pod_claimed")
    RunLock.take(second.ctx.folder.path, owner="owner123", now=second.clock.now())
    third = second.next_run()
    third.run()

    assert (third.cloud.made, warnings(third)) == (2, {})


def test_a_pod_with_the_work_of_a_killed_run_waits_for_it(make_rig: RigMaker) -> None:
    """Its results may lie there alone: another one is rented, and how to get it back is said."""
    second = second_run(make_rig)
    resumed = killed_at(second, "exec_start_settled")
    third = second.next_run()
    third.run()

    assert third.cloud.made == 2
    folder = str(second.ctx.folder.path)
    assert f"runpod-deploy resume {folder}" in warnings(third)["recycle-held"]
    assert resumed.run().state is RunState.SUCCEEDED
    (entry,) = KeptPods(file=third.ctx.project_root / "kept.json").read()
    assert (entry.pod_id, list(third.cloud.rented)) == ("pod2", ["pod2"])
    assert third.cloud.rented["pod2"].pod.status == "EXITED"


def test_a_start_that_another_run_made_meanwhile_is_not_ours(make_rig: RigMaker) -> None:
    """Killed before the start was answered, a run finds another's mark on the pod and leaves it alone."""
    resumed = killed_at(second_run(make_rig), "pod_action_intended")
    rented = resumed.cloud.rented["pod1"]
    env = {**rented.request.env, "RUNPOD_DEPLOY_META": '{"owner": "owner123", "run": "x"}'}
    rented.request = replace(rented.request, env=env)
    resumed.cloud.change("pod1", status="RUNNING")
    run = resumed.run()

    assert (run.state, run.open_intents) == (RunState.SUCCEEDED, {})
    assert (resumed.cloud.made, rented.pod.status) == (2, "RUNNING")
    assert "pod1" in resumed.cloud.rented
