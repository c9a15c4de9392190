"""The emulator's account within a campaign: its own API, answered in this process, and pods in memory."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx

from runpod_deploy.compiler.lease import BOOT_ENV
from runpod_deploy.emulator.api.app import build_app
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.ports import OnLog, PodSpec
from runpod_deploy.errors import ConnectFailed, HostKeyChanged
from runpod_deploy.executor.ports import Endpoint
from support.fake_pod import PROBE, FakeJob, FakeTransport
from support.virtual_process import process
from support.virtual_time import Gate
from support.virtual_watchdog import WatchedMachine

KEY = "rpa_CAMPAIGN0123456789"
URL = "http://127.0.0.1:9"


def _probe(spec: PodSpec) -> bytes:
    """Return what the pod says of its GPUs."""
    row = f"{spec.gpu.id}, {spec.gpu.memory_mib}, 570.1\n".encode()
    return PROBE.replace(b"NVIDIA L4, 23034, 570.1\n", row * spec.gpu.count)


class WatchedGate(Gate):
    """Each call of a pod is one at which the executor may die."""

    async def through(self, name: str) -> None:
        """Pass, if whoever comes lives."""
        self.passed.append(name)
        whose = process()
        if whose is not None:
            await whose.passes()
        await asyncio.sleep(0)


class PodInMemory:
    """One start of a pod, behind the emulator's port for pods; the job is what the schedule says."""

    def __init__(self, pod_id: str, port: int, machine: WatchedMachine, *, listens: bool) -> None:
        self.pod_id = pod_id
        self.started_at = asyncio.get_running_loop().time()
        self.ssh_port = port if listens else 0
        self.machine = machine
        self.host_key = 1
        self.dark_until = 0.0
        self.host_key_fingerprint = "SHA256:campaign"
        self._over = asyncio.Event()

    async def stop(self) -> None:
        """Power off."""
        self.machine.kill()
        self._over.set()

    async def wait(self) -> int:
        """Wait for the end."""
        await self._over.wait()
        return 0

    async def drop_connections(self) -> None:
        """Cut every connection."""
        self.machine.drop()

    async def reopen_ssh(
        self, *, dark: float = 0.0, new_port: bool = False, new_key: bool = False
    ) -> None:
        """Cut every connection, and let nobody in for a while."""
        self.machine.drop()
        self.ssh_port += 1000 * new_port
        self.host_key += new_key
        self.dark_until = asyncio.get_running_loop().time() + dark

    def open_connections(self) -> int:
        """Return how many there are."""
        return sum(not connection.lost.is_set() for connection in self.machine.connections)


@dataclass
class Pods:
    """The emulator's host for pods; remembers each."""

    job: Callable[[], FakeJob]
    hangs: set[str] = field(default_factory=set)
    kind: str = "memory"
    started: list[PodInMemory] = field(default_factory=list)
    ask: Callable[[str, str], Awaitable[None]] | None = None
    saved: dict[str, list[FakeJob]] = field(default_factory=dict)
    of_pod: dict[str, PodInMemory] = field(default_factory=dict)

    async def start(self, spec: PodSpec, on_log: OnLog) -> PodInMemory:
        """Start at once."""
        machine = WatchedMachine(
            job=self.job(),
            hangs=set(self.hangs),
            probe=_probe(spec),
            ask=partial(self.ask, spec.pod_id) if self.ask else None,
            saved=self.saved.setdefault(spec.pod_id, []),
        )
        machine.boot(spec.env.get(BOOT_ENV, ""))
        port = 20_001 + len(self.started)
        pod = PodInMemory(spec.pod_id, port, machine, listens=spec.accept_ssh)
        self.started.append(pod)
        self.of_pod[spec.pod_id] = pod
        on_log("container", f"hello from {spec.pod_id}")
        return pod

    async def close(self) -> None:
        """Nothing to do."""

    def at(self, endpoint: Endpoint) -> PodInMemory | None:
        """Return the pod that listens at an address."""
        for pod in self.started:
            if pod.ssh_port == endpoint.port and not pod.machine.dead:
                return pod
        return None


