"""Programs under Pulumi's mocks: what the resources hand to their providers, and hand on."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from support.pulumi_program import run_program

pytestmark = pytest.mark.interop

OUTS = {
    "data": {"volume_id": "vol1", "size": 20.0},
    "box": {"pod_id": "pod1", "ssh_port": 3022.0, "ssh_host": "10.0.0.1"},
}
BOTH = """\
import pulumi
from runpod_deploy.pulumi import NetworkVolume, Pod

volume = NetworkVolume("data", size_gb=20, datacenter="EU-RO-1")
NetworkVolume("old", existing="vol9")
pod = Pod(
    "box",
    gpu_order=["NVIDIA L4"],
    image="img",
    env={"TOKEN": "value"},
    network_volume_id=volume.volume_id,
)
pulumi.export("volume", volume.volume_id)
pulumi.export("size", volume.size)
pulumi.export("whole", volume.size.apply(lambda size: type(size).__name__))
pulumi.export("ssh", pulumi.Output.concat(pod.ssh_host, ":", pod.ssh_port.apply(str)))
pulumi.export("env", pod.env)
"""
PARTS = """\
import pulumi
from runpod_deploy.pulumi import Pod

class Part(pulumi.ComponentResource):
    def __init__(self, name, box):
        super().__init__("test:Part", name)
        below = pulumi.ResourceOptions(parent=self)
        self.pod = Pod(box, gpu_order=["NVIDIA L4"], image="img", opts=below)

Part("one", "box")
Part("two", "other")
Pod("alone", gpu_order=["NVIDIA L4"], image="img")
"""


def test_resources_are_declared_and_hand_on_what_they_are(tmp_path: Path) -> None:
    """Names are those of the resources, whole numbers stay whole, an environment is a secret."""
    told = run_program(tmp_path, BOTH, OUTS)
    made = {name: row["inputs"] for name, row in told["made"].items()}
    kind = "pulumi-python:dynamic/runpod_deploy:NetworkVolume"
    assert kind == told["made"]["data"]["type"]
    assert ("data", 20, "EU-RO-1") == tuple(
        made["data"][name] for name in ("volume_name", "size_gb", "datacenter")
    )
    assert {"__provider", "existing"} == set(made["old"])
    assert ("vol1", "box") == (made["box"]["network_volume_id"], made["box"]["pod_name"])
    assert {
        "volume": "vol1",
        "size": 20,
        "whole": "int",
        "ssh": "10.0.0.1:3022",
        "env": "[secret]",
    } == told["exports"]


def test_pods_of_different_places_in_a_program_are_never_taken_for_each_other(
    tmp_path: Path,
) -> None:
    """What names a pod again after an interrupted call holds organization, stack and parents."""
    made = run_program(tmp_path, PARTS)["made"]
    assert "organization/project/dev::alone" == made["alone"]["inputs"]["identity"]
    below = made["box"]["inputs"]["identity"]
    assert below.startswith("organization/urn:pulumi:dev::project::")
    assert below.endswith("test:Part::one::box")
    assert made["other"]["inputs"]["identity"].endswith("test:Part::two::other")


JOINED = """\
import pulumi
from runpod_deploy.pulumi import Workspace

config = pulumi.Config()
space = Workspace(
    "training",
    volume={"size_gb": 100, "datacenter": "EU-RO-1"},
    registry={"username": "me", "password": config.require_secret("token")},
    template={"image": "registry.example/private:1", "env": {"A": "b"}},
    jobs={"first": "plan.json", "second": "plan.json"},
    project="/project",
)
Workspace("empty")
pulumi.export("volume", space.volume.volume_id)
pulumi.export("password", space.registry.password)
pulumi.export("code", space.jobs["first"].exit_code)
"""


def test_a_workspace_joins_what_a_project_needs(tmp_path: Path) -> None:
    """The template pulls with the login, jobs get the plan, secrets stay secret, nothing else is made."""
    (tmp_path / "plan.json").write_text('{"b": 1, "a": [2.0]}')
    outs: dict[str, dict[str, object]] = {
        "training-volume": {"volume_id": "vol1"},
        "training-registry": {"registry_id": "reg1"},
        "training-first": {"exit_code": 0.0},
    }
    told = run_program(tmp_path, JOINED, outs, {"project:token": "hunter2222"})
    made = {name: row["inputs"] for name, row in told["made"].items()}
    assert {"volume": "vol1", "password": "[secret]", "code": 0} == told["exports"]
    assert "reg1" == made["training-template"]["registry_auth"]
    assert "training-volume" == made["training-volume"]["volume_name"]
    assert '{"a":[2],"b":1}' == made["training-first"]["plan"]
    assert "/project" == made["training-second"]["project"]
    assert {"training", "empty", *(name for name in made if name.startswith("training-"))} == set(
        made
    )
