"""The bodies of the create calls; the API refuses any field that it does not know."""

from typing import Any

from runpod_deploy.errors import InternalError
from runpod_deploy.executor.ports import PodRequest


def create_body(request: PodRequest) -> dict[str, Any]:
    """Return the JSON body for `POST /v2/pods`.

    Raises:
        InternalError: The request asks for both kinds of mount, or for one without its path.
    """
    body: dict[str, Any] = {
        "name": request.name,
        **_machine(request),
        "cloud": request.cloud,
        "disk": request.container_disk_gb,
        "ports": list(request.ports),
        "env": dict(request.env),
        "startSsh": True,
    }
    optional = {
        "image": request.image,
        "templateId": request.template_id,
        "registry": request.registry_auth,
        "args": request.args,
        "mounts": _mounts(request),
        "dataCenterIds": None if request.datacenter is None else [request.datacenter],
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def cluster_body(request: PodRequest) -> dict[str, Any]:
    """Return the JSON body for `POST /v2/clusters`, which knows fewer wishes than that for a pod.

    Raises:
        InternalError: As `create_body`, or it asks for what no cluster can have.
    """
    if request.template_id or request.registry_auth or request.min_cuda:
        msg = "a cluster takes no template, registry credential or CUDA floor"
        raise InternalError(msg)
    body = create_body(request)
    del body["gpu"], body["cloud"]
    compute = {
        "gpuTypeId": request.gpu,
        "gpuCountPerPod": request.gpu_count,
        "podCount": request.nodes,
    }
    return {**body, "type": "TRAINING", "compute": compute}


def _machine(request: PodRequest) -> dict[str, Any]:
    if request.vcpus is not None:
        return {"cpu": {"id": request.gpu, "vcpuCount": request.vcpus}}
    gpu: dict[str, Any] = {"id": request.gpu, "count": request.gpu_count}
    if request.min_cuda is not None:
        gpu["minCudaVersion"] = request.min_cuda
    return {"gpu": gpu}


def _mounts(request: PodRequest) -> dict[str, Any] | None:
    if request.network_volume_id is None and request.persistent_gb is None:
        return None
    if request.network_volume_id is not None and request.persistent_gb is not None:
        msg = "a pod cannot have a network volume and a persistent disk"
        raise InternalError(msg)
    if not request.mount:
        msg = "a volume needs the path where it is mounted: the API has no default"
        raise InternalError(msg)
    if request.network_volume_id is not None:
        return {"network": [{"volumeId": request.network_volume_id, "path": request.mount}]}
    return {"persistent": {"size": request.persistent_gb, "path": request.mount}}
