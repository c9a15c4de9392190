"""Clusters in a pod's place: what is sent for them, and what is made of the answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import pytest

from runpod_deploy.errors import AccountError, EffectUnknown, InternalError, RunpodDeployError
from runpod_deploy.executor.ports import Cloud, Endpoint, PodRequest
from runpod_deploy.executor.releasing import end_pod
from runpod_deploy.executor.runpod.account import WholeAccount
from runpod_deploy.executor.runpod.body import cluster_body
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.clusters import ClusterCloud
from support.virtual_time import FakeClock, run_virtual

T = TypeVar("T")
REQUEST = PodRequest(
    name="rd-a",
    image="img",
    gpu="NVIDIA L4",
    gpu_count=8,
    cloud="SECURE",
    datacenter="EU-RO-1",
    container_disk_gb=20,
    ports=("22/tcp",),
    env={"TOKEN": "env-secret-value"},
    nodes=2,
)
Row = dict[str, Any]


def cluster(id_: str = "c1", **changes: Any) -> Row:
    """Return a cluster as the API describes it."""
    compute = {"gpuTypeId": "NVIDIA L4", "gpuCountPerPod": 8, "podCount": 2}
    return {
        "id": id_,
        "name": "rd-a",
        "type": "TRAINING",
        "compute": compute,
        "dataCenterId": "EU-RO-1",
        "pods": {"total": 2, "byStatus": {"RUNNING": 2}},
        "createdAt": "2999-01-01T00:00:00Z",
        **changes,
    }


def node(rank: int | None, cluster_id: str = "c1", **changes: Any) -> Row:
    """Return a node as the API describes it."""
    return {
        "id": f"{cluster_id}n{rank}",
        "name": f"rd-a-{rank}",
        "status": "RUNNING",
        "gpu": {"id": "NVIDIA L4", "count": 8},
        "cloud": "SECURE",
        "cost": 4.0,
        "env": {"MARK": "m"},
        "ssh": {"direct": {"host": "10.0.0.1", "port": 3000 + (rank or 0), "username": "root"}},
        "cluster": {"id": cluster_id, "rank": rank},
        **changes,
    }


class Api:
    """An API that knows clusters, nodes and pods, and remembers what was asked of it."""

    def __init__(self, *clusters: Row, nodes: list[Row] | None = None, pods: Any = ()) -> None:
        self.clusters = {row["id"]: row for row in clusters}
        self.nodes = [node(0), node(1)] if nodes is None else nodes
        self.pods = list(pods)
        self.asked: list[str] = []
        self.sent: list[Row] = []
        self.forbidden = False
        self.clock = FakeClock()
        transport = httpx.MockTransport(self._answer)
        self.single = RunPodCloud("https://a.example", "k", transport=transport, clock=self.clock)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, method = request.url.path, request.method
        self.asked.append(f"{method} {path}")
        if request.content:
            self.sent.append(json.loads(request.content))
        if self.forbidden and path.startswith("/v2/clusters"):
            return httpx.Response(403, json={"detail": "no"})
        status, body = self._found(method, path, request.url.params)
        return httpx.Response(status, json=body) if body is not None else httpx.Response(status)

    def _found(self, method: str, path: str, asked: Any) -> tuple[int, Any]:
        parts = path.split("/")[2:]
        if parts[0] == "billing":
            key = "clusterId" if parts[1] == "clusters" else "podId"
            return 200, {"records": [{key: "x", "totalAmount": 2.0, "gpuAmount": 1.0}]}
        if parts[0] == "pods":
            everyone = self.pods + (self.nodes if asked.get("includeClusterPods") else [])
            found = next((row for row in self.pods if row["id"] in parts[1:]), None)
            return _listed("pods", everyone) if len(parts) == 1 else _one(found)
        if method == "POST":
            self.clusters["c1"] = cluster()
            return 201, self.clusters["c1"]
        return self._of_clusters(method, parts)

    def _of_clusters(self, method: str, parts: list[str]) -> tuple[int, Any]:
        if len(parts) == 1:
            return _listed("clusters", list(self.clusters.values()))
        if parts[1] in self.clusters and parts[2:] == ["pods"]:
            nodes = [one for one in self.nodes if one["cluster"]["id"] == parts[1]]
            return _listed("pods", nodes)
        if method == "DELETE" and self.clusters.pop(parts[1], None):
            self.nodes = [one for one in self.nodes if one["cluster"]["id"] != parts[1]]
            return 204, None
        return _one(self.clusters.get(parts[1]))


def _listed(name: str, rows: list[Row]) -> tuple[int, Any]:
    return 200, {name: rows}


def _one(row: Row | None) -> tuple[int, Any]:
    return (200, row) if row else (404, {"detail": "nothing there"})


def do(api: Api, call: Callable[[ClusterCloud], Awaitable[T]]) -> T:
    """Run one call against an API."""

    async def body() -> T:
        return await call(ClusterCloud(api.single))

    return asyncio.run(body())


def test_the_client_is_the_port() -> None:
    """The class has what the executor's port asks for."""
    cloud: Cloud = ClusterCloud(RunPodCloud("https://a.example", "k", "emulator"))
    assert "emulator" == cloud.label


