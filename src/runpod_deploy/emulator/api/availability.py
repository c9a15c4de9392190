"""Stock in the catalog: which filters may stand together, and what they narrow."""

import re
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request

from runpod_deploy.emulator.api.exchange import choice, choices, whole_number, words_of
from runpod_deploy.emulator.catalog import Cloud, GpuType
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.problems import bad_request, invalid
from runpod_deploy.emulator.stock import best

_COUNTRY = re.compile(r"[A-Z]{2}")
_VERSION = re.compile(r"\d+\.\d+")
_FLOOR = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """What stock is asked for: pods of `count` GPUs in one cloud, narrowed by place and CUDA."""

    count: int
    cloud: Cloud
    countries: tuple[str, ...]
    cuda_versions: tuple[str, ...]
    min_cuda: str | None

    def admits_cuda(self, version: str) -> bool:
        """Say whether hosts with this CUDA version count."""
        if self.cuda_versions:
            return version in self.cuda_versions
        return self.min_cuda is None or _parts(version) >= _parts(self.min_cuda)


def gpu_filter(request: Request) -> Filter | None:
    """Read the filters of the GPU catalog; None when stock was not asked for.

    Raises:
        Problem: 400 where filters contradict each other, 422 where one is malformed.
    """
    products = choices(request, "product", ("POD", "CLUSTER", "SERVERLESS"))
    wanted = _wants_stock(request, products)
    count = whole_number(request, "count", 1)
    cloud = choice(request, "cloud", ("SECURE", "COMMUNITY"))
    countries = _matching(request, "countryCodes", _COUNTRY)
    versions = _matching(request, "cudaVersions", _VERSION)
    floor = request.query_params.get("minCudaVersion")
    if floor is not None and not _FLOOR.fullmatch(floor):
        raise _malformed("minCudaVersion", floor)
    narrowing = (count, cloud, countries or None, versions or None, floor)
    if not wanted:
        if any(item is not None for item in narrowing):
            raise bad_request("availability filters are valid only with include=AVAILABILITY")
        return None
    if versions and floor:
        raise bad_request("'cudaVersions' and 'minCudaVersion' are mutually exclusive")
    return Filter(
        count=count or 1,
        cloud=cast("Cloud", cloud or "SECURE"),
        countries=countries,
        cuda_versions=versions,
        min_cuda=floor,
    )


def cpu_filter(request: Request) -> bool:
    """Read the filters of the CPU catalog; says whether stock was asked for.

    Raises:
        Problem: 400 where filters contradict each other, 422 where one is malformed.
    """
    wanted = _wants_stock(request, choices(request, "product", ("POD", "SERVERLESS")))
    count = whole_number(request, "vcpuCount", 2)
    if count is not None and not wanted:
        raise bad_request("vcpuCount is valid only with include=AVAILABILITY")
    if count is not None and count & (count - 1):
        raise bad_request("vcpuCount must be a power of two")
    return wanted


def gpu_availability(cloud: EmulatedCloud, gpu: GpuType, wanted: Filter) -> dict[str, Any]:
    """Give the three keys that `include=AVAILABILITY` adds to a row of the GPU catalog."""
    versions = [version for version in gpu.cuda_versions() if wanted.admits_cuda(version)]
    narrowed = bool(wanted.cuda_versions or wanted.min_cuda)
    levels = {
        center.id: cloud.stock.level(gpu, center.id, wanted.cloud, wanted.count)
        for center in cloud.catalog.data_centers.values()
        if (not wanted.countries or center.country in wanted.countries)
        and (versions or not narrowed)
    }
    overall = best(list(levels.values()))
    result: dict[str, Any] = {"availability": overall}
    centers = [
        {"id": name, "name": name, "availability": level}
        for name, level in levels.items()
        if level != "NONE"
    ]
    if centers:
        result["dataCenters"] = centers
    if versions:
        result["cudaVersions"] = [
            {"version": version, "available": overall != "NONE"} for version in versions
        ]
    return result


def _wants_stock(request: Request, products: tuple[str, ...]) -> bool:
    wanted = bool(choices(request, "include", ("AVAILABILITY",)))
    if wanted and not products:
        raise bad_request("'product' is required with include=AVAILABILITY")
    if products and not wanted:
        raise bad_request("'product' is valid only with include=AVAILABILITY")
    return wanted


def _matching(request: Request, name: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    values = words_of(request, name)
    for value in values:
        if not pattern.fullmatch(value):
            raise _malformed(name, value)
    return values


def _malformed(name: str, value: str) -> Exception:
    return invalid([f"query.{name}: '{value}' is malformed"])


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
