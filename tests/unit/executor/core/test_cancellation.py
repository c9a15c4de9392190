"""A run that is asked to end, at each of its calls: nothing stays rented, nothing stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runpod_deploy.errors import EffectUnknown
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.record.run import Run, fold
from support.fakes import AfterEffect, FakeTransport, run_virtual
from support.plans import changed, small_plan
from support.rig import Rig, RigMaker

Scene = Callable[[Rig], None]

MOST_CALLS = 400


def lost_answer(rig: Rig) -> None:
    """The first create loses its answer; the pod is listed late."""
    rig.cloud.creates.append(AfterEffect(EffectUnknown("502", status=502), visible_in=2.0))


def late_stray(rig: Rig) -> None:
    """The first create loses its answer, and its pod shows up only after the search gave up."""
    rig.cloud.creates.append(AfterEffect(EffectUnknown("502", status=502), visible_in=11.0))


def bad_host(rig: Rig) -> None:
    """The first pod is not what was asked for."""
    rig.cloud.changes.append({"gpu_count": 2})


def dropped_connection(rig: Rig) -> None:
    """The connection breaks while the run goes on."""
    rig.job.chunks = [(1.0, b"one\n"), (3.0, b"two\n"), (6.0, b"three\n")]
    rig.job.lasts = 8.0

    def once(transport: FakeTransport) -> None:
        if len(rig.connector.opened) == 1:
            asyncio.get_running_loop().call_later(4.0, transport.machine.drop)

    rig.connector.on_connect = once


def plain(_rig: Rig) -> None:
    """Nothing goes wrong."""


def job_fails(rig: Rig) -> None:
    """The job itself fails."""
    rig.job.exit_code = 3


SCENES = [plain, lost_answer, late_stray, bad_host, dropped_connection, job_fails]


def cancelled_at(make_rig: RigMaker, scene: Scene, k: int, requests: int = 1) -> tuple[Rig, Run]:
    """Run a scene and ask it to end at its k-th call, and again at the following ones."""
    rig = make_rig()
    scene(rig)

    def act(number: int, _name: str) -> None:
        if k <= number < k + requests:
            request = Request.HURRY if rig.interrupts.undoing else Request.CANCEL
            rig.interrupts.ask(request, "SIGINT")

    rig.clock.gate.act = act
    return rig, rig.run()


@pytest.mark.parametrize("requests", [1, 2, 30])
@pytest.mark.parametrize("scene", SCENES)
def test_cancelled_at_any_call_nothing_is_left(
    make_rig: RigMaker, scene: Scene, requests: int
) -> None:
    """Whenever a run is cancelled, once or again and again, its pod is gone and its journal settled."""
    ends = set()
    for k in range(1, MOST_CALLS):
        rig, run = cancelled_at(make_rig, scene, k, requests)
        place = f"call {k}: {rig.clock.gate.passed[k - 1 : k]}"
        assert {} == rig.cloud.rented, place
        assert {} == dict(run.open_intents), place
        assert all(pod.status in {"gone", "refused"} for pod in run.pods.values()), place
        assert all(transport.closed for transport in rig.connector.opened), place
        assert run.state.final, place
        ends.add(run.state.value)
        # What a job printed before its end is here once, from its beginning.
        log = rig.ctx.folder.path / "run.log"
        assert not log.exists() or rig.job.log(float("inf")).startswith(log.read_bytes()), place
        if len(rig.clock.gate.passed) < k:
            break
    else:
        pytest.fail("the run never came to an end")
    assert "CANCELLED" in ends
    assert ends <= {"CANCELLED", "SUCCEEDED", "FAILED"}


@pytest.mark.parametrize("scene", SCENES)
def test_caller_cancelled_at_any_call_is_a_request_like_any_other(
    make_rig: RigMaker, scene: Scene
) -> None:
    """Cancelling the task that awaits the engine, at any call, still releases the pod first."""
    for k in range(1, MOST_CALLS):
        rig = make_rig()
        scene(rig)
        _cancel_caller_at(rig, k)
        run = fold(rig.events)
        assert {} == rig.cloud.rented, k
        assert {} == dict(run.open_intents), k
        assert run.state.value in {"CANCELLED", "SUCCEEDED", "FAILED"}, k
        if len(rig.clock.gate.passed) < k:
            return
    pytest.fail("the run never came to an end")


def _cancel_caller_at(rig: Rig, k: int) -> None:
    async def call() -> None:
        caller = asyncio.create_task(rig.engine.run())

        def act(number: int, _name: str) -> None:
            if number == k:
                caller.cancel()

        rig.clock.gate.act = act
        await caller

    run_virtual(call())
    rig.ctx.journal.close()


def test_second_request_leaves_artifacts_and_releases_at_once(make_rig: RigMaker) -> None:
    """Asked again while the run is being stopped, nothing is collected any more and the pod goes."""
    rig = make_rig()

    def act(_number: int, name: str) -> None:
        if name == "chunk" and not rig.interrupts.undoing:
            rig.interrupts.ask(Request.CANCEL, "SIGINT")
        if rig.machines and any(" stop " in command for command in rig.machines[0].commands):
            rig.interrupts.ask(Request.HURRY)

    rig.clock.gate.act = act
    run = rig.run()
    assert "CANCELLED" == run.state
    assert [] == rig.downloads.tried
    assert {} == rig.cloud.rented
    assert "SIGINT" == rig.one("signal_received")["signal"]


def test_terminal_closed_while_undoing_leaves_nothing_behind(make_rig: RigMaker) -> None:
    """A request to detach that comes while a cancelled run is undone does not skip its artifacts."""
    rig = make_rig()

    def act(_number: int, name: str) -> None:
        if name == "chunk" and not rig.interrupts.undoing:
            rig.interrupts.ask(Request.CANCEL, "SIGINT")
        elif rig.interrupts.undoing:
            rig.interrupts.ask(Request.DETACH, "SIGHUP")

    rig.clock.gate.act = act
    assert "CANCELLED" == rig.run().state
    assert ["/workspace/results"] == rig.downloads.tried
    assert {} == rig.cloud.rented


def test_first_request_stops_the_run_and_saves_what_there_is(make_rig: RigMaker) -> None:
    """A cancelled run is stopped, its log and artifacts fetched, and only then its pod deleted."""
    rig = make_rig()
    _ask_at_first_chunk(rig, Request.CANCEL)
    run = rig.run()
    assert "CANCELLED" == run.state
    assert run.job_end is not None
    assert "cancelled" == run.job_end.cause
    assert ["/workspace/results"] == rig.downloads.tried
    order = rig.names("job_ended", "artifact_pull_completed", "pod_delete_settled")
    assert ["job_ended", "artifact_pull_completed", "pod_delete_settled"] == order


def test_detach_while_the_job_runs_leaves_it_running(make_rig: RigMaker) -> None:
    """Detached, the pod stays, its job goes on, and the run is DETACHED."""
    rig = make_rig()
    _ask_at_first_chunk(rig, Request.DETACH)
    run = rig.run()
    assert "DETACHED" == run.state
    assert ["pod1"] == list(rig.cloud.rented)
    assert rig.job.stopped_at is None


@pytest.mark.parametrize("step", ["check", "provision", "connect", "setup"])
def test_detach_before_the_job_runs_is_a_cancel(make_rig: RigMaker, step: str) -> None:
    """A pod on which nothing runs is never left behind: asked to detach, the run is cancelled."""
    rig = make_rig()
    seen: list[str] = []

    def act(_number: int, _name: str) -> None:
        started = {event["step"] for event in rig.events if event.event == "step_started"}
        if step in started and not seen:
            seen.append(step)
            rig.interrupts.ask(Request.DETACH, "SIGHUP")

    rig.clock.gate.act = act
    run = rig.run()
    assert "CANCELLED" == run.state
    assert {} == rig.cloud.rented


def test_detach_after_the_job_finishes_the_run(make_rig: RigMaker) -> None:
    """Asked to detach while results are pulled, the run goes on to its end."""
    rig = make_rig()
    asked: list[int] = []

    def act(number: int, _name: str) -> None:
        if rig.downloads.tried and not asked:
            asked.append(number)
            rig.interrupts.ask(Request.DETACH, "SIGHUP")

    rig.clock.gate.act = act
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert asked
    assert {} == rig.cloud.rented


def test_a_bad_host_is_deleted_though_failures_are_preserved(make_rig: RigMaker) -> None:
    """Cancelled at any moment of giving up a bad host, that pod is deleted whatever on_failure says."""
    plan = changed(small_plan(), lifecycle={"on_failure": "preserve"})
    for k in range(1, MOST_CALLS):
        rig = make_rig(plan)
        bad_host(rig)

        def act(number: int, _name: str, rig: Rig = rig, k: int = k) -> None:
            if number == k:
                rig.interrupts.ask(Request.CANCEL)

        rig.clock.gate.act = act
        rig.run()
        given_up = [event for event in rig.events if event.event == "pod_delete_intended"]
        if given_up:
            assert "pod1" not in rig.cloud.rented, k
        if len(rig.clock.gate.passed) < k:
            return
    pytest.fail("the run never came to an end")


def _ask_at_first_chunk(rig: Rig, request: Request) -> None:
    asked: list[int] = []

    def act(number: int, name: str) -> None:
        if name == "chunk" and not asked:
            asked.append(number)
            rig.interrupts.ask(request)

    rig.clock.gate.act = act
