"""The request bodies that the emulator accepts, property by property."""

from typing import Any

_CUDA_VERSION = {"type": "string", "pattern": r"^\d+\.\d+$"}
_NAME = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}
_VOLUME_SIZE = {"type": "integer", "minimum": 10, "maximum": 4096}
_SSH_KEY = r"^(ssh|ecdsa|sk)-[^\s]+ [^\s]+([ \t][^\n\r]*)?$"


def _closed(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
        **more,
    }


_PERSISTENT = _closed(
    {"size": {"type": "integer", "minimum": 10}, "path": {"type": "string"}}, "size", "path"
)
_NETWORK = _closed({"volumeId": {"type": "string"}, "path": {"type": "string"}}, "volumeId", "path")
_MOUNTS = _closed(
    {
        "persistent": _PERSISTENT,
        "network": {"type": "array", "maxItems": 1, "items": _NETWORK},
    }
)
_CONTAINER: dict[str, Any] = {
    "args": {"type": "string"},
    "disk": {"type": "integer", "minimum": 1},
    "env": {"type": "object", "additionalProperties": {"type": "string"}},
    "image": {"type": "string"},
    "ports": {"type": "array", "items": {"type": "string"}},
    "registry": {"type": ["string", "null"]},
}
_GPU = _closed(
    {
        "id": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "allowedCudaVersions": {"type": "array", "items": _CUDA_VERSION},
        "minCudaVersion": _CUDA_VERSION,
    },
    "id",
)
_CPU = _closed({"id": _NAME, "vcpuCount": {"type": "integer", "minimum": 2}}, "id", "vcpuCount")

CREATE_POD = _closed(
    {
        **_CONTAINER,
        "name": _NAME,
        "cloud": {"type": "string", "enum": ["SECURE", "COMMUNITY"]},
        "cpu": _CPU,
        "dataCenterIds": {"type": "array", "items": {"type": "string"}},
        "globalNetworking": _FLAG,
        "gpu": _GPU,
        "mounts": _MOUNTS,
        "startJupyter": _FLAG,
        "startSsh": _FLAG,
        "templateId": _NAME,
    },
    "name",
)
CREATE_POD_WITHOUT_TEMPLATE = {**CREATE_POD, "required": ["name", "image"]}

UPDATE_POD = _closed(
    {
        **_CONTAINER,
        "globalNetworking": _FLAG,
        "locked": _FLAG,
        "mounts": _MOUNTS,
        "name": _NAME,
        "templateId": {"type": "string"},
    }
)
POD_ACTION = _closed(
    {"action": {"type": "string", "enum": ["start", "stop", "restart", "terminate"]}}, "action"
)
CREATE_CLUSTER = _closed(
    {
        **{name: shape for name, shape in _CONTAINER.items() if name != "registry"},
        "compute": _closed(
            {
                "gpuCountPerPod": {"type": "integer", "minimum": 1},
                "gpuTypeId": _NAME,
                "podCount": {"type": "integer", "minimum": 2, "maximum": 250},
            },
            "gpuTypeId",
            "gpuCountPerPod",
            "podCount",
        ),
        "dataCenterIds": {"type": "array", "items": {"type": "string"}},
        "mounts": _MOUNTS,
        "name": _NAME,
        "startJupyter": _FLAG,
        "startSsh": _FLAG,
        "type": {"type": "string", "enum": ["APPLICATION", "TRAINING", "SLURM", "RAY"]},
    },
    "name",
    "type",
    "compute",
)
UPDATE_CLUSTER = _closed({"name": _NAME}, minProperties=1)
CREATE_VOLUME = _closed(
    {
        "dataCenter": _NAME,
        "name": _NAME,
        "size": _VOLUME_SIZE,
        "type": {"type": "string", "enum": ["STANDARD", "HIGH_PERFORMANCE"]},
    },
    "name",
    "size",
    "dataCenter",
)
UPDATE_VOLUME = _closed({"name": _NAME, "size": _VOLUME_SIZE}, minProperties=1)
CREATE_REGISTRY = _closed(
    {"name": _NAME, "password": _NAME, "username": _NAME}, "name", "username", "password"
)
UPDATE_SSH_KEYS = _closed(
    {"keys": {"type": "array", "items": {"type": "string", "pattern": _SSH_KEY}}}, "keys"
)
UPDATE_TEMPLATE = _closed(
    {
        **_CONTAINER,
        "allowedCudaVersions": {"type": "array", "items": _CUDA_VERSION},
        "category": {"type": "string", "enum": ["CPU", "NVIDIA", "AMD"]},
        "mounts": _closed({"persistent": _PERSISTENT}),
        "name": _NAME,
        "public": _FLAG,
        "serverless": _FLAG,
        "startJupyter": _FLAG,
        "startSsh": _FLAG,
    }
)
CREATE_TEMPLATE = {**UPDATE_TEMPLATE, "required": ["name", "image"]}
