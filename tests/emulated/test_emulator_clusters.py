"""Clusters of the emulated API over real HTTP; their pods are faked, so that only the API is tested."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator_harness import GPU, RunningCloud, cluster_body, running_cloud
from runpod_deploy.emulator.problems import NO_CAPACITY

pytestmark = pytest.mark.emulated


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningCloud]:
    """A cloud whose pods are ready at the first poll."""
    with running_cloud(tmp_path, ready_polls=0, capacity=8) as running:
        yield running


def create(served: RunningCloud, nodes: int = 2, **changes: Any) -> dict[str, Any]:
    """Create a cluster that must be accepted."""
    answer = served.http.post("/v2/clusters", json=cluster_body(nodes, **changes))
    assert 201 == answer.status_code, answer.text
    cluster: dict[str, Any] = answer.json()
    return cluster


def members(served: RunningCloud, cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """List the pods of a cluster."""
    pods: list[dict[str, Any]] = served.http.get(f"/v2/clusters/{cluster['id']}/pods").json()[
        "pods"
    ]
    return pods


def reachable(served: RunningCloud, cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """Poll until every pod of a cluster can be reached."""
    for _ in range(500):
        pods = members(served, cluster)
        if all(pod["ssh"]["direct"] for pod in pods):
            return pods
    raise AssertionError("the cluster never came up")


def test_nodes_of_a_cluster(served: RunningCloud) -> None:
    """Its pods share one data center, and each has its rank, an address, an SSH port of its own."""
    cluster = create(served, 3)
    pods = reachable(served, cluster)
    seen = served.http.get(f"/v2/clusters/{cluster['id']}").json()
    assert [0, 1, 2] == [pod["cluster"]["rank"] for pod in pods]
    assert {cluster["id"]} == {pod["cluster"]["id"] for pod in pods}
    assert 3 == len({pod["cluster"]["ip"] for pod in pods})
    assert 3 == len({pod["ssh"]["direct"]["port"] for pod in pods})
    assert {seen["dataCenterId"]} == {pod["dataCenterId"] for pod in pods}
    assert {"total": 3, "byStatus": {"RUNNING": 3}} == seen["pods"]
    assert pods[0]["id"] == seen["primary"]["podId"]
    assert f"127.0.0.1:{pods[0]['ssh']['direct']['port']}" == seen["primary"]["sshEndpoint"]
    assert all("role" not in pod["cluster"] for pod in pods)


def test_environment_of_the_nodes(served: RunningCloud) -> None:
    """Each node's first process has the variables that RunPod documents, and the request's own."""
    compute = {"gpuTypeId": GPU, "gpuCountPerPod": 2, "podCount": 2}
    cluster = create(served, compute=compute, env={"MINE": "1"})
    ips = [pod["cluster"]["ip"] for pod in reachable(served, cluster)]
    envs = sorted((spec.env for spec in served.host.specs), key=lambda env: env["NODE_RANK"])
    assert ["0", "1"] == [env["NODE_RANK"] for env in envs]
    assert ips == [env["NODE_ADDR"] for env in envs]
    for env in envs:
        assert (ips[0], ips[0]) == (env["MASTER_ADDR"], env["PRIMARY_ADDR"])
        assert env["MASTER_PORT"] == env["PRIMARY_PORT"]
        assert f"{ips[0]}:{env['MASTER_PORT']}" == env["HOST_NODE_ADDR"]
        assert ("2", "2", "4") == (env["NUM_NODES"], env["NUM_TRAINERS"], env["WORLD_SIZE"])
        assert "1" == env["MINE"]


@pytest.mark.parametrize(
    ("kind", "roles"),
    [("RAY", ["RAY_HEAD", "RAY_WORKER"]), ("SLURM", ["SLURM_CONTROLLER", "SLURM_COMPUTE"])],
)
def test_roles(served: RunningCloud, kind: str, roles: list[str]) -> None:
    """The first node of an engine's cluster leads, the others follow."""
    assert roles == [pod["cluster"]["role"] for pod in members(served, create(served, type=kind))]


def test_members_are_their_clusters(served: RunningCloud) -> None:
    """Members are hidden from the list of pods and cannot be changed or ended by themselves."""
    cluster = create(served)
    pod = members(served, cluster)[0]["id"]
    assert [] == served.http.get("/v2/pods").json()["pods"]
    with_members = served.http.get("/v2/pods", params={"includeClusterPods": "true"}).json()
    assert 2 == len(with_members["pods"])
    assert 200 == served.http.get(f"/v2/pods/{pod}").status_code
    refused = [
        served.http.delete(f"/v2/pods/{pod}"),
        served.http.patch(f"/v2/pods/{pod}", json={"name": "x"}),
        served.http.post(f"/v2/pods/{pod}/action", json={"action": "stop"}),
    ]
    assert [409, 409, 409] == [answer.status_code for answer in refused]
    assert cluster["id"] in refused[0].json()["detail"]


