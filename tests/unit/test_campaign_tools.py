"""The tools of the fault campaign: schedules that can be drawn again, and kills that nothing survives."""

from __future__ import annotations

import asyncio

import pytest

from runpod_deploy.emulator.faults import parse_fault
from support.schedules import KINDS, draw
from support.virtual_process import Process, WasKilled, run_campaign


def test_a_schedule_can_be_drawn_again() -> None:
    """The same numbers give the same faults and kills; others give others, every kind among them."""
    drawn = [draw(1, index) for index in range(400)]

    assert drawn == [draw(1, index) for index in range(400)]
    assert draw(2, 5) != draw(1, 5)
    assert {kind.name for kind in KINDS} == {kind for one in drawn for kind in one.kinds}
    assert {len(one.kills) for one in drawn} == {0, 1, 2, 3}


def test_the_emulator_knows_every_fault_that_is_drawn() -> None:
    """A fault is one of the emulator's, or one of those that pods in memory have."""
    for fault in {fault for index in range(400) for fault in draw(1, index).faults}:
        if fault.partition(":")[0] not in {"hung-setup", "cut-pull", "dark"}:
            assert parse_fault(fault).kind == fault.partition(":")[0]


def test_a_killed_process_does_nothing_any_more() -> None:
    """No task of it cleans up, no timer comes, and what it had open is closed; the world goes on."""
    said: list[str] = []

    async def beat() -> None:
        while True:
            await asyncio.sleep(1)
            said.append("beat")

    async def work(me: Process) -> None:
        me.closing.append(lambda: said.append("closed"))
        beating = asyncio.create_task(beat())
        try:
            for _ in range(3):
                await asyncio.sleep(1.5)
                await me.passes()
        finally:
            said.append("cleaned up")
            beating.cancel()

    async def world() -> None:
        me = Process(at_call=2)
        with pytest.raises(WasKilled):
            await me.run(work(me))
        await asyncio.sleep(60)
        said.append("later")

    run_campaign(world())
    assert said == ["beat", "beat", "closed", "later"]


def test_a_process_that_is_not_killed_ends_by_itself() -> None:
    """Its result is handed on, and so is its error."""

    async def world() -> tuple[int, str]:
        async def fine() -> int:
            await asyncio.sleep(5)
            return 3

        async def fails() -> int:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no") as raised:
            await Process(at_call=1).run(fails())
        return await Process(at_line=1).run(fine()), str(raised.value)

    assert run_campaign(world()) == (3, "no")
