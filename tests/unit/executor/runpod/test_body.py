"""The body of the create call."""

from dataclasses import replace

import pytest

from runpod_deploy.errors import InternalError
from runpod_deploy.executor.ports import PodRequest
from runpod_deploy.executor.runpod.body import create_body

REQUEST = PodRequest(
    name="rd-owner-job-1",
    image="runpod/base:1",
    gpu="NVIDIA L4",
    gpu_count=2,
    cloud="SECURE",
    datacenter=None,
    container_disk_gb=30,
    ports=("22/tcp",),
    env={"PUBLIC_KEY": "ssh-ed25519 AAAA"},
)


def test_the_smallest_body_says_what_the_api_has_no_default_for() -> None:
    """Ports and SSH are always said; what is not set is not sent."""
    assert create_body(REQUEST) == {
        "name": "rd-owner-job-1",
        "image": "runpod/base:1",
        "gpu": {"id": "NVIDIA L4", "count": 2},
        "cloud": "SECURE",
        "disk": 30,
        "ports": ["22/tcp"],
        "env": {"PUBLIC_KEY": "ssh-ed25519 AAAA"},
        "startSsh": True,
    }


def test_a_pod_without_a_gpu_is_asked_for_by_flavor_and_vcpus() -> None:
    """The API takes exactly one of the two kinds of machine."""
    body = create_body(replace(REQUEST, gpu="cpu5c", gpu_count=0, vcpus=4))
    assert body["cpu"] == {"id": "cpu5c", "vcpuCount": 4}
    assert "gpu" not in body


def test_everything_that_is_set_is_sent() -> None:
    """Each optional field appears under the API's name."""
    full = replace(
        REQUEST,
        image=None,
        datacenter="EU-RO-1",
        template_id="tpl",
        registry_auth="reg",
        min_cuda="12.8",
        mount="/workspace",
        network_volume_id="vol",
        args="bash -c 'sleep 1'",
    )
    assert create_body(full) == {
        "name": "rd-owner-job-1",
        "templateId": "tpl",
        "registry": "reg",
        "gpu": {"id": "NVIDIA L4", "count": 2, "minCudaVersion": "12.8"},
        "cloud": "SECURE",
        "dataCenterIds": ["EU-RO-1"],
        "disk": 30,
        "mounts": {"network": [{"volumeId": "vol", "path": "/workspace"}]},
        "ports": ["22/tcp"],
        "env": {"PUBLIC_KEY": "ssh-ed25519 AAAA"},
        "args": "bash -c 'sleep 1'",
        "startSsh": True,
    }


def test_a_persistent_disk_has_size_and_path() -> None:
    """A host-local disk is a mount of its own kind."""
    body = create_body(replace(REQUEST, mount="/data", persistent_gb=50))
    assert body["mounts"] == {"persistent": {"size": 50, "path": "/data"}}


@pytest.mark.parametrize(
    "wrong",
    [
        replace(REQUEST, mount="/w", persistent_gb=50, network_volume_id="vol"),
        replace(REQUEST, persistent_gb=50),
        replace(REQUEST, network_volume_id="vol"),
    ],
)
def test_a_contradictory_request_is_never_sent(wrong: PodRequest) -> None:
    """Both kinds of mount, or one without a path, is our fault and stops here."""
    with pytest.raises(InternalError):
        create_body(wrong)