def test_delete(served: RunningCloud) -> None:
    """A deleted cluster is gone with all its pods, and its GPUs are free again."""
    cluster = create(served, 8)
    assert 204 == served.http.delete(f"/v2/clusters/{cluster['id']}").status_code
    assert 404 == served.http.get(f"/v2/clusters/{cluster['id']}").status_code
    assert 404 == served.http.delete(f"/v2/clusters/{cluster['id']}").status_code
    everything = served.http.get("/v2/pods", params={"includeClusterPods": "true"}).json()
    assert [] == everything["pods"]
    assert {"deleted"} == {
        pod["ended_by"] for pod in served.http.get("/_emulator/history").json()["pods"]
    }


def test_all_or_nothing(served: RunningCloud) -> None:
    """A cluster for which no data center has room is refused as a whole."""
    answer = served.http.post("/v2/clusters", json=cluster_body(9))
    assert (400, NO_CAPACITY) == (answer.status_code, answer.json()["detail"])
    assert [] == served.http.get("/v2/clusters").json()["clusters"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"registry": "r"}, 422),
        ({"templateId": "t"}, 422),
        ({"cloud": "SECURE"}, 422),
        ({"type": "MPI"}, 422),
        ({"image": None}, 422),
        ({"compute": {"gpuTypeId": GPU, "gpuCountPerPod": 1, "podCount": 1}}, 422),
        ({"compute": {"gpuTypeId": "None", "gpuCountPerPod": 1, "podCount": 2}}, 400),
        ({"dataCenterIds": ["XX-1"]}, 400),
    ],
)
def test_refused(served: RunningCloud, changes: dict[str, Any], status: int) -> None:
    """What a create call may not say of a cluster is refused."""
    body = {k: v for k, v in cluster_body(**changes).items() if v is not None}
    assert status == served.http.post("/v2/clusters", json=body).status_code


def test_faults_of_pods_hold_for_clusters(served: RunningCloud) -> None:
    """A lost create leaves a cluster; a delete may fail or lie."""
    faults = ["create-5xx-after:name=rd-test", "delete-fails", "delete-lies"]
    served.http.post("/_emulator/faults", json={"faults": faults})
    assert 500 == served.http.post("/v2/clusters", json=cluster_body()).status_code
    (cluster,) = served.http.get("/v2/clusters").json()["clusters"]
    statuses = [served.http.delete(f"/v2/clusters/{cluster['id']}").status_code for _ in range(4)]
    assert [500, 204, 204, 404] == statuses


def test_lost_node(served: RunningCloud) -> None:
    """A node that dies stays in its cluster as EXITED; one that vanishes leaves it."""
    cluster = create(served, 3)
    pods = reachable(served, cluster)
    served.http.post(f"/_emulator/pods/{pods[1]['id']}/kill", params={"then": "exited"})
    served.http.post(f"/_emulator/pods/{pods[2]['id']}/kill", params={"then": "gone"})
    seen = served.http.get(f"/v2/clusters/{cluster['id']}").json()
    assert {"total": 2, "byStatus": {"RUNNING": 1, "EXITED": 1}} == seen["pods"]


def test_bill_of_a_cluster(served: RunningCloud) -> None:
    """A cluster's bill is the sum of its pods', and is told under clusters only."""
    cluster = create(served)
    served.http.delete(f"/v2/clusters/{cluster['id']}")
    history = served.http.get("/_emulator/history").json()["pods"]
    told = served.http.get("/v2/billing/clusters").json()
    assert [cluster["id"]] == [record["clusterId"] for record in told["records"]]
    spent = sum(pod["spent_usd"] for pod in history)
    assert pytest.approx(spent) == told["metadata"]["totals"]["totalAmount"]
    assert [] == served.http.get("/v2/billing/pods").json()["records"]
    whole = served.http.get("/v2/billing").json()["metadata"]["totals"]
    assert pytest.approx(spent) == whole["clusterGpuAmount"] + whole["clusterDiskAmount"]


def test_key_of_a_node(served: RunningCloud) -> None:
    """A node's own key reads its pod and deletes its cluster, and no other."""
    mine, other = create(served), create(served)
    pod = members(served, mine)[0]["id"]
    key = served.cloud.fleet.tenants[pod].pod.api_key
    served.http.headers["Authorization"] = f"Bearer {key}"
    assert 200 == served.http.get(f"/v2/pods/{pod}").status_code
    assert 403 == served.http.delete(f"/v2/clusters/{other['id']}").status_code
    assert 204 == served.http.delete(f"/v2/clusters/{mine['id']}").status_code
