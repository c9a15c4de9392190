"""What becomes of the pod: gone means that the API says so, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runpod_deploy.errors import AccountError, ConnectionLost, StepFailed
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.executor.ports import Completed
from support.fakes import FakeJob, unavailable
from support.plans import artifact, changed, secret, small_plan
from support.rig import RigMaker

FAILING = {"exit_code": 1}


@pytest.mark.parametrize("faults", [["lie"], [unavailable()] * 3, ["lie", unavailable(), "lie"]])
def test_delete_is_asked_again_until_it_is_confirmed(
    make_rig: RigMaker, faults: list[Exception | str]
) -> None:
    """A delete that fails, or says yes and does nothing, is repeated until the pod is no longer known."""
    rig = make_rig()
    rig.cloud.deletes.extend(faults)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert {} == rig.cloud.rented
    assert len(faults) + 1 == rig.clock.gate.passed.count("delete")


@pytest.mark.parametrize("fault", ["lie", unavailable(), AccountError("401"), ValueError("odd")])
@pytest.mark.parametrize("exit_code", [0, 1])
def test_delete_that_is_never_confirmed_is_a_leak(
    make_rig: RigMaker, fault: Exception | str, exit_code: int
) -> None:
    """A pod that cannot be confirmed gone makes the run LEAKED, also one that had succeeded."""
    rig = make_rig(job=FakeJob(exit_code=exit_code))
    rig.cloud.delete_always = fault
    run = rig.run()
    assert "LEAKED" == run.state
    assert ["pod1"] == [pod.pod_id for pod in run.leaked]
    assert "leaked" == rig.one("pod_delete_settled")["outcome"]
    assert any("pod1" in message for message in rig.listener.messages)


def test_terminated_counts_as_gone(make_rig: RigMaker) -> None:
    """An API that goes on listing a deleted pod as TERMINATED has confirmed its end."""
    rig = make_rig()
    rig.cloud.delete_always = "lie"

    def act(_number: int, name: str) -> None:
        if name == "delete":
            rig.cloud.change("pod1", status="TERMINATED")

    rig.clock.gate.act = act
    assert "SUCCEEDED" == rig.run().state


@pytest.mark.parametrize("faults", [[], ["lie", unavailable()]])
def test_stop_is_confirmed(make_rig: RigMaker, faults: list[Exception | str]) -> None:
    """`on_failure: stop` stops the pod until the API shows it stopped, after its artifacts came."""
    plan = changed(small_plan(), lifecycle={"on_failure": "stop"})
    rig = make_rig(plan, job=FakeJob(exit_code=1))
    rig.cloud.acts.extend(faults)
    run = rig.run()
    assert "FAILED" == run.state
    assert "EXITED" == rig.cloud.rented["pod1"].pod.status
    assert "stopped" == rig.one("pod_action_settled")["outcome"]
    order = rig.names("artifact_pull_completed", "pod_action_settled")
    assert ["artifact_pull_completed", "pod_action_settled"] == order
    assert "delete" not in rig.clock.gate.passed


def test_stop_that_is_never_confirmed_is_a_leak(make_rig: RigMaker) -> None:
    """A pod that goes on running after its stop bills: the run is LEAKED."""
    plan = changed(small_plan(), lifecycle={"on_success": "stop"})
    rig = make_rig(plan)
    rig.cloud.act_always = "lie"
    run = rig.run()
    assert "LEAKED" == run.state
    assert ["pod1"] == [pod.pod_id for pod in run.leaked]


def test_preserved_pod_is_left_running_without_secrets(make_rig: RigMaker) -> None:
    """`on_success: preserve` leaves the pod, and takes the secrets off it, half-written ones too."""
    plan = replace(small_plan(), secrets=(secret(),))
    plan = changed(plan, lifecycle={"on_success": "preserve"})
    rig = make_rig(plan, environ={"HF_TOKEN": "s3cr3t-value"})
    assert "SUCCEEDED" == rig.run().state
    assert ["pod1"] == list(rig.cloud.rented)
    removal = rig.machines[0].commands[-1]
    expected = "rm -f -- /root/.secrets/hf /root/.secrets/hf.runpod-deploy-partial"
    assert expected == removal


@pytest.mark.parametrize(
    "reply",
    [ConnectionLost("gone"), Completed(exit_status=1, stdout=b"", stderr=b"read-only \x1b[2J")],
)
def test_secrets_that_stay_on_a_kept_pod_are_a_warning(
    make_rig: RigMaker, reply: Completed | Exception
) -> None:
    """When the secrets cannot be removed the run says so, without the pod's control characters."""
    plan = replace(small_plan(), secrets=(secret(),))
    plan = changed(plan, lifecycle={"on_success": "preserve"})
    rig = make_rig(plan, environ={"HF_TOKEN": "s3cr3t-value"})

    def act(_number: int, _name: str) -> None:
        if rig.machines:
            rig.machines[0].replies["^rm -f"] = reply

    rig.clock.gate.act = act
    run = rig.run()
    assert any("secrets could not be removed" in warning for warning in run.warnings)
    assert not any("\x1b" in warning for warning in run.warnings)


