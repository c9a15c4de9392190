"""What a create call asks for, once its body has the right shape and its template is applied."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runpod_deploy.emulator.catalog import Cloud
from runpod_deploy.emulator.problems import BAD_IMAGE, Problem, invalid, not_found
from runpod_deploy.emulator.request_schemas import CREATE_POD, CREATE_POD_WITHOUT_TEMPLATE
from runpod_deploy.emulator.shape import violations

DEFAULT_DISK_GB = 50
DEFAULT_CPU_DISK_GB = 20

_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[a-f0-9]{64})?"
)
_FROM_TEMPLATE = ("image", "args", "disk", "ports", "registry", "startSsh", "startJupyter")


@dataclass(frozen=True, kw_only=True, slots=True)
class PodRequest:
    """A create call with its defaults filled in; disk in GB, mounts as in the API."""

    name: str
    image: str
    args: str
    disk: int
    env: Mapping[str, str]
    ports: tuple[str, ...]
    registry: str | None
    mounts: Mapping[str, Any]
    cloud: Cloud
    datacenters: tuple[str, ...]
    gpu_id: str | None
    gpu_count: int
    allowed_cuda: tuple[str, ...]
    min_cuda: str | None
    cpu_id: str | None
    vcpu_count: int
    global_networking: bool
    start_ssh: bool
    start_jupyter: bool

    def context(self, datacenter: str | None = None) -> dict[str, str]:
        """Give what faults may match on; a data center only where just one is meant."""
        known = {"name": self.name, "cloud": self.cloud, "gpu": self.gpu_id}
        if datacenter is None and len(self.datacenters) == 1:
            datacenter = self.datacenters[0]
        known["datacenter"] = datacenter
        return {key: value for key, value in known.items() if value is not None}


def check_image(image: str) -> None:
    """Refuse what is no image reference.

    Raises:
        Problem: 422.
    """
    if not _IMAGE.fullmatch(image):
        raise invalid([], BAD_IMAGE)


def read_pod_request(body: object, templates: Mapping[str, dict[str, Any]]) -> PodRequest:
    """Check a create body's shape, apply its template and fill in defaults.

    Raises:
        Problem: 422 for a wrong shape or image, 404 for a template that does not exist.
    """
    from_template = isinstance(body, dict) and "templateId" in body
    errors = violations(body, CREATE_POD if from_template else CREATE_POD_WITHOUT_TEMPLATE)
    if errors or not isinstance(body, dict):
        raise invalid(errors)
    merged = _with_template(body, templates) if from_template else body
    check_image(merged["image"])
    gpu, cpu = merged.get("gpu") or {}, merged.get("cpu") or {}
    return PodRequest(
        name=merged["name"],
        image=merged["image"],
        args=merged.get("args", ""),
        disk=int(merged.get("disk", DEFAULT_CPU_DISK_GB if cpu else DEFAULT_DISK_GB)),
        env=dict(merged.get("env", {})),
        ports=tuple(merged.get("ports", ())),
        registry=merged.get("registry"),
        mounts=merged.get("mounts", {}),
        cloud=merged.get("cloud", "SECURE"),
        datacenters=tuple(merged.get("dataCenterIds", ())),
        gpu_id=gpu.get("id"),
        gpu_count=int(gpu.get("count", 1)) if gpu else 0,
        allowed_cuda=tuple(gpu.get("allowedCudaVersions", ())),
        min_cuda=gpu.get("minCudaVersion"),
        cpu_id=cpu.get("id"),
        vcpu_count=int(cpu.get("vcpuCount", 0)),
        global_networking=merged.get("globalNetworking", False),
        start_ssh=merged.get("startSsh", False),
        start_jupyter=merged.get("startJupyter", False),
    )


def pod_template(template_id: str, templates: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Find a template that pods can be made from.

    Raises:
        Problem: 404 when there is none, 422 when it is for serverless.
    """
    template = templates.get(template_id)
    if template is None:
        raise not_found(f'Template "{template_id}" not found')
    if template["serverless"]:
        raise Problem(422, f'Template "{template_id}" is a serverless template')
    return template


def _with_template(body: dict[str, Any], templates: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    template = pod_template(body["templateId"], templates)
    merged = {key: template[key] for key in _FROM_TEMPLATE} | body
    merged["env"] = {**template["env"], **body.get("env", {})}
    if "cpu" not in body and "mounts" not in body:
        merged["mounts"] = template["mounts"]
    gpu = body.get("gpu")
    if gpu and not {"allowedCudaVersions", "minCudaVersion"} & set(gpu):
        merged["gpu"] = {**gpu, "allowedCudaVersions": template["allowedCudaVersions"]}
    return merged
