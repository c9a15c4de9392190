"""Network volumes by name or id."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.network_volumes import Seen, pick, refuse_in_use, see_all
from runpod_deploy.executor.ports import Pod, Volume

DATA = Volume(id="vol1", name="data", datacenter="EU-RO-1", size_gb=20, type="STANDARD")
TWIN = replace(DATA, id="vol2", datacenter="EU-CZ-1")
OTHER = replace(DATA, id="data2", name="alpha")


def pod(pod_id: str, mounts: Any, status: str = "RUNNING") -> Pod:
    """Return a pod with these mounts."""
    return Pod(
        id=pod_id,
        name=pod_id,
        status=status,
        gpu=None,
        gpu_count=None,
        cloud=None,
        datacenter=None,
        cost=None,
        image=None,
        ssh=None,
        raw={"mounts": mounts},
    )


class Account:
    """Volumes and pods in memory."""

    resources: Any = None

    async def volumes(self) -> list[Volume]:
        """Return all volumes."""
        return [TWIN, DATA, OTHER]

    async def pods(self) -> list[Pod]:
        """Return pods in every state, some described oddly."""
        on_data = {"network": [{"volumeId": "vol1", "path": "/workspace"}]}
        return [
            pod("p1", on_data),
            pod("p2", on_data, "EXITED"),
            pod("p3", on_data, "TERMINATED"),
            pod("p4", {"persistent": {"size": 10}}),
            pod("p5", None),
            pod("p6", {"network": ["odd"]}),
        ]


def test_volumes_are_seen_with_the_pods_that_have_them() -> None:
    """By name; a stopped pod has its volume, one that is gone does not."""
    rows = asyncio.run(see_all(Account()))
    assert [("data2", ()), ("vol1", ("p1", "p2")), ("vol2", ())] == [
        (row.volume.id, row.pods) for row in rows
    ]


def test_a_volume_is_named_by_id_or_by_a_name_that_is_its_alone() -> None:
    """A name that two have is told with both ids; one named twice is one."""
    rows = [Seen(volume=one, pods=()) for one in (DATA, TWIN, OTHER)]
    assert ["vol2", "data2"] == [row.volume.id for row in pick(rows, ["vol2", "alpha", "data2"])]
    with pytest.raises(InvalidInput, match="vol1 in EU-RO-1, vol2 in EU-CZ-1"):
        pick(rows, ["data"])
    with pytest.raises(InvalidInput, match="no network volume 'nope'"):
        pick(rows, ["nope"])


def test_a_volume_in_use_is_not_removed() -> None:
    """The pods are named, and how to end them."""
    refuse_in_use([Seen(volume=DATA, pods=())])
    with pytest.raises(InvalidInput, match="attached to p1, p2") as caught:
        refuse_in_use([Seen(volume=DATA, pods=()), Seen(volume=TWIN, pods=("p1", "p2"))])
    assert "runpod-deploy cleanup p1 p2" in str(caught.value.help)
