"""`/v2/catalog`: GPU types, CPU flavors and data centers, with stock where it is asked for."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runpod_deploy.emulator.api.availability import (
    Filter,
    cpu_filter,
    gpu_availability,
    gpu_filter,
)
from runpod_deploy.emulator.api.exchange import answer, choices, cloud_of, flag
from runpod_deploy.emulator.catalog import CLOUDS, VCPU_RANGE, CpuFlavor, DataCenter, GpuType
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.problems import not_found
from runpod_deploy.emulator.stock import Level, best

REGIONS = (
    "NORTH_AMERICA",
    "SOUTH_AMERICA",
    "EUROPE",
    "ASIA",
    "MIDDLE_EAST",
    "AFRICA",
    "OCEANIA",
    "ANTARCTICA",
    "UNKNOWN",
)
COMPLIANCE = (
    "GDPR",
    "ISO_IEC_27001",
    "ISO_14001",
    "PCI_DSS",
    "HITRUST",
    "SOC_1_TYPE_2",
    "SOC_2_TYPE_2",
    "SOC_3_TYPE_2",
    "ITAR",
    "FISMA_HIGH",
    "HIPAA",
    "RENEWABLE",
)


async def list_gpus(request: Request) -> Response:
    """GET /v2/catalog/gpus."""
    cloud, wanted = cloud_of(request), gpu_filter(request)
    rows = [_gpu_row(cloud, gpu, wanted) for gpu in cloud.catalog.gpus.values()]
    if wanted is not None and wanted.countries:
        rows = [row for row in rows if "dataCenters" in row]
    return answer({"gpus": rows})


async def get_gpu(request: Request) -> Response:
    """GET /v2/catalog/gpus/{id}."""
    cloud, wanted = cloud_of(request), gpu_filter(request)
    gpu = cloud.catalog.gpus.get(request.path_params["id"])
    if gpu is None:
        raise not_found("GPU type not found")
    return answer(_gpu_row(cloud, gpu, wanted))


async def list_cpus(request: Request) -> Response:
    """GET /v2/catalog/cpus."""
    cloud, stock = cloud_of(request), cpu_filter(request)
    flavors = cloud.catalog.cpus.values()
    return answer({"cpus": [_cpu_row(cloud, flavor, stock=stock) for flavor in flavors]})


async def get_cpu(request: Request) -> Response:
    """GET /v2/catalog/cpus/{id}."""
    cloud, stock = cloud_of(request), cpu_filter(request)
    flavor = cloud.catalog.cpus.get(request.path_params["id"])
    if flavor is None:
        raise not_found("CPU flavor not found")
    return answer(_cpu_row(cloud, flavor, stock=stock))


async def list_datacenters(request: Request) -> Response:
    """GET /v2/catalog/datacenters."""
    cloud = cloud_of(request)
    regions = choices(request, "regions", REGIONS)
    volume_types = choices(request, "networkVolumeTypes", ("STANDARD", "HIGH_PERFORMANCE"))
    compliance = choices(request, "compliance", COMPLIANCE)
    global_network = flag(request, "globalNetwork")
    include = _include(request)
    chosen = [
        center
        for center in cloud.catalog.data_centers.values()
        if (not regions or center.region in regions)
        and set(volume_types) <= set(center.volume_types)
        and not compliance
        and global_network in {None, center.global_network}
    ]
    return answer({"dataCenters": [_center_row(cloud, center, include) for center in chosen]})


async def get_datacenter(request: Request) -> Response:
    """GET /v2/catalog/datacenters/{id}."""
    cloud, include = cloud_of(request), _include(request)
    center = cloud.catalog.data_centers.get(request.path_params["id"])
    if center is None:
        raise not_found("data center not found")
    return answer(_center_row(cloud, center, include))


def _include(request: Request) -> tuple[str, ...]:
    return choices(request, "include", ("GPU_AVAILABILITY", "CPU_AVAILABILITY"))


def _gpu_row(cloud: EmulatedCloud, gpu: GpuType, wanted: Filter | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": gpu.id,
        "name": gpu.name,
        "pool": gpu.pool,
        "manufacturer": gpu.manufacturer,
        "memory": gpu.memory,
        "secure": gpu.secure,
        "community": gpu.community,
        "price": {"secure": gpu.price["SECURE"], "community": gpu.price["COMMUNITY"]},
        "maxCount": {"secure": gpu.max_count["SECURE"], "community": gpu.max_count["COMMUNITY"]},
    }
    if wanted is not None:
        row |= gpu_availability(cloud, gpu, wanted)
    return row


def _cpu_row(cloud: EmulatedCloud, flavor: CpuFlavor, *, stock: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "group": flavor.group,
        "vcpu": {"min": VCPU_RANGE[0], "max": VCPU_RANGE[1]},
        "ramGbPerVcpu": flavor.ram_gb_per_vcpu,
        "price": {"securePerVcpu": flavor.price, "serverlessPerVcpu": 0.0},
    }
    if stock:
        centers = cloud.catalog.data_centers
        row["availability"] = "HIGH"
        row["dataCenters"] = [{"id": i, "name": i, "availability": "HIGH"} for i in centers]
    return row


def _center_row(cloud: EmulatedCloud, center: DataCenter, include: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": center.id,
        "name": center.id,
        "region": center.region,
        "globalNetwork": center.global_network,
        "networkVolumeTypes": list(center.volume_types),
        "compliance": [],
    }
    if "GPU_AVAILABILITY" in include:
        levels = [(gpu, _best_level(cloud, gpu, center)) for gpu in cloud.catalog.gpus.values()]
        row["gpuAvailability"] = [
            {"id": gpu.id, "name": gpu.name, "availability": level}
            for gpu, level in levels
            if level != "NONE"
        ]
    if "CPU_AVAILABILITY" in include:
        row["cpuAvailability"] = [
            {"id": flavor.id, "name": flavor.name, "availability": "HIGH"}
            for flavor in cloud.catalog.cpus.values()
        ]
    return row


def _best_level(cloud: EmulatedCloud, gpu: GpuType, center: DataCenter) -> Level:
    return best([cloud.stock.level(gpu, center.id, name, 1) for name in CLOUDS])
