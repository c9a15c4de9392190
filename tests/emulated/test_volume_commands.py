"""`volume ls|create|resize|rm` as a user types them, over the emulator's API."""

from __future__ import annotations

import json

import httpx
import pytest

from runpod_deploy.emulator import client
from support.command import Bench

pytestmark = pytest.mark.emulated

CREATE = ("volume", "create", "data", "--size", "20", "--datacenter", "EU-RO-1", "--yes")


@pytest.fixture
def account(bench: Bench) -> Bench:
    """A machine whose cloud is an emulator that starts no pods' processes."""
    bench.extra["RUNPOD_DEPLOY_CLOUD"] = "emulator"
    bench.emulator(pods="none")
    return bench


def ids(bench: Bench) -> list[str]:
    """Return the ids of the account's volumes."""
    status, output = bench.run("volume", "ls", "--json")
    assert 0 == status, output
    return [row["id"] for row in json.loads(output)]


def test_a_volume_is_made_seen_grown_and_removed(account: Bench) -> None:
    """Each command says what it did; nothing is taken for a yes without a terminal."""
    assert "no network volumes" in account.run("volume", "ls")[1]
    status, output = account.run(*CREATE[:-1])
    assert (4, True) == (status, "--yes" in output)
    assert 0 == account.run(*CREATE)[0]
    [volume] = ids(account)
    status, output = account.run("volume", "ls")
    for part in (volume, "data", "20", "STANDARD", "EU-RO-1", "$1.40"):
        assert part in output
    status, output = account.run(*CREATE)
    assert (4, True) == (status, f"{volume}, 20 GB" in output)
    status, output = account.run("volume", "resize", "data", "--size", "40", "--yes")
    assert (0, f"{volume}: 40 GB\n") == (status, output)
    status, output = account.run("volume", "resize", volume, "--size", "30", "--yes")
    assert (4, True) == (status, "only grow" in output)
    assert 0 == account.run("volume", "rm", "data", "--yes")[0]
    assert [] == ids(account)
    assert 4 == account.run("volume", "rm", "data", "--yes")[0]


def test_a_volume_that_a_pod_has_stays(account: Bench) -> None:
    """Of several nothing is removed; the pod is named."""
    assert 0 == account.run(*CREATE)[0]
    assert 0 == account.run(*("other" if part == "data" else part for part in CREATE))[0]
    info = client.find(account.env)
    assert info is not None
    volume = ids(account)[0]
    pod = httpx.post(
        f"{info.url}/v2/pods",
        headers={"Authorization": f"Bearer {info.api_key}", "User-Agent": "tests"},
        json={
            "name": "p",
            "image": "a/b:1",
            "gpu": {"id": "NVIDIA L4"},
            "mounts": {"network": [{"volumeId": volume, "path": "/workspace"}]},
        },
    ).json()["id"]
    assert pod in account.run("volume", "ls")[1]
    status, output = account.run("volume", "rm", "other", "data", "--yes")
    assert (4, True) == (status, pod in output)
    assert 2 == len(ids(account))


def test_a_place_without_volumes_is_told_with_those_that_have_them(account: Bench) -> None:
    """RunPod's own words name them."""
    status, output = account.run(
        "volume", "create", "x", "--size", "10", "--datacenter", "NOWHERE-1", "--yes"
    )
    assert (1, True) == (status, "EU-RO-1" in output), output
