"""`/v2/clusters`: create, read, rename, delete, and the pods of one."""

from starlette.requests import Request
from starlette.responses import Response

from runpod_deploy.emulator.api.exchange import (
    answer,
    checked_body,
    cloud_of,
    json_body,
    no_content,
)
from runpod_deploy.emulator.records import Cluster
from runpod_deploy.emulator.request_schemas import UPDATE_CLUSTER


async def list_clusters(request: Request) -> Response:
    """GET /v2/clusters, newest first."""
    clusters = cloud_of(request).clusters
    return answer({"clusters": [clusters.document(one) for one in clusters.all()]})


async def create_cluster(request: Request) -> Response:
    """POST /v2/clusters."""
    clusters = cloud_of(request).clusters
    cluster = await clusters.create(await json_body(request))
    return answer(clusters.document(cluster), 201)


async def get_cluster(request: Request) -> Response:
    """GET /v2/clusters/{id}."""
    return answer(cloud_of(request).clusters.document(_cluster(request)))


async def patch_cluster(request: Request) -> Response:
    """PATCH /v2/clusters/{id}."""
    cluster = _cluster(request)
    body = await checked_body(request, UPDATE_CLUSTER)
    cluster.name = body["name"]
    return answer(cloud_of(request).clusters.document(cluster))


async def delete_cluster(request: Request) -> Response:
    """DELETE /v2/clusters/{id}."""
    await cloud_of(request).clusters.delete(_cluster(request))
    return no_content()


async def list_cluster_pods(request: Request) -> Response:
    """GET /v2/clusters/{id}/pods, by rank."""
    cloud = cloud_of(request)
    members = cloud.clusters.members(_cluster(request))
    return answer({"pods": [cloud.fleet.document(tenant, polled=True) for tenant in members]})


def _cluster(request: Request) -> Cluster:
    return cloud_of(request).clusters.find(request.path_params["id"])
