"""The network volume of a run: the one of its name, or one that is made."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from runpod_deploy.errors import EffectUnknown
from runpod_deploy.executor.ports import Volume
from support.fakes import AfterEffect, unavailable
from support.killing import Killed, after, at_call
from support.plans import L4, changed, small_plan
from support.rig import Rig, RigMaker

MADE = {"mode": "network_volume", "mount": "/workspace", "volume_name": "data", "volume_gb": 100}
THERE = Volume(id="v1", name="data", datacenter="EU-RO-1", size_gb=50)


@pytest.fixture
def rig(make_rig: RigMaker) -> Rig:
    """A run that makes its volume in EU-RO-1 where there is none."""
    return make_rig(replace(changed(small_plan(), storage=MADE), candidates=(L4,)))


def volumes(rig: Rig) -> list[tuple[str, str, int]]:
    """Return the account's volumes."""
    return [(one.name, one.datacenter, one.size_gb) for one in rig.cloud.all_volumes()]


def warned(rig: Rig) -> list[object]:
    """Return the codes of the warnings about volumes."""
    codes = [event.fields.get("code") for event in rig.ctx.journal.events]
    return [code for code in codes if str(code).startswith("volume-")]


def test_a_volume_is_made_once(rig: Rig) -> None:
    """It is made before a pod is asked for, mounted, and stays when the run has ended, which is said."""
    assert "SUCCEEDED" == rig.run().state
    assert [("data", "EU-RO-1", 100)] == volumes(rig)
    (request,) = rig.cloud.requests
    assert (rig.cloud.known_volumes[0].id, "EU-RO-1") == (
        request.network_volume_id,
        request.datacenter,
    )
    (said,) = [
        event for event in rig.ctx.journal.events if event.fields.get("code") == "volume-stays"
    ]
    assert "$7.00 a month" in said["message"]


def test_a_volume_that_is_there_is_taken(rig: Rig) -> None:
    """Whatever its size: `volume_gb` is what a new one gets."""
    rig.cloud.known_volumes = [THERE]
    assert "SUCCEEDED" == rig.run().state
    assert [("data", "EU-RO-1", 50)] == volumes(rig)
    assert "v1" == rig.cloud.requests[0].network_volume_id


def test_a_volume_elsewhere_is_not_doubled(rig: Rig) -> None:
    """One of that name in another data center ends the run before anything is made."""
    rig.cloud.known_volumes = [replace(THERE, datacenter="EU-CZ-1")]
    assert "volume_elsewhere" == rig.run().cause
    assert (1, []) == (len(rig.cloud.known_volumes), rig.cloud.requests)


def test_a_refused_volume_costs_no_pod(rig: Rig) -> None:
    """The run fails, and the journal tells that nothing was made."""
    rig.cloud.volume_creates.append(unavailable())
    assert "FAILED" == rig.run().state
    assert ([], [], []) == (rig.cloud.requests, volumes(rig), warned(rig))
    (settled,) = [e for e in rig.ctx.journal.events if e.event == "volume_create_settled"]
    assert "refused" == settled["outcome"]


LOST = EffectUnknown("502", status=502)


@pytest.mark.parametrize("visible_in", [0.0, 5.0, 25.0])
def test_a_volume_whose_answer_was_lost_is_found(rig: Rig, visible_in: float) -> None:
    """It is looked for until it must be listed, and told as one that stays."""
    rig.cloud.volume_creates.append(AfterEffect(LOST, visible_in=visible_in))
    assert "SUCCEEDED" == rig.run().state
    assert [("data", "EU-RO-1", 100)] == volumes(rig)
    assert ["volume-stays"] == warned(rig)


def test_a_volume_that_cannot_be_found_is_told(rig: Rig) -> None:
    """Whoever reads the end knows what may be billed, and where to look."""
    rig.cloud.volume_creates.append(LOST)
    assert "FAILED" == rig.run().state
    assert ([], ["volume-unsettled"]) == (rig.cloud.requests, warned(rig))


@pytest.mark.parametrize("visible_in", [None, 5.0, 25.0])
@pytest.mark.parametrize("k", range(1, 16))
def test_killed_at_any_moment_one_volume_is_made(
    rig: Rig, k: int, visible_in: float | None
) -> None:
    """The next executor finds what the call of the first one made, however late, or makes it."""
    if visible_in is not None:
        rig.cloud.volume_creates.append(AfterEffect(LOST, visible_in=visible_in))
    at_call(rig, k)
    with contextlib.suppress(Killed):
        rig.run()
    second = after(rig)
    assert "SUCCEEDED" == second.run().state
    assert [("data", "EU-RO-1", 100)] == volumes(second)
    assert "volume-stays" in warned(second)
    intended, settled = (
        [e["op_id"] for e in second.ctx.journal.events if e.event == f"volume_create_{what}"]
        for what in ("intended", "settled")
    )
    assert set(intended) == set(settled)
