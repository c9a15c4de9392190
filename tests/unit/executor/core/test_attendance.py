"""An executor that is asked by others: it hears requests from its folder and notices who takes its run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from runpod_deploy.executor.attendance import attending
from runpod_deploy.executor.endings import Detached, TakenOver
from runpod_deploy.record.run import RunState, fold
from runpod_deploy.record.run_lock import BEAT_EVERY_SEC, LOCK_NAME, RunLock, holder_of
from runpod_deploy.record.run_request import ask, asked
from support.fakes import run_virtual
from support.rig import Rig, RigMaker

AT = "2027-01-15T08:00:00.000000Z"


async def attended(rig: Rig, *acts: tuple[float, Callable[[], None]]) -> None:
    """Carry the plan out as the executor does, and act at the given seconds."""
    folder = rig.ctx.folder.path
    lock = RunLock.take(folder, owner="owner123", now=rig.clock.now())
    for after, act in acts:
        asyncio.get_running_loop().call_later(after, act)
    async with attending(lock, rig.interrupts, rig.clock):
        await rig.engine.run()


def request(rig: Rig, what: str) -> Callable[[], None]:
    """Return what asks the run's executor as another process would."""
    return lambda: ask(rig.ctx.folder.path, what, by="another process", at=AT)


def alive(rig: Rig) -> int:
    """Return how many pods are rented."""
    return len(rig.cloud.rented)


def slow_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bringing results home take longer than anybody waits."""

    async def never(_transport: Any, **_options: Any) -> NoReturn:
        await asyncio.sleep(3600)
        raise AssertionError

    monkeypatch.setattr("runpod_deploy.executor.artifacts.download", never)


def long_job(make_rig: RigMaker) -> Rig:
    """Return a run whose job takes a minute."""
    rig = make_rig()
    rig.job.lasts = 60.0
    return rig


def test_run_is_cancelled_by_another_process(make_rig: RigMaker) -> None:
    """A request to cancel undoes the run within a second, and is answered afterwards."""
    rig = long_job(make_rig)
    run_virtual(attended(rig, (20.0, request(rig, "cancel"))))

    assert fold(rig.events).state is RunState.CANCELLED
    assert not alive(rig)
    assert asked(rig.ctx.folder.path) is None
    assert not (rig.ctx.folder.path / LOCK_NAME).exists()


def test_request_to_hurry_gives_results_up(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to hurry, the executor first ends the run and then leaves what it is still doing."""
    rig = long_job(make_rig)
    slow_downloads(monkeypatch)
    run_virtual(attended(rig, (20.0, request(rig, "hurry"))))

    assert fold(rig.events).state is RunState.CANCELLED
    assert not alive(rig)
    assert rig.clock.monotonic() < 60.0


def test_run_is_left_alone_by_request(make_rig: RigMaker) -> None:
    """Detached by another process, the pod works on, and no step counts as failed."""
    rig = long_job(make_rig)
    run_virtual(attended(rig, (20.0, request(rig, "detach"))))

    assert fold(rig.events).state is RunState.DETACHED
    assert isinstance(rig.engine.failure, Detached)
    assert alive(rig) == 1
    assert "step_failed" not in rig.names()


def test_request_to_detach_waits_for_a_job(make_rig: RigMaker) -> None:
    """Asked before the job runs, the executor detaches as soon as there is one to leave alone."""
    rig = long_job(make_rig)
    run_virtual(attended(rig, (0.0, request(rig, "detach"))))

    assert fold(rig.events).state is RunState.DETACHED
    assert "exec_start_settled" in rig.names()


@pytest.mark.parametrize("moment", ["working", "undoing"])
def test_executor_yields_to_who_took_its_run(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A machine that wakes up and finds its run taken leaves the pod to the other one."""
    rig = long_job(make_rig)
    slow_downloads(monkeypatch)
    folder = rig.ctx.folder.path

    def taken() -> None:
        fields = json.loads((folder / LOCK_NAME).read_bytes())
        (folder / LOCK_NAME).write_text(json.dumps({**fields, "token": "other"}), "utf-8")

    acts = [(20.0, taken)]
    if moment == "undoing":
        acts.append((19.0, request(rig, "cancel")))
    run_virtual(attended(rig, *acts))

    assert isinstance(rig.engine.failure, TakenOver)
    assert alive(rig) == 1
    assert fold(rig.events).state in {RunState.WORKING, RunState.UNDOING}
    holder = holder_of(folder)
    assert holder is not None
    assert holder.token == "other"


def test_lock_beats_while_the_run_works(make_rig: RigMaker) -> None:
    """Somebody who looks finds a heartbeat that is not older than its interval."""
    rig = long_job(make_rig)
    seen: list[float] = []

    def look() -> None:
        holder = holder_of(rig.ctx.folder.path)
        assert holder is not None
        seen.append(rig.clock.now() - holder.beat)

    run_virtual(attended(rig, *((at, look) for at in (20.0, 35.0, 50.0))))

    assert len(seen) == 3
    assert max(seen) <= BEAT_EVERY_SEC + 1.0
