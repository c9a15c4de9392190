"""The pods of the emulated account: created, started, stopped, deleted, remembered."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runpod_deploy.emulator.billing import pod_rate
from runpod_deploy.emulator.catalog import DRIVERS, USUAL_CUDA, Catalog
from runpod_deploy.emulator.clock import BillingClock
from runpod_deploy.emulator.container import SSH_PORT, Container, Launch
from runpod_deploy.emulator.faults import FaultBoard
from runpod_deploy.emulator.identifiers import POD_LENGTH, new_id
from runpod_deploy.emulator.lifecycle import ACTIONS, Action, Power
from runpod_deploy.emulator.logs import LogBook
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.placement import Placement, Placer
from runpod_deploy.emulator.pod_document import observed, pod_document
from runpod_deploy.emulator.pod_env import injected_env as injected_env_of
from runpod_deploy.emulator.pod_env import process_env
from runpod_deploy.emulator.pod_request import PodRequest, read_pod_request
from runpod_deploy.emulator.ports import GpuModel, PodClock, PodHost, PodSpec
from runpod_deploy.emulator.problems import (
    HOST_FULL,
    TRANSIENT,
    Problem,
    bad_request,
    invalid,
    not_found,
)
from runpod_deploy.emulator.records import Pod
from runpod_deploy.emulator.ssh_trouble import SshTrouble
from runpod_deploy.emulator.stock import Stock
from runpod_deploy.emulator.store import Store

_FORGED = "SHA256:" + "A" * 43
"""Fingerprint of a host key that nobody has."""


@dataclass(slots=True)
class Tenant:
    """A pod that exists, with what is not written down: its container, log and lock."""

    pod: Pod
    logs: LogBook = field(default_factory=LogBook)
    container: Container | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Fleet:
    """All pods; the methods are the API's operations on them."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        options: EmulatorOptions,
        board: FaultBoard,
        stock: Stock,
        store: Store,
        clock: BillingClock,
        host: PodHost,
    ) -> None:
        self.catalog = catalog
        self.options = options
        self.tenants: dict[str, Tenant] = {}
        self.history: dict[str, Pod] = dict(store.former_pods)
        self.max_simultaneous = 0
        self._board = board
        self._stock = stock
        self._store = store
        self._clock = clock
        self._host = host
        self._placer = Placer(catalog=catalog, account=store.account, stock=stock, board=board)

    def find(self, pod_id: str) -> Tenant:
        """Give an existing pod.

        Raises:
            Problem: 404.
        """
        tenant = self.tenants.get(pod_id)
        if tenant is None:
            raise not_found("pod not found")
        return tenant

    def document(self, tenant: Tenant, *, polled: bool = False) -> dict[str, Any]:
        """Give a pod as the API answers it; a poll brings a starting pod closer to ready."""
        if polled and tenant.container is not None:
            tenant.container.polls += 1
        return pod_document(tenant.pod, tenant.container, self.options, self.catalog)

    async def create(self, body: object) -> Tenant:
        """Create a pod and begin to start it.

        Raises:
            Problem: 422, 404, 400, 402 or 400 in this order; 5xx where a fault says so.
        """
        request = read_pod_request(body, self._store.account.templates)
        await self.before_create(request)
        tenant = self.admit(request, self.place(request))
        await self.after_create(_context(tenant.pod))
        return tenant

    async def before_create(self, request: PodRequest) -> None:
        """Fail a create call in its place, where a fault says so.

        Raises:
            Problem: 422 or 5xx; nothing was made.
        """
        if self._board.take("image-refused", **request.context()):
            raise invalid([], f'Container image "{request.image}" was not found on its registry')
        if before := self._board.take("create-5xx-before", **request.context()):
            raise Problem(int(before.number("status")), TRANSIENT)
        if hang := self._board.take("create-hang-before", **request.context()):
            await asyncio.sleep(hang.number("seconds"))
            raise Problem(504, TRANSIENT)

    async def after_create(self, context: Mapping[str, str]) -> None:
        """Lose or delay the answer to a create call that had its effect, where a fault says so.

        Raises:
            Problem: 5xx; what was asked for is there.
        """
        if after := self._board.take("create-5xx-after", **context):
            raise Problem(int(after.number("status")), TRANSIENT)
        if hang := self._board.take("create-hang-after", **context):
            await asyncio.sleep(hang.number("seconds"))

    def place(self, request: PodRequest, pods: int = 1) -> Placement:
        """Find where a pod, or so many of one shape, can go.

        Raises:
            Problem: 400 or 402.
        """
        return self._placer.place(request, pods)

    async def act(self, tenant: Tenant, action: Action) -> None:
        """Carry out a state transition.

        Raises:
            Problem: 409 where the pod's state does not allow it, 400 when its host is full.
        """
        async with tenant.lock:
            self._check_exists(tenant)
            pod = tenant.pod
            status = observed(pod, tenant.container, self.options).status
            if action not in ACTIONS[status]:
                raise Problem(409, f'Action "{action}" is not valid for a pod in state {status}')
            if pod.locked and action in {"stop", "restart"}:
                raise Problem(409, f'Pod "{pod.id}" is locked')
            if action == "terminate":
                await self._terminate(tenant)
            elif action == "stop":
                await self._switch(tenant, "off")
            elif action == "start":
                self._claim_host(pod)
                await self._switch(tenant, "on")
            else:
                await self._halt(tenant)
                self._begin(tenant, first=False)

    async def delete(self, tenant: Tenant) -> None:
        """Delete a pod, its container and its persistent mount.

        Raises:
            Problem: 404 when it went meanwhile, 5xx where a fault says so.
        """
        async with tenant.lock:
            self._check_exists(tenant)
            await self._terminate(tenant)

    async def dissolve(self, tenant: Tenant) -> None:
        """Delete a pod because its cluster is deleted."""
        async with tenant.lock:
            if tenant.pod.id in self.tenants:
                await self._remove(tenant, "deleted")

    async def end(self, tenant: Tenant, how: str) -> None:
        """End a pod from outside the API: "exited", "error" or "gone"."""
        async with tenant.lock:
            if tenant.pod.id not in self.tenants:
                return
            if how == "gone":
                await self._remove(tenant, "killed")
            else:
                await self._switch(tenant, "error" if how == "error" else "off")

    async def close(self) -> None:
        """Take every pod down with the emulator."""
        await asyncio.gather(*(self._shut_down(t) for t in list(self.tenants.values())))

    def saved(self, pod: Pod) -> None:
        """Write a pod down after a change."""
        self._store.save_pod(pod)

    def admit(
        self,
        request: PodRequest,
        place: Placement,
        *,
        injected_env: Mapping[str, str] | None = None,
        **membership: Any,
    ) -> Tenant:
        """Let a pod begin to be where it was placed.

        Args:
            injected_env: What the cloud itself adds to its environment.
            membership: Fields of the record that make it a cluster's, its own name among them.
        """
        added = injected_env_of(request, self._store.account.ssh_keys)
        pod = Pod(
            id=new_id(POD_LENGTH),
            name=membership.pop("name", request.name),
            image=request.image,
            args=request.args,
            disk=request.disk,
            ports=list(request.ports),
            registry=request.registry,
            mounts=dict(request.mounts),
            cloud=request.cloud,
            datacenter=place.datacenter,
            price=place.price,
            created_at=time.time(),
            gpu_id=request.gpu_id,
            gpu_count=request.gpu_count,
            cpu_id=request.cpu_id,
            vcpu_count=request.vcpu_count,
            cuda=place.cuda,
            global_networking=request.global_networking,
            env=dict(request.env),
            injected_env={**added, **(injected_env or {})},
            api_key="rpa_pod_" + secrets.token_hex(20),
            **membership,
        )
        tenant = Tenant(pod)
        self.tenants[pod.id] = tenant
        self.history[pod.id] = pod
        self.max_simultaneous = max(self.max_simultaneous, len(self.tenants))
        self._turn_on(tenant, first=True)
        return tenant

    def _claim_host(self, pod: Pod) -> None:
        refused = self._board.take("start-refused", **_context(pod))
        if refused:
            raise Problem(int(refused.number("status")), HOST_FULL)
        if pod.gpu_id is not None:
            gpu = self.catalog.gpus[pod.gpu_id]
            if self._stock.free(gpu, pod.datacenter, pod.cloud) < pod.gpu_count:
                raise bad_request(HOST_FULL)

    def _turn_on(self, tenant: Tenant, *, first: bool) -> None:
        pod = tenant.pod
        if pod.gpu_id is not None:
            self._stock.hold(pod.gpu_id, pod.datacenter, pod.cloud, pod.gpu_count)
        self._set_power(pod, "on")
        self._begin(tenant, first=first)

    async def _switch(self, tenant: Tenant, power: Power) -> None:
        if power == tenant.pod.power:
            return
        if power == "on":
            self._turn_on(tenant, first=False)
            return
        await self._halt(tenant)
        self._free_host(tenant.pod)
        self._set_power(tenant.pod, power)

    async def _terminate(self, tenant: Tenant) -> None:
        fails = self._board.take("delete-fails", **_context(tenant.pod))
        if fails:
            raise Problem(int(fails.number("status")), TRANSIENT)
        if not self._board.take("delete-lies", **_context(tenant.pod)):
            await self._remove(tenant, "deleted")

    async def _remove(self, tenant: Tenant, by: str) -> None:
        pod = tenant.pod
        del self.tenants[pod.id]
        await self._halt(tenant)
        self._free_host(pod)
        pod.power, pod.ended_at, pod.ended_by = "off", time.time(), by
        pod.meter.close(self._clock.now())
        tenant.logs.close()
        self._store.save_pod(pod)
        await asyncio.to_thread(self._store.remove_pod_folder, pod.id)

    async def _shut_down(self, tenant: Tenant) -> None:
        async with tenant.lock:
            if tenant.pod.id in self.tenants:
                await self._remove(tenant, "shutdown")

    async def _halt(self, tenant: Tenant) -> None:
        if tenant.container is not None:
            await tenant.container.halt()

    def _free_host(self, pod: Pod) -> None:
        if pod.power == "on" and pod.gpu_id is not None:
            self._stock.release(pod.gpu_id, pod.datacenter, pod.cloud, pod.gpu_count)

    def _set_power(self, pod: Pod, power: Power) -> None:
        pod.power = power
        if power == "on":
            pod.started_at = time.time()
        rate = pod_rate(
            running=power == "on",
            gpu=pod.price if pod.gpu_id is not None else 0.0,
            cpu=pod.price if pod.gpu_id is None else 0.0,
            container_gb=pod.disk,
            persistent_gb=pod.persistent_gb,
        )
        pod.meter.switch(self._clock.now(), rate)
        self._store.save_pod(pod)

    def _begin(self, tenant: Tenant, *, first: bool) -> None:
        old = tenant.container.ssh_port if tenant.container else None
        tenant.pod.started_at = time.time()
        tenant.container = Container(
            self._host,
            self._board,
            tenant.logs,
            self._launch(tenant.pod, first=first),
            lambda how: self.end(tenant, how),
            old,
        )
        tenant.container.begin()

    def _launch(self, pod: Pod, *, first: bool) -> Launch:
        env = process_env(pod)
        mapped = SSH_PORT in pod.ports
        no_sshd = self._board.take("no-sshd", **_context(pod)) is not None
        forged = self._board.take("host-key-forged", **_context(pod))
        full = self._board.take("disk-full", **_context(pod))
        spec = PodSpec(
            pod_id=pod.id,
            env=env,
            args=pod.args or None,
            container_disk_gb=pod.disk,
            workspace=self._workspace(pod),
            mount_path=pod.mount_path or "/workspace",
            gpu=self._gpu_model(pod, first=first),
            accept_ssh=mapped and bool(env.get("PUBLIC_KEY")) and not no_sshd,
            trouble=SshTrouble(self._board, _context(pod)),
            shell=self.options.pod_shell,
            printed_fingerprint=_FORGED if forged else None,
            disk_mib=int(full.number("mib")) if full else None,
            clock=PodClock(speed=self._clock.speed, now=self._clock.now()),
        )
        return Launch(
            image=pod.image,
            spec=spec,
            shows_ssh=mapped,
            context=_context(pod),
            first=first,
            has_volume=pod.volume_id is not None,
        )

    def _workspace(self, pod: Pod) -> Path | None:
        if pod.volume_id is not None:
            return self._store.volume_folder(pod.volume_id)
        return self._store.pod_folder(pod.id) if pod.persistent_gb else None

    def _gpu_model(self, pod: Pod, *, first: bool) -> GpuModel:
        cuda = pod.cuda or USUAL_CUDA
        gpu = self.catalog.gpus[pod.gpu_id] if pod.gpu_id is not None else None
        zero = self._board.peek("zero-gpus", **_context(pod))
        count = pod.gpu_count
        if zero and zero.params["when"] in {"always", "create" if first else "start"}:
            self._board.take("zero-gpus", **_context(pod))
            count = 0
        return GpuModel(
            id=gpu.id if gpu else "",
            memory_mib=gpu.memory * 1024 if gpu else 0,
            count=count,
            driver_version=DRIVERS[cuda],
            cuda_version=cuda,
        )

    def _check_exists(self, tenant: Tenant) -> None:
        if tenant.pod.id not in self.tenants:
            raise not_found("pod not found")


def _context(pod: Pod) -> dict[str, str]:
    context = {"name": pod.name, "cloud": pod.cloud, "datacenter": pod.datacenter}
    return context if pod.gpu_id is None else {**context, "gpu": pod.gpu_id}
