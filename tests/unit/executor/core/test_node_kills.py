"""An executor of a cluster's run that dies at any moment, and the one that carries the run on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from runpod_deploy.compiler.plan import PlanCluster
from runpod_deploy.errors import EffectUnknown
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.journal import JournalError
from runpod_deploy.record.run import fold
from support.fake_pod import FakeMachine
from support.fakes import AfterEffect, FakeJob
from support.killing import KILLED, Killed, after, at_call, at_event
from support.plans import small_plan
from support.rig import Rig, RigMaker

Killer = Callable[[Rig, int], None]
Scene = Callable[[Rig, list[FakeJob]], None]
MOST_MOMENTS = 2000


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def plain(_rig: Rig, _jobs: list[FakeJob]) -> None:
    """Nothing goes wrong."""


def lost_answer(rig: Rig, _jobs: list[FakeJob]) -> None:
    """The answer to the create call is lost."""
    rig.cloud.creates.append(AfterEffect(EffectUnknown("502", status=502), visible_in=2.0))


def second_node_fails(_rig: Rig, jobs: list[FakeJob]) -> None:
    """The script of one node fails while the other would go on."""
    jobs[0].lasts = 900.0
    jobs[1].exit_code = 3


def two_nodes(make_rig: RigMaker, scene: Scene) -> tuple[Rig, list[FakeJob]]:
    """Return a run on two nodes, each with a job of its own."""
    cluster = PlanCluster(nodes=2, type="TRAINING", collect="all")
    rig = make_rig(replace(small_plan(), cluster=cluster))
    made = [FakeJob(chunks=[(1.0, b"first\n")]), FakeJob(chunks=[(2.0, b"second\n")], lasts=6.0)]
    left = list(made)

    def machine() -> FakeMachine:
        rig.machines.append(FakeMachine(job=left.pop(0) if left else FakeJob()))
        return rig.machines[-1]

    rig.cloud.machine = machine
    scene(rig, made)
    return rig, made


def files(rig: Rig) -> dict[str, bytes]:
    """Return the logs and results of all nodes."""
    folder = rig.ctx.folder.path
    names = ("run.log", "results/model.bin")
    places = [folder / name for name in names] + [folder / "nodes" / "1" / name for name in names]
    return {
        place.relative_to(folder).as_posix(): place.read_bytes()
        for place in places
        if place.exists()
    }


@pytest.mark.parametrize(("killer", "stride"), [(at_event, 7), (at_call, 41)])
@pytest.mark.parametrize("scene", [plain, lost_answer, second_node_fails])
def test_killed_at_any_moment_a_cluster_ends_as_if_it_was_not(
    make_rig: RigMaker, scene: Scene, killer: Killer, stride: int
) -> None:
    """One cluster is made and gone, no script begins twice, and logs and results are the same."""
    undisturbed, _ = two_nodes(make_rig, scene)
    expected = undisturbed.run()
    for k in range(1, MOST_MOMENTS, stride):
        rig, made = two_nodes(make_rig, scene)
        killer(rig, k)
        with contextlib.suppress(Killed, JournalError):
            rig.run()
        if KILLED not in rig.listener.messages:
            break
        second = after(rig)
        run = second.run()
        where = f"{scene.__name__}, {killer.__name__} {k}: {second.names()}"
        assert (run.state, run.cause) == (expected.state, expected.cause), where
        assert not rig.cloud.rented, where
        assert not run.open_intents, where
        assert not run.leaked, where
        assert 1 == rig.cloud.most, where
        assert all(job.started_at is not None for job in made), where
        assert files(second) == files(undisturbed), where
        journal = second.ctx.folder.path / "nodes" / "1" / "events.jsonl"
        assert not fold(list(read_events(journal))).open_intents, where
    else:
        pytest.fail("the run never ended before the kill")
    assert k > 20, "the run was hardly killed"
