"""The clusters of the emulated account: made whole or not at all, renamed, deleted with their pods."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from runpod_deploy.emulator.clock import rfc3339
from runpod_deploy.emulator.faults import FaultBoard
from runpod_deploy.emulator.fleet import Fleet, Tenant
from runpod_deploy.emulator.identifiers import new_id
from runpod_deploy.emulator.pod_request import PodRequest, read_pod_request
from runpod_deploy.emulator.problems import TRANSIENT, Problem, invalid, not_found
from runpod_deploy.emulator.records import Cluster
from runpod_deploy.emulator.request_schemas import CREATE_CLUSTER
from runpod_deploy.emulator.shape import violations

PRIMARY_PORT = 29_400
_ROLES: Mapping[str, tuple[str, str]] = {
    "SLURM": ("SLURM_CONTROLLER", "SLURM_COMPUTE"),
    "RAY": ("RAY_HEAD", "RAY_WORKER"),
}
_OF_THE_CLUSTER = frozenset({"type", "compute"})


class Clusters:
    """All clusters; the methods are the API's operations on them."""

    def __init__(self, fleet: Fleet, board: FaultBoard) -> None:
        self._fleet = fleet
        self._board = board
        self._clusters: dict[str, Cluster] = {}
        self._numbers = itertools.count(1)

    def all(self) -> list[Cluster]:
        """Give every cluster, newest first."""
        return list(reversed(self._clusters.values()))

    def find(self, cluster_id: str) -> Cluster:
        """Give an existing cluster.

        Raises:
            Problem: 404.
        """
        cluster = self._clusters.get(cluster_id)
        if cluster is None:
            raise not_found("cluster not found")
        return cluster

    def members(self, cluster: Cluster) -> list[Tenant]:
        """Give the pods that are left of a cluster, by rank."""
        tenants = [t for t in self._fleet.tenants.values() if t.pod.cluster_id == cluster.id]
        return sorted(tenants, key=lambda tenant: tenant.pod.rank)

    async def create(self, body: object) -> Cluster:
        """Create a cluster and begin to start its pods.

        Raises:
            Problem: 422, 400, 402 or 400 in this order; 5xx where a fault says so.
        """
        errors = violations(body, CREATE_CLUSTER)
        if errors or not isinstance(body, dict):
            raise invalid(errors)
        compute = body["compute"]
        gpu = {"id": compute["gpuTypeId"], "count": compute["gpuCountPerPod"]}
        shared = {key: value for key, value in body.items() if key not in _OF_THE_CLUSTER}
        request = read_pod_request({**shared, "gpu": gpu}, {})
        await self._fleet.before_create(request)
        cluster = self._place(request, body["type"], int(compute["podCount"]))
        await self._fleet.after_create(request.context(cluster.datacenter))
        return cluster

    def _place(self, request: PodRequest, type_: str, count: int) -> Cluster:
        place = self._fleet.place(request, count)
        cluster = Cluster(
            id=new_id(),
            name=request.name,
            type=type_,
            gpu_id=request.gpu_id or "",
            gpu_count=request.gpu_count,
            pod_count=count,
            datacenter=place.datacenter,
            number=next(self._numbers),
            created_at=time.time(),
        )
        self._clusters[cluster.id] = cluster
        roles = _ROLES.get(type_, ("", ""))
        for rank in range(count):
            self._fleet.admit(
                request,
                place,
                name=f"{request.name}-{rank}",
                cluster_id=cluster.id,
                rank=rank,
                role=roles[min(rank, 1)],
                address=cluster.address(rank),
                injected_env=node_env(cluster, rank),
            )
        return cluster

    async def delete(self, cluster: Cluster) -> None:
        """Delete a cluster and every pod of it.

        Raises:
            Problem: 5xx where a fault says so.
        """
        context = {"name": cluster.name, "gpu": cluster.gpu_id, "datacenter": cluster.datacenter}
        if fails := self._board.take("delete-fails", **context):
            raise Problem(int(fails.number("status")), TRANSIENT)
        if self._board.take("delete-lies", **context):
            return
        await asyncio.gather(*(self._fleet.dissolve(tenant) for tenant in self.members(cluster)))
        self._clusters.pop(cluster.id, None)

    def document(self, cluster: Cluster) -> dict[str, Any]:
        """Give a cluster as the API answers it."""
        pods = [self._fleet.document(tenant) for tenant in self.members(cluster)]
        document: dict[str, Any] = {
            "id": cluster.id,
            "name": cluster.name,
            "type": cluster.type,
            "compute": {
                "gpuTypeId": cluster.gpu_id,
                "gpuCountPerPod": cluster.gpu_count,
                "podCount": cluster.pod_count,
            },
            "pods": {"total": len(pods), "byStatus": dict(Counter(pod["status"] for pod in pods))},
            "network": {"cidr": cluster.cidr},
            "createdAt": rfc3339(cluster.created_at),
        }
        if pods:
            document["dataCenterId"] = cluster.datacenter
        if pods and pods[0]["cluster"]["rank"] == 0:
            document["primary"] = _primary(pods[0])
        return document


def node_env(cluster: Cluster, rank: int) -> dict[str, str]:
    """Give the environment that RunPod documents for the nodes of its Instant Clusters."""
    primary, port = cluster.address(0), str(PRIMARY_PORT)
    return {
        "PRIMARY_ADDR": primary,
        "MASTER_ADDR": primary,
        "PRIMARY_PORT": port,
        "MASTER_PORT": port,
        "HOST_NODE_ADDR": f"{primary}:{port}",
        "NODE_ADDR": cluster.address(rank),
        "NODE_RANK": str(rank),
        "NUM_NODES": str(cluster.pod_count),
        "NUM_TRAINERS": str(cluster.gpu_count),
        "WORLD_SIZE": str(cluster.pod_count * cluster.gpu_count),
    }


def _primary(pod: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {"podId": pod["id"], "status": pod["status"]}
    direct = pod["ssh"]["direct"]
    if pod["status"] == "RUNNING" and direct:
        known["sshEndpoint"] = f"{direct['host']}:{direct['port']}"
    return known
