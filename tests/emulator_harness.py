"""An emulated cloud inside a test: real HTTP on loopback, pods without processes behind them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.daemon import Server, listen_on
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.ports import OnLog, PodSpec, PodStartError

KEY = "rpa_TEST"
GPU = "NVIDIA L4"


def pod_body(**changes: Any) -> dict[str, Any]:
    """Give a create body that is accepted; `None` takes a key away."""
    body: dict[str, Any] = {
        "name": "rd-test",
        "image": "runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204",
        "gpu": {"id": GPU, "count": 1},
        "ports": ["22/tcp"],
        "env": {"PUBLIC_KEY": "ssh-ed25519 AAAAC3Nza test"},
    }
    body |= changes
    return {key: value for key, value in body.items() if value is not None}


def cluster_body(nodes: int = 2, **changes: Any) -> dict[str, Any]:
    """Give a create body of a cluster that is accepted."""
    body = pod_body(gpu=None)
    compute = {"gpuTypeId": GPU, "gpuCountPerPod": 1, "podCount": nodes}
    return {**body, "type": "TRAINING", "compute": compute, **changes}


class FakeProcess:
    """A pod that runs until it is stopped or `die` is called."""

    def __init__(self, port: int) -> None:
        self.ssh_port = port
        self.host_key_fingerprint = "SHA256:test"
        self.drops = 0
        self._over = asyncio.Event()
        self._status = 0

    async def stop(self) -> None:
        """End."""
        self._over.set()

    async def wait(self) -> int:
        """Wait for the end."""
        await self._over.wait()
        return self._status

    def die(self, status: int) -> None:
        """End by itself."""
        self._status = status
        self._over.set()

    async def drop_connections(self) -> None:
        """Count."""
        self.drops += 1

    async def reopen_ssh(self, *, new_port: bool = False, **_: object) -> None:
        """Move to the next port."""
        self.ssh_port += 1000 * new_port

    def open_connections(self) -> int:
        """There are none."""
        return 0


@dataclass
class FakePodHost:
    """Remembers every spec; each start gets another port."""

    kind: str = "fake"
    fails: bool = False
    specs: list[PodSpec] = field(default_factory=list)
    processes: list[FakeProcess] = field(default_factory=list)

    async def start(self, spec: PodSpec, on_log: OnLog) -> FakeProcess:
        """Start at once."""
        if self.fails:
            raise PodStartError("no such machine")
        self.specs.append(spec)
        self.processes.append(FakeProcess(40_000 + len(self.specs)))
        on_log("container", f"hello from {spec.pod_id}")
        return self.processes[-1]

    async def close(self) -> None:
        """Nothing to do."""


@dataclass
class RunningCloud:
    """A served cloud and a client with its key."""

    cloud: EmulatedCloud
    host: FakePodHost
    http: httpx.Client
    url: str
    loop: asyncio.AbstractEventLoop

    def on_loop(self, call: Callable[..., object], *arguments: object) -> None:
        """Call something on the cloud's own event loop."""
        self.loop.call_soon_threadsafe(call, *arguments)

    def create(self, **changes: Any) -> dict[str, Any]:
        """Create a pod that must be accepted."""
        answer = self.http.post("/v2/pods", json=pod_body(**changes))
        assert answer.status_code == 201, answer.text
        pod: dict[str, Any] = answer.json()
        return pod

    def ready(self, pod_id: str) -> dict[str, Any]:
        """Poll until a pod can be reached."""
        return self.poll(pod_id, lambda pod: bool(pod["ssh"]["direct"]))

    def until(self, pod_id: str, status: str) -> dict[str, Any]:
        """Poll until a pod has a status."""
        return self.poll(pod_id, lambda pod: bool(pod["status"] == status))

    def poll(self, pod_id: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read a pod until something is so."""
        pod: dict[str, Any] = {}
        for _ in range(500):
            pod = self.http.get(f"/v2/pods/{pod_id}").json()
            if wanted(pod):
                return pod
        raise AssertionError(f"pod {pod_id} never came to it: {pod}")


@contextlib.contextmanager
def running_cloud(state_dir: Path, **options: Any) -> Iterator[RunningCloud]:
    """Serve a cloud from a thread of its own for as long as the block runs."""
    settings = EmulatorOptions(**{"idle_seconds": 0, **options})
    started = threading.Event()
    holder: dict[str, Any] = {}

    async def live() -> None:
        host = FakePodHost()
        cloud = EmulatedCloud(settings, state_dir, host, KEY)
        with listen_on(0) as listener:
            server = Server(cloud, listener)
            holder.update(cloud=cloud, host=host, server=server)
            holder["loop"] = asyncio.get_running_loop()
            holder["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
            await server.run(on_started=started.set)
            await cloud.close()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    try:
        assert started.wait(10), "the emulated cloud did not start"
        headers = {"Authorization": f"Bearer {KEY}", "User-Agent": "runpod-deploy-tests"}
        with httpx.Client(base_url=holder["url"], headers=headers, timeout=10) as http:
            yield RunningCloud(holder["cloud"], holder["host"], http, holder["url"], holder["loop"])
    finally:
        if "server" in holder:
            holder["loop"].call_soon_threadsafe(holder["server"].finish)
        thread.join(10)