def test_the_body_says_what_a_cluster_may_say() -> None:
    """No cloud, registry, template or CUDA floor is ever sent."""
    body = cluster_body(REQUEST)
    assert {"gpuTypeId": "NVIDIA L4", "gpuCountPerPod": 8, "podCount": 2} == body["compute"]
    assert ("TRAINING", ["EU-RO-1"]) == (body["type"], body["dataCenterIds"])
    assert not {"gpu", "cloud", "registry", "templateId"} & set(body)
    for wish in ({"registry_auth": "r"}, {"template_id": "t"}, {"min_cuda": "12.8"}):
        with pytest.raises(InternalError):
            cluster_body(replace(REQUEST, **wish))


def test_a_new_cluster_is_what_its_nodes_are() -> None:
    """One POST; price is the sum, the way in is the first node's, the nodes are there by rank."""
    api = Api(nodes=[node(1), node(0)])
    pod = do(api, lambda cloud: cloud.create(REQUEST))
    assert 1 == api.asked.count("POST /v2/clusters")
    assert ("c1", "rd-a", "RUNNING", 8.0) == (pod.id, pod.name, pod.status, pod.cost)
    assert Endpoint(host="10.0.0.1", port=3000) == pod.ssh
    assert [0, 1] == [one.rank for one in pod.members]
    assert {"MARK": "m"} == pod.raw["env"]
    assert ("NVIDIA L4", 8, "SECURE", "EU-RO-1") == (
        pod.gpu,
        pod.gpu_count,
        pod.cloud,
        pod.datacenter,
    )


def test_nodes_that_are_late_are_waited_for_and_never_hide_a_new_cluster() -> None:
    """Its price is that of all its nodes, also while one is listed; and it is told without any."""

    def made(nodes: list[Row]) -> Any:
        api = Api(nodes=nodes)
        pods = []

        async def body() -> None:
            pods.append(await ClusterCloud(api.single).create(REQUEST))

        run_virtual(body(), api.clock.monotonic())
        return pods[0]

    assert (8.0, False) == (made([node(0)]).cost, made([node(0)]).ready)
    assert (None, "c1") == (made([]).cost, made([]).id)


def test_a_lost_answer_may_stand_for_a_cluster() -> None:
    """An answer that describes none is no proof that there is none."""
    api = Api()
    api._found = lambda *_: (201, {})
    with pytest.raises(EffectUnknown):
        do(api, lambda cloud: cloud.create(REQUEST))


