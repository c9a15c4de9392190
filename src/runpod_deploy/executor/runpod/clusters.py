"""A cluster as one pod: the port `Cloud` over `/v2/clusters`, so that a run need not know the difference.

What is rented, billed and deleted is the cluster, so it has the pod's place: its id, the sum of its
nodes' prices, the way in of its first node. The nodes themselves are in `Pod.members`.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from runpod_deploy.errors import CloudError, Conflict, EffectUnknown, NotFound, RunpodDeployError
from runpod_deploy.executor.ports import (
    AT_REST,
    Bill,
    GpuOffer,
    LogLine,
    Pod,
    PodAction,
    PodRequest,
    PodStatus,
    StockQuery,
    Volume,
)
from runpod_deploy.executor.runpod.answers import ClusterRow, cluster_bill_from, cluster_from
from runpod_deploy.executor.runpod.body import cluster_body
from runpod_deploy.executor.runpod.cloud import RunPodCloud, secrets_among
from runpod_deploy.executor.runpod.problems import CLUSTERS

# The nodes of a new cluster are listed, and have prices, at the latest then.
LISTED_WITHIN_SEC = 20.0
LOOK_EVERY_SEC = 1.0
# A cluster that is older and has not all of its nodes has lost some.
COMPLETE_WITHIN_SEC = 1800.0
# One listing may be short by itself: so many, over so long, are none by chance.
SHORT_LOOKS = 3
SHORT_FOR_SEC = 10.0


class ClusterCloud:
    """The clusters of an account; `single` is the account's pods, over the same connections."""

    def __init__(self, single: RunPodCloud) -> None:
        self.single = single
        self._calls = single.calls
        self._complete: set[str] = set()
        self._short: dict[str, _Short] = {}

    @property
    def label(self) -> str:
        """`runpod` or `emulator`, as it is written into the manifest."""
        return self.single.label

    async def create(self, request: PodRequest) -> Pod:
        """Create a cluster; sent exactly once, whatever happens.

        Raises:
            CandidateRefused: No capacity, or a rule against this candidate.
            RequestInvalid: The body is wrong.
            RateLimited: Nothing was created; wait.
            Unavailable: Nothing was sent.
            EffectUnknown: A cluster may exist; ask `find`.
            AccountError: Key or balance.
        """
        answer = await self._calls.api.send(
            "POST", CLUSTERS, json=cluster_body(request), secrets=secrets_among(request.env)
        )
        try:
            row = cluster_from(answer)
        except CloudError as exc:
            raise EffectUnknown(exc.message) from exc
        if row is None:
            raise EffectUnknown(f"POST {CLUSTERS} succeeded without describing the cluster")
        return await self._listed(row)

    async def _listed(self, row: ClusterRow) -> Pod:
        """Return a new cluster once its nodes are listed, so that its price is known; never raises.

        It is there and bills, so no failed look may hide it.
        """
        clock = self._calls.clock
        pod = _pod(row, [])
        give_up = clock.monotonic() + LISTED_WITHIN_SEC
        while True:
            with contextlib.suppress(RunpodDeployError):  # the next look may succeed
                pod = _pod(row, await self._members(row.id))
            if len(pod.members) == row.nodes or clock.monotonic() >= give_up:
                return pod
            await clock.sleep(LOOK_EVERY_SEC)

    async def get(self, pod_id: str) -> Pod | None:
        """Return the cluster with its nodes, None when the API knows neither it nor any node of it."""
        try:
            row = cluster_from(await self._calls.again("GET", _one(pod_id)))
        except NotFound:
            return await self._left_of(pod_id)
        if row is None:
            raise CloudError(f"GET {_one(pod_id)} succeeded without describing the cluster")
        try:
            members = await self._members(row.id)
        except NotFound:
            members = []  # it ended between the two looks, or it lists none
        return self._seen(row, members)

    async def _left_of(self, cluster_id: str) -> Pod | None:
        """Return the nodes that outlived their cluster, as what is left of it: they bill."""
        nodes = _of(cluster_id, await self.single.nodes())
        return _orphaned(cluster_id, nodes) if nodes else None

    async def find(self, name: str) -> list[Pod]:
        """Return every cluster called exactly `name`."""
        return [pod for pod in await self.pods() if pod.name == name]

    async def pods(self) -> list[Pod]:
        """Return every cluster of the account, and what is left of those that have no row any more."""
        rows = await self._calls.rows(CLUSTERS, "clusters", cluster_from)
        nodes = await self.single.nodes()
        known = {row.id for row in rows}
        left = dict.fromkeys(one.cluster_id for one in nodes if one.cluster_id not in known)
        return [
            *(self._seen(row, _of(row.id, nodes)) for row in rows),
            *(_orphaned(id_, _of(id_, nodes)) for id_ in left if id_ and _of(id_, nodes)),
        ]

    async def act(self, pod_id: str, action: PodAction) -> None:
        """Refuse, without asking: neither stop nor start nor restart exist for clusters.

        Raises:
            RunpodDeployError: Always; no later try can succeed.
        """
        raise RunpodDeployError(
            f"{pod_id} is a cluster, which can only be deleted: RunPod's API has no way to {action} it"
        )

    async def set_env(self, pod_id: str, env: Mapping[str, str]) -> Pod:  # noqa: ARG002 - the port's
        """Refuse, without asking: the environment of a cluster is fixed when it is made.

        Raises:
            RunpodDeployError: Always.
        """
        raise RunpodDeployError(f"the environment of cluster {pod_id} cannot be changed")

    async def delete(self, pod_id: str) -> None:
        """Ask for the cluster's end; 404 counts as success. Proof is only `get` returning None.

        Nodes that outlived their cluster are asked to end one by one.
        """
        try:
            await self._calls.again("DELETE", _one(pod_id))
        except NotFound:
            for node in _of(pod_id, await self.single.nodes()):
                # A node that the API will not end by itself is told as left.
                with contextlib.suppress(Conflict):
                    await self.single.delete(node.id)

    def logs(self, pod_id: str, *, tail: int) -> AsyncGenerator[LogLine, None]:
        """Yield the log of the cluster's first node."""
        return self._first_log(pod_id, tail)

    async def _first_log(self, pod_id: str, tail: int) -> AsyncGenerator[LogLine, None]:
        first = next((node for node in await self._members(pod_id) if node.rank == 0), None)
        if first is not None:
            async for line in self.single.logs(first.id, tail=tail):
                yield line

    async def volumes(self) -> list[Volume]:
        """Return the account's network volumes."""
        return await self.single.volumes()

    async def create_volume(self, name: str, size_gb: int, datacenter: str) -> Volume:
        """Make a network volume, exactly one."""
        return await self.single.create_volume(name, size_gb, datacenter)

    async def billed(self, since: str, pod_id: str | None = None) -> list[Bill]:
        """Return what RunPod billed for clusters, one row for each cluster and day."""
        asked = {"startTime": since, "bucketSize": "day"}
        if pod_id is not None:
            asked["clusterId"] = pod_id
        path = "/v2/billing/clusters"
        return await self._calls.rows(path, "records", cluster_bill_from, asked)

    async def catalog(self, query: StockQuery) -> list[GpuOffer]:
        """Return every GPU of the catalog with its prices and the stock that was asked for."""
        return await self.single.catalog(query)

    async def close(self) -> None:
        """Close connections; idempotent."""
        await self.single.close()

    async def _members(self, cluster_id: str) -> list[Pod]:
        return await self.single.nodes_at(f"{_one(cluster_id)}/pods")

    def _seen(self, row: ClusterRow, members: Sequence[Pod]) -> Pod:
        pod = _pod(row, members)
        if len(members) >= row.nodes:
            self._complete.add(row.id)
            self._short.pop(row.id, None)
        elif (row.id in self._complete or _is_old(row)) and self._is_short(row.id):
            # One that vanished is listed no more; what is left of the cluster is of no use.
            return replace(pod, status="BROKEN")
        return pod

    def _is_short(self, cluster_id: str) -> bool:
        """Note one more look that showed too few nodes, and tell whether that was no chance."""
        now = self._calls.clock.monotonic()
        before = self._short.get(cluster_id, _Short(since=now))
        seen = self._short[cluster_id] = replace(before, looks=before.looks + 1)
        return seen.looks >= SHORT_LOOKS and now - seen.since >= SHORT_FOR_SEC


