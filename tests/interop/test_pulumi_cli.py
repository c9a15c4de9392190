"""Pulumi's own command line and engine, where they are on PATH: a stack's life on an emulated cloud.

They come in no package that the tests install, so this is skipped on most machines.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi")

from emulator_harness import KEY, RunningCloud, running_cloud

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="Pulumi's CLI is not on PATH"),
]

SECRETS = (KEY, "env-secret-value", "registry-secret-value")
PROGRAM = """\
import pulumi
from runpod_deploy.pulumi import NetworkVolume, Pod, RegistryAuth

volume = NetworkVolume("data", size_gb={size}, datacenter="EU-RO-1")
login = RegistryAuth("hub", username="me", password="registry-secret-value")
pod = Pod(
    "box",
    image="runpod/base:0.7.0-ubuntu2204",
    gpu_order=["NVIDIA L4"],
    env={{"TOKEN": "env-secret-value"}},
    network_volume_id=volume.volume_id,
)
pulumi.export("volume", volume.volume_id)
pulumi.export("size", volume.size)
pulumi.export("pod", pod.pod_id)
"""


class Stack:
    """A project with one stack in a folder of its own, its state in a file."""

    def __init__(self, folder: Path, cloud: RunningCloud) -> None:
        self.project, self.state = folder / "project", folder / "state"
        self.project.mkdir()
        self.state.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: infrastructure\nruntime: python\n")
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "pulumi"),
            "PULUMI_BACKEND_URL": self.state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_PYTHON_CMD": sys.executable,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "RUNPOD_API_URL": cloud.url,
        }

    def write(self, size: int) -> None:
        """Write the program, with a volume of that size."""
        (self.project / "__main__.py").write_text(PROGRAM.format(size=size))

    def run(self, *args: str) -> str:
        """Run a command that must succeed; returns what it printed."""
        done = subprocess.run(
            ["pulumi", *args, "--non-interactive"],
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        outputs: dict[str, Any] = json.loads(self.run("stack", "output", "--json"))
        return outputs


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """An emulated account."""
    with running_cloud(tmp_path / "cloud") as running:
        yield running


def test_a_stack_is_made_left_alone_changed_and_destroyed(
    cloud: RunningCloud, tmp_path: Path
) -> None:
    """By the real engine: no second call for the same program, drift seen, no secret in the state."""
    stack = Stack(tmp_path, cloud)
    stack.write(20)
    stack.run("stack", "init", "dev")
    stack.run("config", "set", "--secret", "runpod:apiKey", KEY)
    stack.run("preview")
    assert [] == cloud.http.get("/v2/network-volumes").json()["networkVolumes"]
    stack.run("up", "--yes", "--skip-preview")
    first = stack.outputs()
    [pod] = cloud.http.get("/v2/pods").json()["pods"]
    assert (pod["id"], 20) == (first["pod"], first["size"])
    stack.run("preview", "--expect-no-changes")

    stack.write(30)
    stack.run("up", "--yes", "--skip-preview")
    assert {**first, "size": 30} == stack.outputs()

    cloud.http.delete(f"/v2/pods/{pod['id']}").raise_for_status()
    stack.run("refresh", "--yes", "--skip-preview")
    stack.run("up", "--yes", "--skip-preview")
    assert first["pod"] != stack.outputs()["pod"]

    kept = b"".join(file.read_bytes() for file in stack.state.rglob("*") if file.is_file())
    assert [] == [secret for secret in SECRETS if secret.encode() in kept]
    stack.run("destroy", "--yes", "--skip-preview")
    assert [] == cloud.http.get("/v2/pods").json()["pods"]
    assert [] == cloud.http.get("/v2/network-volumes").json()["networkVolumes"]
    assert [] == cloud.http.get("/v2/registries").json()["registries"]