@pytest.mark.parametrize(
    "outcomes", [["refused"], [ConnectionLost("x")] * 99, [StepFailed("sha", cause="x")]]
)
def test_unverified_required_artifact_keeps_the_pod(
    make_rig: RigMaker, outcomes: list[str | Exception]
) -> None:
    """Results that are on the pod and could not be verified here are worth more than its rate: KEPT."""
    rig = make_rig()
    rig.downloads.outcomes["/workspace/results"] = outcomes
    run = rig.run()
    assert ("KEPT", "not_verified") == (run.state, run.cause)
    assert ["pod1"] == list(rig.cloud.rented)
    assert "delete" not in rig.clock.gate.passed


@pytest.mark.parametrize(
    "outcome",
    [OSError(28, "No space left on device"), ConnectionLost("x"), StepFailed("sha", cause="x")],
)
def test_failed_run_whose_results_cannot_be_saved_keeps_its_pod(
    make_rig: RigMaker, outcome: Exception
) -> None:
    """Also after a failure a pod is deleted only once what it holds is verified here: else KEPT."""
    rig = make_rig(job=FakeJob(exit_code=3))
    rig.downloads.outcomes["/workspace/results"] = [outcome] * 99
    run = rig.run()
    assert ("KEPT", "exit_code") == (run.state, run.cause)
    assert ["pod1"] == list(rig.cloud.rented)
    assert any("results" in warning for warning in run.warnings)


@pytest.mark.parametrize(("again", "state"), [(False, "KEPT"), (True, "CANCELLED")])
def test_cancelled_run_whose_results_cannot_be_saved_keeps_its_pod(
    make_rig: RigMaker, state: str, *, again: bool
) -> None:
    """Who cancels once wants the results; who cancels again wants the pod gone."""
    rig = make_rig(job=FakeJob(lasts=50.0))
    rig.downloads.outcomes["/workspace/results"] = [OSError(28, "No space left on device")]
    asked = [Request.HURRY, Request.CANCEL] if again else [Request.CANCEL]

    def act(_number: int, _name: str) -> None:
        ready = (
            rig.interrupts.can_detach if asked[-1:] == [Request.CANCEL] else rig.interrupts.undoing
        )
        if asked and ready:
            rig.interrupts.ask(asked.pop())

    rig.clock.gate.act = act
    run = rig.run()
    assert (state, "cancelled") == (run.state, run.cause)
    assert ([] if again else ["pod1"]) == list(rig.cloud.rented)


def test_pod_that_dies_while_its_results_come_home_is_not_kept(make_rig: RigMaker) -> None:
    """Not verified, since there is no pod any more: the run fails, and nothing is told of as kept."""
    rig = make_rig()

    def act(_number: int, _name: str) -> None:
        if rig.downloads.tried and rig.cloud.rented:
            rig.cloud.vanish("pod1")

    rig.clock.gate.act = act
    run = rig.run()

    assert ("FAILED", "not_verified") == (run.state, run.cause)
    assert ["gone"] == [pod.status for pod in run.pods.values()]


