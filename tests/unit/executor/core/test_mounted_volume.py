"""The network volume of a run: the one of its name, or one that is made."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from runpod_deploy.errors import EffectUnknown
from runpod_deploy.executor.ports import Volume
from support.fakes import unavailable
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
    return [(one.name, one.datacenter, one.size_gb) for one in rig.cloud.known_volumes]


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


@pytest.mark.parametrize("error", [unavailable(), EffectUnknown("502", status=502)])
def test_a_volume_that_cannot_be_made_costs_no_pod(rig: Rig, error: Exception) -> None:
    """The run fails, and the journal tells what is known of the call."""
    rig.cloud.volume_creates.append(error)
    assert "FAILED" == rig.run().state
    assert [] == rig.cloud.requests
    (settled,) = [e for e in rig.ctx.journal.events if e.event == "volume_create_settled"]
    assert ("unknown" if isinstance(error, EffectUnknown) else "refused") == settled["outcome"]


@pytest.mark.parametrize("k", range(1, 16))
def test_killed_at_any_moment_one_volume_is_made(rig: Rig, k: int) -> None:
    """The next executor finds what the call of the first one made, or makes it."""
    at_call(rig, k)
    with contextlib.suppress(Killed):
        rig.run()
    second = after(rig)
    assert "SUCCEEDED" == second.run().state
    assert [("data", "EU-RO-1", 100)] == volumes(second)
    intended, settled = (
        [e["op_id"] for e in second.ctx.journal.events if e.event == f"volume_create_{what}"]
        for what in ("intended", "settled")
    )
    assert intended == settled
