"""What the emulated cloud rents: GPU types, CPU flavors and data centers.

The numbers are a snapshot of public prices. Where no price is known the specification still
wants a number: it is 0.0 and the cloud's flag is false. A ceiling per pod that is not known is
taken as 8 in a cloud that has a price.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Cloud = Literal["SECURE", "COMMUNITY"]
CLOUDS: tuple[Cloud, ...] = ("SECURE", "COMMUNITY")

DRIVERS: Mapping[str, str] = {
    "12.4": "550.127.05",
    "12.8": "570.124.06",
    "13.0": "580.82.07",
}
"""CUDA versions that hosts with NVIDIA GPUs offer, with the driver each of them runs."""

USUAL_CUDA = "12.8"
VCPU_RANGE = (2, 32)


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuType:
    """One row of the GPU catalog; memory in GB, prices in USD per GPU and hour."""

    id: str
    name: str
    pool: str | None
    manufacturer: str
    memory: int
    secure: bool
    community: bool
    price: Mapping[Cloud, float]
    max_count: Mapping[Cloud, int]

    def offered(self, cloud: Cloud) -> bool:
        """Say whether this cloud has the GPU at a known price."""
        return self.secure if cloud == "SECURE" else self.community

    def cuda_versions(self) -> tuple[str, ...]:
        """Give the CUDA versions of its hosts; none for GPUs that are not NVIDIA's."""
        return tuple(DRIVERS) if self.manufacturer == "NVIDIA" else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCenter:
    """One place with machines; `country` is an ISO 3166-1 alpha-2 code."""

    id: str
    region: str
    country: str
    global_network: bool
    volume_types: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuFlavor:
    """One row of the CPU catalog; price in USD per vCPU and hour."""

    id: str
    name: str
    group: str
    ram_gb_per_vcpu: int
    price: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """All three tables, each by id in a fixed order."""

    gpus: Mapping[str, GpuType]
    data_centers: Mapping[str, DataCenter]
    cpus: Mapping[str, CpuFlavor]


@cache
def load_catalog() -> Catalog:
    """Read the snapshot that ships with the package."""
    raw = json.loads(files("runpod_deploy.emulator").joinpath("catalog.json").read_text("utf-8"))
    return Catalog(
        gpus={row["id"]: _gpu(row) for row in raw["gpus"]},
        data_centers={row["id"]: _data_center(row) for row in raw["dataCenters"]},
        cpus={row["id"]: _cpu(row) for row in raw["cpus"]},
    )


def _gpu(row: Mapping[str, Any]) -> GpuType:
    return GpuType(
        id=row["id"],
        name=row["name"],
        pool=row["pool"],
        manufacturer=row["manufacturer"],
        memory=row["memory"],
        secure=row["secure"],
        community=row["community"],
        price={"SECURE": row["price"]["secure"], "COMMUNITY": row["price"]["community"]},
        max_count={"SECURE": row["maxCount"]["secure"], "COMMUNITY": row["maxCount"]["community"]},
    )


def _data_center(row: Mapping[str, Any]) -> DataCenter:
    return DataCenter(
        id=row["id"],
        region=row["region"],
        country=row["country"],
        global_network=row["globalNetwork"],
        volume_types=tuple(row["networkVolumeTypes"]),
    )


def _cpu(row: Mapping[str, Any]) -> CpuFlavor:
    return CpuFlavor(
        id=row["id"],
        name=row["name"],
        group=row["group"],
        ram_gb_per_vcpu=row["ramGbPerVcpu"],
        price=row["securePerVcpu"],
    )