@pytest.mark.parametrize(
    ("nodes", "status", "ready"),
    [
        ([node(0), node(1)], "RUNNING", True),
        ([node(0), node(1, ssh={"direct": None})], "RUNNING", False),
        ([node(0)], "PROVISIONING", False),
        ([node(1)], "PROVISIONING", None),
        ([node(0), node(None)], "PROVISIONING", False),
        ([node(0), node(1, status="STARTING")], "PROVISIONING", True),
        ([node(0), node(1, status="EXITED")], "BROKEN", True),
    ],
)
def test_a_cluster_is_as_well_as_its_nodes(
    nodes: list[Row], status: str, ready: bool | None
) -> None:
    """Ready once all nodes are; one that died makes the whole of no use, and hides no other's door."""
    pod = do(Api(cluster(), nodes=nodes), lambda cloud: cloud.get("c1"))
    assert pod is not None
    assert (status, ready is True) == (pod.status, pod.ready)
    assert (ready is not None) == (pod.ssh == Endpoint(host="10.0.0.1", port=3000))


def test_a_node_that_vanished_is_missed() -> None:
    """Fewer nodes than before, or than a cluster of that age has, are a loss once that was no chance."""

    def statuses(api: Api, *looks: list[Row]) -> list[str]:
        seen: list[str] = []

        async def body() -> None:
            cloud = ClusterCloud(api.single)
            for nodes in looks:
                api.nodes = nodes
                pod = await cloud.get("c1")
                seen.append("" if pod is None else pod.status)
                await api.clock.sleep(6.0)

        run_virtual(body(), api.clock.monotonic())
        return seen

    short, whole = [node(0)], [node(0), node(1)]
    old = Api(cluster(createdAt="2020-01-01T00:00:00Z"))
    lost = ["PROVISIONING", "PROVISIONING", "BROKEN"]
    assert lost == statuses(old, short, short, short)
    assert ["RUNNING", *lost] == statuses(Api(cluster()), whole, short, short, short)
    chance = statuses(Api(cluster()), whole, short, short, whole, short, short)
    assert "BROKEN" not in chance
    unranked = [node(0), node(None)]
    assert "BROKEN" not in statuses(old, unranked, unranked, unranked, unranked)


def test_nodes_that_outlive_their_cluster_are_what_is_left_of_it() -> None:
    """Its end is confirmed when none is listed any more; until then it is there, and told whose it is."""
    api = Api(nodes=[node(None, name="rd-a-1"), node(1, "c2", status="TERMINATED")])

    async def look(cloud: ClusterCloud) -> Any:
        await cloud.delete("c1")
        asked = api.asked[-1]
        listed, seen = await cloud.pods(), await cloud.get("c1")
        api.nodes = []
        return asked, listed, seen, await cloud.get("c1"), await cloud.get("c2")

    asked, listed, seen, *gone = do(api, look)
    assert "DELETE /v2/pods/c1nNone" == asked
    assert seen == listed[0]
    assert ["c1"] == [one.id for one in listed]
    assert ("BROKEN", 4.0, {"MARK": "m"}) == (seen.status, seen.cost, seen.raw["env"])
    assert [None, None] == gone
    assert ["rd-a"] == [one.name for one in do(Api(nodes=[node(1)]), lambda cloud: cloud.pods())]


def test_any_node_tells_whose_a_cluster_is_and_what_it_costs() -> None:
    """A rank that is not told, or a price, hides neither the mark nor what the whole will cost."""
    row = node(None)
    pod = do(Api(cluster(), nodes=[row, node(1, cost=None, env={})]), lambda one: one.get("c1"))
    assert pod is not None
    assert ({"MARK": "m"}, 8.0) == (pod.raw["env"], pod.cost)


def test_gone_is_what_the_api_no_longer_knows() -> None:
    """A cluster that is deleted is found no more; deleting it again succeeds."""

    async def ends(cloud: ClusterCloud) -> Any:
        found = [pod.id for pod in await cloud.find("rd-a")]
        await cloud.delete("c1")
        await cloud.delete("c1")
        return found, await cloud.get("c1"), await cloud.pods()

    assert (["c1"], None, []) == do(Api(cluster()), ends)


