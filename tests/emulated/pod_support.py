"""A pod with a key to it, for the tests of emulated pods."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncssh

from runpod_deploy.emulator.pods import open_pod_host
from runpod_deploy.emulator.ports import GpuModel, PodHost, PodProcess, PodSpec

GPU = GpuModel(
    id="NVIDIA GeForce RTX 4090",
    memory_mib=24564,
    count=2,
    driver_version="570.124.06",
    cuda_version="12.8",
)


@dataclass
class Rig:
    """A running pod and what it takes to talk to it."""

    host: PodHost
    spec: PodSpec
    process: PodProcess
    key: asyncssh.SSHKey
    logs: list[tuple[str, str]] = field(default_factory=list)

    def connect(self, **options: Any) -> Any:
        """Log in as root with the pod's key unless the options say otherwise."""
        settings = {"username": "root", "client_keys": [self.key], "known_hosts": None}
        return asyncssh.connect(
            "127.0.0.1", self.process.ssh_port, config=None, **(settings | options)
        )

    async def run(self, command: str, **options: Any) -> asyncssh.SSHCompletedProcess:
        """Run one command over a connection of its own."""
        async with self.connect() as connection:
            return await connection.run(command, **options)

    async def restart(self, **changes: Any) -> None:
        """Stop the pod and start it again on the same workspace."""
        await self.process.stop()
        self.spec = replace(self.spec, **changes)
        self.process = await self.host.start(self.spec, self.note)

    def note(self, source: str, line: str) -> None:
        """Keep a log line."""
        self.logs.append((source, line))


def make_spec(folder: Path, pod_id: str, env: Mapping[str, str], **changes: Any) -> PodSpec:
    """Describe an idle pod with a workspace in the folder."""
    workspace = folder / f"{pod_id}-workspace"
    workspace.mkdir(exist_ok=True)
    spec = PodSpec(
        pod_id=pod_id,
        env=env,
        args=None,
        container_disk_gb=1,
        workspace=workspace,
        mount_path="/workspace",
        gpu=GPU,
        accept_ssh=True,
    )
    return replace(spec, **changes)


@asynccontextmanager
async def running_pod(
    folder: Path, *, pod_id: str = "k3v9x0q1w2e4r5", host: PodHost | None = None, **changes: Any
) -> AsyncIterator[Rig]:
    """Start a pod (on a host of its own unless one is given) and stop it at the end."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    env = {
        "PUBLIC_KEY": key.export_public_key().decode(),
        "RUNPOD_POD_ID": pod_id,
        **changes.pop("env", {}),
    }
    builder = host or await open_pod_host(folder / "state")
    logs: list[tuple[str, str]] = []
    spec = make_spec(folder, pod_id, env, **changes)
    process = await builder.start(spec, lambda source, line: logs.append((source, line)))
    rig = Rig(builder, spec, process, key, logs)
    try:
        yield rig
    finally:
        await rig.process.stop()
        if host is None:
            await builder.close()


async def until(condition: Callable[[], bool], *, seconds: float = 5.0) -> bool:
    """Wait for a condition; says whether it came true in time."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return condition()


def processes_with(marker: str) -> list[int]:
    """Find the host's processes, other than this one, with the marker in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in command:
                found.append(int(folder.name))
    return found
