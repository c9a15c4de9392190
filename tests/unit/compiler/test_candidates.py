"""The ring of candidates."""

from typing import Any

import pytest

from compiler_cases import job
from runpod_deploy.compiler.candidates import ring
from runpod_deploy.compiler.resolve import resolve


def walked(pod: dict[str, Any], storage: dict[str, Any] | None = None) -> list[str]:
    """Return the ring as `gpu/datacenter/first letter of the cloud`."""
    config = resolve(job({"pod": pod, "storage": storage or {}})).config
    return [f"{one.gpu}/{one.datacenter}/{one.cloud[0]}" for one in ring(config)]


TWO = {"gpu_order": ["G", "H"], "datacenters": ["D", "E"]}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (TWO, "G/D/S G/E/S H/D/S H/E/S"),
        (TWO | {"prefer": "price"}, "G/D/S G/E/S H/D/S H/E/S"),
        (TWO | {"prefer": "datacenter"}, "G/D/S H/D/S G/E/S H/E/S"),
        (TWO | {"cloud_type": "COMMUNITY"}, "G/D/C G/E/C H/D/C H/E/C"),
        (
            {"gpu_order": ["G", "H"], "cloud_type": "ANY"},
            "G/None/S G/None/C H/None/S H/None/C",
        ),
    ],
)
def test_order(pod: dict[str, Any], expected: str) -> None:
    """What is preferred is outermost, the cloud innermost, Secure before Community."""
    assert expected.split() == walked(pod)


def test_a_network_volume_decides_datacenter_and_cloud() -> None:
    """The data center is the volume's own, and only Secure Cloud has volumes."""
    volume = {"mode": "network_volume", "volume_name": "v"}

    assert ["G/@volume/S", "H/@volume/S"] == walked(TWO | {"cloud_type": "ANY"}, volume)


def test_a_network_volume_that_is_made_is_where_the_job_is() -> None:
    """The one data center of the job says where the volume is made, so it is known before."""
    volume = {"mode": "network_volume", "volume_name": "v", "create": True, "volume_gb": 10}

    assert ["G/D/S"] == walked({"gpu_order": ["G"], "datacenters": ["D"]}, volume)


def test_a_candidate_stands_once() -> None:
    """What a template makes the same is tried once."""
    config = job({"pod": {"gpu_order": ["{{ a }}", "{{ b }}"]}}, a="G", b="G")

    assert 1 == len(ring(resolve(config).config))