@dataclass
class Account:
    """One account, its pods, and what its API was asked for.

    Attributes:
        gpus: Those that the catalog has; looking through all of them takes the most time of a run.
        deletes: Called with a pod's id and how before each call that ends it.
    """

    folder: Path
    pods: Pods
    faults: tuple[str, ...]
    gpus: tuple[str, ...]
    deletes: Callable[[str, str], None] = lambda _pod_id, _how: None
    gate: WatchedGate = field(default_factory=WatchedGate)

    def __post_init__(self) -> None:
        options = EmulatorOptions(faults=self.faults, idle_seconds=0, pods="none")
        self.cloud = EmulatedCloud(options, self.folder, self.pods, KEY)
        catalog = cast("dict[str, Any]", self.cloud.fleet.catalog.gpus)
        for name in set(catalog) - set(self.gpus):
            del catalog[name]
        self._app = httpx.ASGITransport(app=build_app(self.cloud, lambda: None))
        self.pods.ask = self._asks_for_its_end

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return what carries one executor's requests."""
        return _Wire(self._app, self)

    def connector(self, *_key_and_hosts: Any) -> Connector:
        """Return what opens one executor's connections."""
        return Connector(self)

    async def _asks_for_its_end(self, pod_id: str, action: str) -> None:
        """Take a pod's own request, which goes past nobody's wire."""
        self.deletes(pod_id, action)
        async with httpx.AsyncClient(transport=self._app, base_url=URL) as client:
            await client.post(
                f"/v2/pods/{pod_id}/action",
                json={"action": action},
                headers={"Authorization": f"Bearer {KEY}", "User-Agent": "runpod-deploy-pod/1"},
            )

    def spent_usd(self, pods: Collection[str], since: float = 0.0) -> float:
        """Return what some pods have cost since a time of the billing clock."""
        now = self.cloud.clock.now()
        bills = [
            pod.meter.between(since, float("inf"), now)
            for pod_id, pod in self.cloud.fleet.history.items()
            if pod_id in pods
        ]
        return sum(bill.gpu + bill.disk for bill in bills)


class _Wire(httpx.AsyncBaseTransport):
    """Carries requests to the emulator's application, which answers as a process of its own."""

    def __init__(self, app: httpx.ASGITransport, account: Account) -> None:
        self._app = app
        self._account = account

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; whoever is killed while it is under way does not hold up its effect."""
        whose = process()
        await request.aread()
        if request.url.path.endswith("/logs"):
            return httpx.Response(404, request=request)  # a stream without an end
        if whose is not None:
            await whose.passes()
        how = "delete" if request.method == "DELETE" else ""
        if request.url.path.endswith("/action"):
            how = json.loads(request.content)["action"]
        if how in {"delete", "stop", "terminate"} and request.url.path.startswith("/v2/pods/"):
            self._account.deletes(request.url.path.split("/")[3], how)
        task = asyncio.get_running_loop().create_task(
            self._app.handle_async_request(request), context=contextvars.Context()
        )
        answer = await asyncio.shield(task)
        if whose is not None:
            await whose.passes()
        return answer


class Connector:
    """The executor's port `Connector`, to pods in memory."""

    public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPublicHalf campaign"

    def __init__(self, account: Account) -> None:
        self._account = account
        self._keys: dict[str, int] = {}

    def forget(self, pod_id: str) -> None:
        """Take whatever key it has next."""
        self._keys.pop(pod_id, None)

    async def connect(self, endpoint: Endpoint, pod_id: str, *, timeout: float) -> FakeTransport:  # noqa: ARG002 - the port's
        """Log in, if somebody listens there who is who it was."""
        await self._account.gate.through("connect")
        pod = self._account.pods.at(endpoint)
        now = asyncio.get_running_loop().time()
        if pod is None or pod is not self._account.pods.of_pod.get(pod_id) or now < pod.dark_until:
            raise ConnectFailed(f"nobody answers at {endpoint.host}:{endpoint.port}")
        if self._keys.setdefault(pod_id, pod.host_key) != pod.host_key:
            raise HostKeyChanged(f"another host key at {endpoint.host}:{endpoint.port}")
        return FakeTransport(pod.machine, self._account.gate)
