"""Who carries a run on can leave it again: what runs goes on, what does not is never called cancelled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.executor.endings import Detached
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.executor.standing import goes_on_alone, read_standing
from runpod_deploy.record.run import RunState
from support.fakes import unavailable
from support.killing import after, left_at
from support.rig import Rig, RigMaker
from unit.executor.core.test_waking import begun, stopped


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def alone(rig: Rig) -> bool:
    """Return whether the journal tells of a job that goes on alone."""
    steps = [step.name for step in rig.ctx.plan.steps]
    return goes_on_alone(read_standing(steps, rig.events), rig.events)


def asking(rig: Rig, monkeypatch: pytest.MonkeyPatch, call: str, signal: str | None) -> None:
    """Let a detach be asked for at the first call of a name to the cloud."""
    real = getattr(rig.cloud, call)
    asked: list[str] = []

    async def slow(*args: Any) -> Any:
        if not asked:
            asked.append(call)
            rig.interrupts.ask(Request.DETACH, signal)
        await rig.clock.sleep(5.0)
        return await real(*args)

    monkeypatch.setattr(rig.cloud, call, slow)


@pytest.mark.parametrize("call", ["pods", "get"])
def test_detach_while_the_run_is_looked_up_leaves_its_job_running(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A terminal that closes on the way to the job neither ends it nor touches its pod."""
    rig = begun(make_rig)
    rig.job.lasts = 50_000.0
    second = left_at(rig, "exec_start_settled")
    assert alone(second)
    asking(second, monkeypatch, call, "SIGHUP")

    run = second.run()

    assert run.state is RunState.DETACHED
    assert isinstance(second.engine.failure, Detached)
    assert rig.cloud.rented["pod1"].pod.status == "RUNNING"
    assert rig.job.stopped_at is None


def test_detach_in_an_outage_leaves_the_run_as_it_was(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be looked up, nothing is concluded from a wish to leave."""
    rig = begun(make_rig)
    rig.job.lasts = 50_000.0
    second = left_at(rig, "exec_start_settled")

    async def down() -> Any:
        second.interrupts.ask(Request.DETACH)
        await rig.clock.sleep(5.0)
        raise unavailable()

    monkeypatch.setattr(rig.cloud, "pods", down)

    run = second.run()

    assert second.engine.given_up
    assert not run.state.final
    assert rig.job.stopped_at is None


def test_detach_on_a_woken_pod_brings_home_what_there_is(make_rig: RigMaker) -> None:
    """Nothing runs there that could be left alone, and nobody cancelled it: its end is not known."""
    second = stopped(begun(make_rig), "exec_start_intended", away=600.0)
    on = second.ctx.on_begun
    could: list[bool] = []

    def then_detach() -> None:
        on()
        could.append(second.interrupts.can_detach)
        second.interrupts.ask(Request.DETACH)

    second.ctx.on_begun = then_detach

    run = second.run()

    assert could == [False]
    assert run.state is RunState.UNKNOWN
    assert second.downloads.tried
    assert "The run has ended; what is left is done here." in second.listener.messages


def test_detach_while_a_stopped_pod_is_started_stops_it_again(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod that was started only to be worked on does not go on costing money; a later resume goes on."""
    second = stopped(begun(make_rig), "exec_start_settled", away=600.0)
    asking(second, monkeypatch, "get", None)

    run = second.run()

    assert run.state is RunState.DETACHED
    assert second.cloud.starts == 1
    assert second.cloud.rented["pod1"].pod.status == "EXITED"

    third = after(second)
    third.ctx.ledger = second.ctx.ledger
    assert third.run().state is RunState.SUCCEEDED
    assert third.downloads.tried


def test_woken_pod_that_will_not_stop_again_is_told_as_running(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who leaves then hears that the pod may go on costing money, and how it is stopped."""
    second = stopped(begun(make_rig), "exec_start_settled", away=600.0)
    asking(second, monkeypatch, "get", None)
    act = second.cloud.act

    async def no_stop(pod_id: str, action: Any) -> None:
        if action == "stop":
            raise unavailable()
        await act(pod_id, action)

    monkeypatch.setattr(second.cloud, "act", no_stop)

    run = second.run()

    assert [pod.pod_id for pod in run.leaked] == ["pod1"]
    assert "--mode stop" in str(getattr(second.engine.failure, "help", ""))


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("job_ended", {"outcome": "succeeded", "exit_code": 0}),
        ("state_changed", {"state": "UNDOING", "cause": "cancelled"}),
        ("state_changed", {"state": "CANCELLED", "cause": "cancelled"}),
        ("pod_create_intended", {"op_id": "b", "name": "b", "gpu_id": "NVIDIA L4"}),
    ],
)
def test_job_that_ended_does_not_go_on_alone(
    make_rig: RigMaker, event: str, fields: dict[str, Any]
) -> None:
    """Nor one whose run is being undone or over, nor one on a pod that another one followed."""
    second = left_at(begun(make_rig), "exec_start_settled")
    steps = [step.name for step in second.ctx.plan.steps]
    events = [*second.events, replace(second.events[-1], event=event, fields=fields)]

    assert not goes_on_alone(read_standing(steps, events), events)
