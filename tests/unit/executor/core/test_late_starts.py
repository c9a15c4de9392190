"""A start whose outcome is not known at once: not told as stopped, not followed by a second pod."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from runpod_deploy.errors import EffectUnknown, Leaked
from runpod_deploy.executor.ports import Endpoint, Pod, PodAction
from runpod_deploy.record.journal import JournalError
from runpod_deploy.record.run import RunState, fold
from support.fake_cloud import unavailable
from support.killing import Killed, kill, next_one
from support.rig import Rig, RigMaker
from unit.executor.core.test_recycling import first_run, kept, second_run, warned
from unit.executor.core.test_waking import unverified


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def lose_starts(rig: Rig, looks: int, *, lie: bool = False) -> None:
    """Let a start lose its answer, and so many looks after it fail; `lie`: nothing comes of it either."""
    act = rig.cloud.act

    async def lost(pod_id: str, action: PodAction) -> None:
        if action != "start" or not lie:
            await act(pod_id, action)
        if action == "start":
            rig.cloud.gets.extend([unavailable()] * looks)
            raise EffectUnknown("no answer")

    rig.cloud.act = lost


def found_again(rig: Rig) -> Rig:
    """Let the API answer again, and somebody come back after three hours."""
    rig.cloud.gets.clear()
    del rig.cloud.act
    rig.clock.later(3 * 3600.0)
    return next_one(rig)


def test_start_of_which_nothing_is_known_is_not_told_as_stopped(make_rig: RigMaker) -> None:
    """The pod may run and says so; later it is found running, and its hours count from the start on."""
    rig = unverified(make_rig)
    lose_starts(rig, 400)
    run = rig.run()

    assert isinstance(rig.engine.failure, Leaked)
    assert "may run" in str(rig.engine.failure)
    assert list(run.open_intents) == ["start-pod1"]
    third = found_again(rig)
    run = third.run()
    assert (run.state, run.open_intents, rig.cloud.rented) == (RunState.SUCCEEDED, {}, {})
    assert (rig.cloud.made, rig.cloud.starts) == (1, 1)
    assert 3.0 < third.ctx.spent() < 3.3
    ledger = rig.ctx.ledger
    assert ledger is not None
    (account,) = ledger.accounts().pods.values()
    assert account.usd(0.0, rig.clock.now()) == pytest.approx(third.ctx.spent(), abs=0.01)


@pytest.mark.parametrize("looks", [5, 60])
def test_start_that_is_seen_late_is_taken(make_rig: RigMaker, looks: int) -> None:
    """An API that is away for some minutes only delays: the first answer counts, whatever it is."""
    rig = unverified(make_rig)
    lose_starts(rig, looks)
    assert rig.run().state is RunState.SUCCEEDED
    assert (rig.cloud.starts, rig.cloud.rented) == (1, {})


def test_start_that_came_to_nothing_is_taken_back(make_rig: RigMaker) -> None:
    """Without an answer and EXITED ever since: asked to stop, so that it cannot start any more later."""
    rig = unverified(make_rig)
    lose_starts(rig, 60, lie=True)
    stops: list[str] = []

    def act(_number: int, name: str) -> None:
        if name == "act-stop":
            stops.append(name)

    rig.clock.gate.act = act
    run = rig.run()
    (settled,) = [event for event in rig.events if event.event == "pod_action_settled"][1:]

    assert (settled["op_id"], settled["outcome"]) == ("start-pod1", "refused")
    assert (stops, run.state, run.open_intents) == (["act-stop"], RunState.KEPT, {})


def test_no_pod_is_rented_beside_one_that_may_have_started(make_rig: RigMaker) -> None:
    """A kept pod of which nothing is known is this run's to end: no second one, and none is left."""
    rig = second_run(first_run(make_rig))
    lose_starts(rig, 140)
    run = rig.run()

    assert (run.state, run.cause, rig.cloud.made) == (RunState.FAILED, "start_unknown", 1)
    assert (rig.cloud.rented, kept(rig), run.open_intents) == ({}, [], {})


def late_after_a_kill(rig: Rig, shown_in: float) -> Rig:
    """Kill a run as it asks for a start; the API shows what came of it only after some seconds."""
    act, get = rig.cloud.act, rig.cloud.get

    async def last(pod_id: str, action: PodAction) -> None:
        await act(pod_id, action)
        kill(rig)
        raise Killed

    rig.cloud.act = last
    with contextlib.suppress(Killed, JournalError):
        rig.run()
    rig.cloud.act = act
    shown_at = rig.clock.monotonic() + shown_in

    async def late(pod_id: str) -> Pod | None:
        seen = await get(pod_id)
        hidden = seen is not None and seen.id == "pod1" and rig.clock.monotonic() < shown_at
        return replace(seen, status="EXITED", ssh=None) if seen and hidden else seen

    rig.cloud.get = late
    return next_one(rig)


@pytest.mark.parametrize("shown_in", [3.0, 31.0])
def test_killed_as_a_kept_pod_starts(make_rig: RigMaker, shown_in: float) -> None:
    """Shown while it is waited for, or later than that: it is our own start, and no second pod is rented."""
    second = late_after_a_kill(second_run(first_run(make_rig)), shown_in)
    run = second.run()

    assert (run.state, second.cloud.made, warned(second)) == (RunState.SUCCEEDED, 1, [])
    assert second.cloud.rented["pod1"].pod.status == "EXITED"
    assert (kept(second), run.open_intents) == (["pod1"], {})
    assert second.names().count("pod_resumed") == 1


def test_pod_that_somebody_started_in_the_console_is_the_runs(make_rig: RigMaker) -> None:
    """Found running with the run's mark: told, billed from its start on, and its results come home."""
    rig = unverified(make_rig)
    started = "2027-01-15T09:30:00.000000Z"
    rig.clock.later(2 * 3600.0)
    rig.cloud.change("pod1", raw={"startedAt": started})
    rig.cloud.rented["pod1"].machine = rig.cloud.machine()
    rig.cloud.change("pod1", status="RUNNING", ssh=Endpoint(host="203.0.113.7", port=31_000))
    run = rig.run()

    assert (run.state, rig.cloud.starts, rig.connector.forgotten) == (
        RunState.SUCCEEDED,
        0,
        ["pod1"],
    )
    assert rig.one("pod_resumed")["since"] == started
    (pod,) = fold(rig.events).pods.values()
    assert pod.created_at == started
    ledger = rig.ctx.ledger
    assert ledger is not None
    (account,) = ledger.accounts().pods.values()
    assert account.usd(0.0, rig.clock.now()) == pytest.approx(rig.ctx.spent(), abs=0.01)