@dataclass(frozen=True, slots=True)
class _Short:
    """Looks in a row that showed too few nodes, the first at `since` on the clock that never goes back."""

    since: float
    looks: int = 0


def _pod(row: ClusterRow, members: Sequence[Pod]) -> Pod:
    nodes = tuple(sorted((one for one in members if one.rank is not None), key=_rank))
    complete = len(nodes) == row.nodes and [node.rank for node in nodes] == list(range(row.nodes))
    first = nodes[0] if nodes and nodes[0].rank == 0 else None
    return Pod(
        id=row.id,
        name=row.name,
        status=_status(nodes, complete=complete),
        gpu=row.gpu,
        gpu_count=row.gpu_count,
        cloud=nodes[0].cloud if nodes else None,
        datacenter=row.datacenter,
        cost=_cost(row.nodes, members),
        image=nodes[0].image if nodes else None,
        ssh=first.ssh if first is not None else None,
        members=nodes,
        nodes=row.nodes,
        raw={**row.raw, **_told(members)},
    )


def _orphaned(cluster_id: str, members: Sequence[Pod]) -> Pod:
    """Return what is left of a cluster that the API no longer knows."""
    one = members[0]
    end = "" if one.rank is None else f"-{one.rank}"
    row = ClusterRow(
        id=cluster_id,
        name=one.name.removesuffix(end),
        nodes=len(members),
        gpu=one.gpu,
        gpu_count=one.gpu_count,
        datacenter=one.datacenter,
    )
    return replace(_pod(row, members), status="BROKEN")


