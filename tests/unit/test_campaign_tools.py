"""The tools of the fault campaign: schedules that can be drawn again, and kills that nothing survives."""

from __future__ import annotations

import asyncio
import io
import tarfile

import pytest

from runpod_deploy.emulator.faults import parse_fault
from support.fake_pod import FakeJob
from support.schedules import KINDS, LONG_AWAY_SEC, SHAPES, draw
from support.virtual_process import Process, WasKilled, run_campaign
from support.virtual_watchdog import WatchedMachine


def test_a_schedule_can_be_drawn_again() -> None:
    """The same numbers give the same faults and kills; others give others, every kind among them."""
    drawn = [draw(1, index) for index in range(400)]

    assert drawn == [draw(1, index) for index in range(400)]
    assert draw(2, 5) != draw(1, 5)
    assert {kind.name for kind in KINDS} == {kind for one in drawn for kind in one.kinds}
    assert {len(one.kills) for one in drawn} == {0, 1, 2, 3}
    assert {one.shape for one in drawn} == set(SHAPES)
    assert any(kill.away_sec >= LONG_AWAY_SEC for one in drawn for kill in one.kills)


def test_the_emulator_knows_every_fault_that_is_drawn() -> None:
    """A fault is one of the emulator's, or one of those that pods in memory have."""
    for fault in {fault for index in range(400) for fault in draw(1, index).faults}:
        if fault.partition(":")[0] not in {"hung-setup", "cut-pull", "cut-upload", "dark"}:
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


LEASE = """\
silence=900
while_running='continue'
action='stop'
spares_results=0
keep=259200
mount=/workspace
"""


def watched(said: list[str], terms: str = LEASE, lasts: float = 2000.0) -> WatchedMachine:
    """Return a pod on which a lease lies, and what it asks for goes to `said`."""

    async def ask(action: str) -> None:
        said.append(f"{asyncio.get_running_loop().time():.0f} {action}")

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("root/bin/lease.sh")
        member.size = len(terms)
        tar.addfile(member, io.BytesIO(terms.encode()))
    machine = WatchedMachine(job=FakeJob(lasts=lasts), ask=ask)
    machine.inputs["tar -xpf -"] = archive.getvalue()
    return machine


def test_a_pod_in_memory_has_the_watchdog_that_lies_on_it() -> None:
    """Silence ends an idle pod, not a running job; after it the end is saved, and found again by a start."""
    said: list[str] = []

    async def world() -> tuple[WatchedMachine, WatchedMachine]:
        machine = watched(said)
        assert machine.scripted("sh /root/bin/lease.sh arm 100000") == b"armed curl\n"
        await asyncio.sleep(600)
        machine.scripted("sh /root/bin/lease.sh beat")
        machine.job.start(600.0, 0, "-")
        await asyncio.sleep(2899)
        assert said == []
        await asyncio.sleep(3)
        machine.kill()
        again = watched(said)
        again.saved = machine.saved
        again.scripted("sh /root/bin/lease.sh restore")
        return machine, again

    machine, again = run_campaign(world())
    assert said == ["3500 stop"]
    assert again.job is machine.job


def test_a_watchdog_in_memory_acts_when_the_money_is_spent() -> None:
    """Whoever was heard of lately has a quarter of an hour; asking goes on, and `disarm` ends it."""
    said: list[str] = []

    async def world() -> None:
        machine = watched(said, lasts=1e6)
        machine.scripted("sh /root/bin/lease.sh arm 1000")
        machine.job.start(0.0, 0, "-")
        for _ in range(200):
            await asyncio.sleep(10)
            machine.scripted("sh /root/bin/lease.sh beat")
        machine.scripted("sh /root/bin/lease.sh disarm")
        await asyncio.sleep(5000)

    run_campaign(world())
    assert said[0] == "1900 stop"
    assert 1 < len(said) < 10