def test_pod_that_holds_nothing_any_more_is_not_kept(make_rig: RigMaker) -> None:
    """A stop wiped the disk: what could not be saved is lost, and the pod is deleted."""
    rig = make_rig(job=FakeJob(lasts=50.0))

    def act(_number: int, _name: str) -> None:
        if rig.machines and rig.job.started_at is not None and "pod1" in rig.cloud.rented:
            rig.cloud.change("pod1", status="EXITED", ssh=None)
            rig.machines[0].kill()

    rig.clock.gate.act = act
    run = rig.run()
    assert ("FAILED", "pod_killed") == (run.state, run.cause)
    assert {} == rig.cloud.rented


def test_pod_is_not_kept_beyond_its_money(make_rig: RigMaker) -> None:
    """A run ended by its cost cap has nothing left to pay for a pod that is kept."""
    plan = changed(small_plan(), budget={"cost_cap_usd": 0.5, "soft_cap_fraction": 1.0})
    rig = make_rig(plan, job=FakeJob(lasts=1e6))
    rig.downloads.outcomes["/workspace/results"] = [OSError(28, "No space left on device")]
    run = rig.run()
    assert ("FAILED", "cost_cap") == (run.state, run.cause)
    assert {} == rig.cloud.rented


def test_unverified_artifact_on_a_mount_stops_the_pod(make_rig: RigMaker) -> None:
    """A kept pod is stopped where every artifact lies on the disk that survives it."""
    plan = changed(
        small_plan(), storage={"mode": "ephemeral", "mount": "/workspace", "volume_gb": 10}
    )
    rig = make_rig(plan)
    rig.downloads.outcomes["/workspace/results"] = ["refused"]
    run = rig.run()
    assert "KEPT" == run.state
    assert "EXITED" == rig.cloud.rented["pod1"].pod.status


def test_kept_pod_that_cannot_be_stopped_is_a_leak(make_rig: RigMaker) -> None:
    """KEPT is never said of a pod whose stop was not confirmed."""
    plan = changed(
        small_plan(), storage={"mode": "ephemeral", "mount": "/workspace", "volume_gb": 10}
    )
    rig = make_rig(plan)
    rig.downloads.outcomes["/workspace/results"] = ["refused"]
    rig.cloud.act_always = "lie"
    assert "LEAKED" == rig.run().state


def test_missing_required_artifact_fails_and_releases(make_rig: RigMaker) -> None:
    """An artifact that the job never made fails the run; there is nothing to keep the pod for."""
    rig = make_rig()
    rig.downloads.outcomes["/workspace/results"] = ["missing"]
    run = rig.run()
    assert ("FAILED", "artifact_missing") == (run.state, run.cause)
    assert {} == rig.cloud.rented


def test_optional_artifact_may_be_missing(make_rig: RigMaker) -> None:
    """An artifact that is not required is tried and recorded, and fails nothing."""
    plan = replace(small_plan(), artifacts=(artifact("extra", required=False), artifact()))
    rig = make_rig(plan)
    rig.downloads.outcomes["/workspace/extra"] = ["missing"]
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert ("failed", "success") == (run.artifacts["extra"].status, run.artifacts["results"].status)


def test_pull_goes_on_after_a_lost_connection(make_rig: RigMaker) -> None:
    """A connection lost while results are pulled is made again and the pull repeated."""
    rig = make_rig()
    rig.downloads.outcomes["/workspace/results"] = [ConnectionLost("x"), TimeoutError()]
    assert "SUCCEEDED" == rig.run().state
    assert ["/workspace/results"] * 3 == rig.downloads.tried
    assert 3 == len(rig.connector.opened)


def test_failed_job_saves_its_artifacts_once_and_then_releases(make_rig: RigMaker) -> None:
    """After a failure each artifact is pulled once, before the pod goes."""
    rig = make_rig(
        replace(small_plan(), artifacts=(artifact("a"), artifact("b"))), job=FakeJob(exit_code=2)
    )
    rig.downloads.outcomes["/workspace/a"] = ["missing"]
    run = rig.run()
    assert ("FAILED", "exit_code") == (run.state, run.cause)
    assert ["/workspace/a", "/workspace/b"] == rig.downloads.tried
    assert {} == rig.cloud.rented
