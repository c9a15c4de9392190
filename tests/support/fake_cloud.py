"""A RunPod in memory behind the port `Cloud`: it does what the test's script says, and remembers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runpod_deploy.errors import AccountError, CandidateRefused, Unavailable
from runpod_deploy.executor.ports import (
    Bill,
    Endpoint,
    GpuOffer,
    LogLine,
    Pod,
    PodAction,
    PodRequest,
    StockQuery,
    Volume,
)
from support.fake_pod import FakeMachine
from support.virtual_time import FakeClock


@dataclass(frozen=True, slots=True)
class AfterEffect:
    """A create that makes `copies` pods and loses its answer; they are listed after `visible_in` seconds."""

    error: Exception
    copies: int = 1
    visible_in: float = 0.0


@dataclass(slots=True)
class Rented:
    """A pod of the fake: how it is described, and the machine behind it."""

    pod: Pod
    request: PodRequest
    machine: FakeMachine
    ready_at: float
    visible_at: float


@dataclass
class FakeCloud:
    """Rents out pods.

    Attributes:
        creates: What the next create calls do: None succeeds, an exception is raised before any
            effect, `AfterEffect` loses the answer. Empty: they succeed.
        start_changes: Fields that a pod has once it is started again.
        changes: Fields that the pods made next have instead of what was asked for, one entry a pod.
        ready_in: Seconds until a pod has its SSH port; None: it never has.
        deletes: What the next delete calls do: None deletes, an exception is raised, `"lie"`
            answers well and deletes nothing.
        gets: What the next get calls do: None tells the truth, an exception is raised.
        finds: The same for find calls.
        clusters_unseen: Whether the key sees pods alone; `alone` are those known to be no cluster.
        rented: Pods that exist, clusters and their nodes among them; `gone` those that did; `most`
            how many at one time.
    """

    clock: FakeClock
    machine: Callable[[], FakeMachine] = FakeMachine
    label: str = "emulator"
    creates: deque[Exception | AfterEffect | None] = field(default_factory=deque)
    changes: deque[dict[str, Any]] = field(default_factory=deque)
    ready_in: float | None = 2.0
    deletes: deque[Exception | str | None] = field(default_factory=deque)
    delete_always: Exception | str | None = None
    gets: deque[Exception | None] = field(default_factory=deque)
    finds: deque[Exception | None] = field(default_factory=deque)
    find_always: Exception | None = None
    set_envs: deque[Exception | None] = field(default_factory=deque)
    start_changes: dict[str, Any] = field(default_factory=dict)
    starts: int = 0
    acts: deque[Exception | str | None] = field(default_factory=deque)
    act_always: Exception | str | None = None
    offers: list[GpuOffer] | Exception = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    known_volumes: list[Volume] = field(default_factory=list)
    late_volumes: list[tuple[float, Volume]] = field(default_factory=list)
    volume_creates: deque[Exception | AfterEffect | None] = field(default_factory=deque)
    cost: float | None = 1.0
    no_stock: set[tuple[str, str | None, str]] = field(default_factory=set)
    rented: dict[str, Rented] = field(default_factory=dict)
    gone: dict[str, Rented] = field(default_factory=dict)
    requests: list[PodRequest] = field(default_factory=list)
    asked: list[StockQuery] = field(default_factory=list)
    log: list[str] | Exception = field(default_factory=list)
    clusters_unseen: bool = False
    alone: set[str] = field(default_factory=set)
    made: int = 0
    most: int = 0

    async def create(self, request: PodRequest) -> Pod:
        """Rent a pod as the script says."""
        await self.clock.gate.through("create")
        self.requests.append(request)
        if (request.gpu, request.datacenter, request.cloud) in self.no_stock:
            raise CandidateRefused("There are no longer any instances available.", status=400)
        what = self.creates.popleft() if self.creates else None
        if isinstance(what, Exception):
            raise what
        if isinstance(what, AfterEffect):
            for _ in range(what.copies):
                self._rent(request, visible_in=what.visible_in)
            await self.clock.gate.through("create-answer")
            raise what.error
        rented = self._rent(request, visible_in=0.0)
        await self.clock.gate.through("create-answer")
        return self._describe(rented)

    async def get(self, pod_id: str) -> Pod | None:
        """Describe a pod."""
        await self.clock.gate.through("get")
        _raise_next(self.gets)
        rented = self.rented.get(pod_id)
        if rented is None and self.clusters_unseen and pod_id not in self.alone:
            raise AccountError("The key may not see clusters.")
        return self._describe(rented) if rented else None

    def standing_alone(self, *pods: str) -> None:
        """Know these for no clusters."""
        self.alone.update(pods)

    async def pods(self) -> list[Pod]:
        """Describe every pod that is listed yet, its environment included."""
        await self.clock.gate.through("pods")
        if self.find_always is not None:
            raise self.find_always
        now = self.clock.monotonic()
        return [
            self._describe(rented)
            for rented in self.rented.values()
            if rented.visible_at <= now and rented.pod.cluster_id is None
        ]

    async def find(self, name: str) -> list[Pod]:
        """Describe the pods of a name, as far as they are listed yet."""
        await self.clock.gate.through("find")
        if self.find_always is not None:
            raise self.find_always
        _raise_next(self.finds)
        now = self.clock.monotonic()
        return [
            self._describe(rented)
            for rented in self.rented.values()
            if rented.request.name == name
            and rented.visible_at <= now
            and rented.pod.cluster_id is None
        ]

    async def set_env(self, pod_id: str, env: Mapping[str, str]) -> Pod:
        """Replace a pod's environment."""
        await self.clock.gate.through("set-env")
        _raise_next(self.set_envs)
        rented = self.rented[pod_id]
        rented.request = replace(rented.request, env=dict(env))
        return self._describe(rented)

    async def act(self, pod_id: str, action: PodAction) -> None:
        """Start or stop a pod."""
        await self.clock.gate.through(f"act-{action}")
        what = self.acts.popleft() if self.acts else self.act_always
        if isinstance(what, Exception):
            raise what
        if action == "start" and what != "lie":
            rented = self.rented[pod_id]
            self.starts += 1
            rented.machine = self.machine()
            rented.ready_at = self.clock.monotonic() + (self.ready_in or 0.0)
            ssh = Endpoint(host="203.0.113.7", port=30_000 + self.starts)
            self.change(pod_id, **{"status": "RUNNING", "ssh": ssh, **self.start_changes})
        elif what != "lie":
            self.change(pod_id, status="EXITED", ssh=None)
            self.rented[pod_id].machine.kill()

    async def delete(self, pod_id: str) -> None:
        """Delete a pod as the script says."""
        await self.clock.gate.through("delete")
        what = self.deletes.popleft() if self.deletes else self.delete_always
        if isinstance(what, Exception):
            raise what
        if what != "lie":
            self.vanish(pod_id)
        await self.clock.gate.through("delete-answer")

    async def logs(self, pod_id: str, *, tail: int) -> AsyncGenerator[LogLine, None]:
        """Yield the scripted lines, then nothing more."""
        await self.clock.gate.through("logs")
        if isinstance(self.log, Exception):
            raise self.log
        for line in self.log[-tail:]:
            yield LogLine(source="container", line=line)
        while pod_id in self.rented:
            await self.clock.sleep(1.0)

    async def billed(self, since: str, pod_id: str | None = None) -> list[Bill]:  # noqa: ARG002 - the port's
        """Answer with the scripted bill."""
        await self.clock.gate.through("billed")
        return [bill for bill in self.bills if bill.pod_id == pod_id]

    async def volumes(self) -> list[Volume]:
        """List the network volumes."""
        await self.clock.gate.through("volumes")
        return self.all_volumes()

    def all_volumes(self) -> list[Volume]:
        """Return the volumes that are listed by now."""
        late = [volume for at, volume in self.late_volumes if at <= self.clock.now()]
        return [*self.known_volumes, *late]

    async def create_volume(self, name: str, size_gb: int, datacenter: str) -> Volume:
        """Make a volume as the script says."""
        await self.clock.gate.through("create-volume")
        what = self.volume_creates.popleft() if self.volume_creates else None
        if isinstance(what, Exception):
            raise what
        number = len(self.known_volumes) + len(self.late_volumes) + 1
        made = Volume(id=f"vol{number}", name=name, datacenter=datacenter, size_gb=size_gb)
        if what is None:
            self.known_volumes.append(made)
        else:
            self.late_volumes.append((self.clock.now() + what.visible_in, made))
        await self.clock.gate.through("create-volume-answer")
        if what is not None:
            raise what.error
        return made

    async def catalog(self, query: StockQuery) -> list[GpuOffer]:
        """Answer with the scripted prices and stock."""
        await self.clock.gate.through("catalog")
        self.asked.append(query)
        if isinstance(self.offers, Exception):
            raise self.offers
        return list(self.offers)

    async def close(self) -> None:
        """Nothing is open."""

    def vanish(self, pod_id: str) -> None:
        """End a pod, from whatever side."""
        rented = self.rented.pop(pod_id, None)
        if rented is not None:
            self.gone[pod_id] = rented
            rented.machine.kill()
        for node in [one for one in self.rented.values() if one.pod.cluster_id == pod_id]:
            self.vanish(node.pod.id)

    def change(self, pod_id: str, **fields: Any) -> None:
        """Change how a pod is described."""
        rented = self.rented[pod_id]
        rented.pod = replace(rented.pod, **fields)

    def at(self, endpoint: Endpoint) -> FakeMachine | None:
        """Return the machine that answers at an address."""
        for rented in self.rented.values():
            if self._describe(rented).ssh == endpoint:
                return rented.machine
        return None

    def _rent(self, request: PodRequest, *, visible_in: float) -> Rented:
        self.made += 1
        now = self.clock.monotonic()
        pod = Pod(
            id=f"pod{self.made}",
            name=request.name,
            status="RUNNING",
            gpu=request.gpu,
            gpu_count=request.gpu_count,
            cloud=request.cloud,
            datacenter=request.datacenter or "EU-ANY-1",
            cost=self.cost,
            image=request.image,
            ssh=Endpoint(host="203.0.113.7", port=20_000 + self.made),
            nodes=request.nodes if request.nodes > 1 else 0,
        )
        if self.changes:
            pod = replace(pod, **self.changes.popleft())
        rented = Rented(
            pod=pod,
            request=request,
            machine=self.machine(),
            ready_at=float("inf") if self.ready_in is None else now + self.ready_in,
            visible_at=now + visible_in,
        )
        self.rented[pod.id] = rented
        for rank in range(request.nodes if request.nodes > 1 else 0):
            self._add_node(rented, rank)
        alone = [one for one in self.rented.values() if one.pod.cluster_id is None]
        self.most = max(self.most, len(alone))
        return rented

    def _add_node(self, cluster: Rented, rank: int) -> None:
        """Give a cluster one more node; the first is the machine that its address leads to."""
        port = 20_000 + 100 * self.made + rank
        pod = replace(
            cluster.pod,
            id=f"{cluster.pod.id}-{rank}",
            cluster_id=cluster.pod.id,
            rank=rank,
            nodes=0,
            ssh=Endpoint(host="203.0.113.7", port=port),
        )
        if rank == 0:
            cluster.pod = replace(cluster.pod, ssh=pod.ssh)
        machine = cluster.machine if rank == 0 else self.machine()
        self.rented[pod.id] = replace(cluster, pod=pod, machine=machine)

    def _describe(self, rented: Rented) -> Pod:
        nodes = [one for one in self.rented.values() if one.pod.cluster_id == rented.pod.id]
        pod = replace(
            rented.pod,
            raw={**rented.pod.raw, "env": dict(rented.request.env)},
            members=tuple(map(self._describe, nodes)),
        )
        if any(one.status in {"EXITED", "ERROR"} for one in pod.members):
            pod = replace(pod, status="BROKEN")
        return replace(pod, ssh=None) if self.clock.monotonic() < rented.ready_at else pod


def _raise_next(faults: deque[Exception | None]) -> None:
    what = faults.popleft() if faults else None
    if what is not None:
        raise what


def unavailable() -> Unavailable:
    """Return an error that says nothing about the pod."""
    return Unavailable("The API answered 502.", status=502)