def _told(members: Sequence[Pod]) -> dict[str, Any]:
    """Return what nodes tell of themselves and a cluster does not; each word from any that has it."""
    told: dict[str, Any] = {}
    for member in members:
        words = {key: member.raw.get(key) for key in ("env", "mounts", "startedAt")}
        told = {key: value for key, value in words.items() if value} | told
    return told


def _cost(nodes: int, members: Sequence[Pod]) -> float | None:
    """Return what a cluster costs; from those with a price where not all have one: they are alike."""
    known = [one.cost for one in members if one.cost]
    if not known:
        return None
    return sum(known) if len(known) == nodes else max(known) * max(nodes, len(known))


def _status(nodes: Sequence[Pod], *, complete: bool) -> PodStatus:
    if any(node.status in AT_REST for node in nodes):
        return "BROKEN"
    if complete and all(node.status == "RUNNING" for node in nodes):
        return "RUNNING"
    return "PROVISIONING"


def _of(cluster_id: str, nodes: Sequence[Pod]) -> list[Pod]:
    return [one for one in nodes if one.cluster_id == cluster_id and one.status != "TERMINATED"]


def _rank(node: Pod) -> int:
    return node.rank or 0


def _is_old(row: ClusterRow) -> bool:
    try:
        made = datetime.fromisoformat(str(row.raw.get("createdAt")))
    except ValueError:
        return False
    age = datetime.now(UTC) - (made if made.tzinfo else made.replace(tzinfo=UTC))
    return age.total_seconds() > COMPLETE_WITHIN_SEC


def _one(cluster_id: str) -> str:
    return f"{CLUSTERS}/{quote(cluster_id, safe='')}"