def test_a_cluster_cannot_be_stopped() -> None:
    """Nothing is asked of the API for what it cannot do."""
    api = Api(cluster())
    with pytest.raises(RunpodDeployError):
        do(api, lambda cloud: cloud.act("c1", "stop"))
    with pytest.raises(RunpodDeployError):
        do(api, lambda cloud: cloud.set_env("c1", {}))
    assert [] == api.asked


def test_ending_a_cluster_by_a_stop_is_given_up_at_once() -> None:
    """What can never be is not asked for again and again."""
    api = Api(cluster())
    whole = WholeAccount.over(api.single)
    problem = asyncio.run(end_pod(whole, api.clock, "c1", "stop"))
    assert problem is not None
    assert "can only be deleted" in problem
    assert {"c1"} == set(api.clusters)


def account(api: Api, call: Callable[[WholeAccount], Awaitable[T]]) -> T:
    """Run one call on the whole account."""

    async def body() -> T:
        return await call(WholeAccount.over(api.single))

    return asyncio.run(body())


def test_an_account_is_its_pods_and_its_clusters() -> None:
    """Both are listed, found by id, billed and deleted; nodes are none of their own."""
    alone = {**node(None), "id": "p1", "cluster": None}

    async def look(whole: WholeAccount) -> Any:
        listed = [pod.id for pod in await whole.pods()]
        seen = [await whole.get(id_) for id_ in ("p1", "c1", "none")]
        await whole.delete("c1")
        bills = await whole.billed("2026-01-01T00:00:00Z")
        return listed, [one and one.id for one in seen], len(bills)

    api = Api(cluster(), pods=[alone])
    assert (["p1", "c1"], ["p1", "c1", None], 2) == account(api, look)
    assert "DELETE /v2/clusters/c1" in api.asked
    assert "DELETE /v2/pods/c1" not in api.asked


def test_a_cluster_is_deleted_by_its_id_alone() -> None:
    """Nobody has to have listed it before."""
    api = Api(cluster())
    account(api, lambda whole: whole.delete("c1"))
    assert {} == api.clusters
    with pytest.raises(RunpodDeployError):
        account(Api(cluster()), lambda whole: whole.act("c1", "stop"))


def test_a_key_that_may_not_see_clusters_sees_its_pods() -> None:
    """It lists and ends pods as ever; of what may be a cluster it concludes nothing."""
    alone = {**node(None), "id": "p1", "cluster": None}
    api = Api(pods=[alone])
    api.forbidden = True

    async def look(whole: WholeAccount) -> Any:
        listed = [pod.id for pod in await whole.pods()]
        assert whole.unseen is not None
        await whole.delete("p1")
        api.pods.clear()
        whole.standing_alone("p2", "rd-p2")
        ends = [await whole.get("p1"), await whole.get("p2"), *await whole.find("rd-p2")]
        for call in (whole.get("c1"), whole.delete("c1"), whole.find("rd-c")):
            with pytest.raises(AccountError):
                await call
        return listed, ends

    assert (["p1"], [None, None]) == account(api, look)
    assert "DELETE /v2/pods/p1" in api.asked

    async def ended(whole: WholeAccount) -> str | None:
        return await end_pod(whole, api.clock, "c1", "delete")

    assert "403" in (account(api, ended) or "")


def test_a_pod_is_ended_without_any_right_to_clusters() -> None:
    """Nobody has to have listed it before: it is seen before it is deleted."""
    alone = {**node(None), "id": "p1", "cluster": None}
    api = Api(pods=[alone])
    api.forbidden = True
    found = api._found

    def deleting(method: str, path: str, asked: Any) -> tuple[int, Any]:
        if method == "DELETE":
            api.pods.clear()
        return found(method, path, asked)

    api._found = deleting
    assert account(api, lambda whole: end_pod(whole, api.clock, "p1", "delete")) is None
    assert not [one for one in api.asked if "clusters" in one]
