"""Answers of the API in our words; unknown fields are ignored, missing ones become unknown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, cast

from runpod_deploy.errors import CloudError
from runpod_deploy.executor.ports import (
    Bill,
    Endpoint,
    GpuOffer,
    Pod,
    PodStatus,
    Registry,
    Template,
    Volume,
)

_STATUSES = frozenset({"PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED"})
_IN_STOCK = ("HIGH", "MEDIUM", "LOW")

# Ids go into command lines that people copy and into paths: what could mean more there is none.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_GPU = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._()+-]{0,98}[A-Za-z0-9.)+-])?")


def pod_from(row: Any) -> Pod | None:
    """Return the pod that a JSON value describes, None when it is not one: it has no id.

    Raises:
        CloudError: It has one that cannot be an id. A pod may be there, so it is not passed over.
    """
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
        return None
    if not _ID.fullmatch(row["id"]):
        raise CloudError(f"The API names a pod by something that is no id: {row['id'][:80]!r}.")
    gpu, cpu = _object(row.get("gpu")), _object(row.get("cpu"))
    status = row.get("status")
    return Pod(
        id=row["id"],
        name=_text(row.get("name")) or "",
        status=cast("PodStatus", status) if status in _STATUSES else "UNKNOWN",
        gpu=_matching(_GPU, cpu.get("id") if cpu else gpu.get("id")),
        gpu_count=0 if cpu else _whole(gpu.get("count")),
        cloud=_text(row.get("cloud")),
        datacenter=_matching(_ID, row.get("dataCenterId")),
        cost=_price(row.get("cost")),
        image=_text(row.get("image")),
        ssh=_endpoint(_object(row.get("ssh")).get("direct")),
        vcpus=_whole(cpu.get("vcpuCount")),
        raw=row,
        cluster_id=_matching(_ID, _object(row.get("cluster")).get("id")),
        rank=_whole(_object(row.get("cluster")).get("rank")),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterRow:
    """A cluster as the API describes it, without its nodes; `nodes` is how many it is to have."""

    id: str
    name: str
    nodes: int
    gpu: str | None
    gpu_count: int | None
    datacenter: str | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def cluster_from(row: Any) -> ClusterRow | None:
    """Return the cluster that a JSON value describes, None when it is not one: it has no id.

    Raises:
        CloudError: It has one that cannot be an id. A cluster may be there, so it is not passed over.
    """
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
        return None
    if not _ID.fullmatch(row["id"]):
        raise CloudError(f"The API names a cluster by something that is no id: {row['id'][:80]!r}.")
    compute = _object(row.get("compute"))
    return ClusterRow(
        id=row["id"],
        name=_text(row.get("name")) or "",
        nodes=_whole(compute.get("podCount")) or 0,
        gpu=_matching(_GPU, compute.get("gpuTypeId")),
        gpu_count=_whole(compute.get("gpuCountPerPod")),
        datacenter=_matching(_ID, row.get("dataCenterId")),
        raw=row,
    )


def volume_from(row: Any) -> Volume | None:
    """Return the network volume that a JSON value describes, None when it is not one."""
    if not isinstance(row, dict) or _matching(_ID, row.get("id")) is None:
        return None
    return Volume(
        id=row["id"],
        name=_text(row.get("name")) or "",
        datacenter=_matching(_ID, row.get("dataCenter")) or "",
        size_gb=_whole(row.get("size")) or 0,
        type=_text(row.get("type")),
    )


def template_from(row: Any) -> Template | None:
    """Return the template that a JSON value describes, None when it is not one."""
    if not isinstance(row, dict) or _matching(_ID, row.get("id")) is None:
        return None
    return Template(id=row["id"], name=_text(row.get("name")) or "", raw=row)


def registry_from(row: Any) -> Registry | None:
    """Return the registry credential that a JSON value describes, None when it is not one."""
    if not isinstance(row, dict) or _matching(_ID, row.get("id")) is None:
        return None
    return Registry(id=row["id"], name=_text(row.get("name")) or "")


def bill_from(row: Any) -> Bill | None:
    """Return the row of the bill that a JSON value describes, None when it is about no pod."""
    if not isinstance(row, dict) or _matching(_ID, row.get("podId")) is None:
        return None
    return Bill(
        pod_id=row["podId"],
        total_usd=_amount(row.get("totalAmount")),
        gpu_usd=_amount(row.get("gpuAmount")),
        disk_usd=_amount(row.get("diskAmount")),
    )


def cluster_bill_from(row: Any) -> Bill | None:
    """Return the row of the bill that a JSON value describes, None when it is about no cluster.

    What the network between the nodes costs is told with the compute.
    """
    if not isinstance(row, dict) or _matching(_ID, row.get("clusterId")) is None:
        return None
    return Bill(
        pod_id=row["clusterId"],
        total_usd=_amount(row.get("totalAmount")),
        gpu_usd=_amount(row.get("gpuAmount")) + _amount(row.get("networkingAmount")),
        disk_usd=_amount(row.get("diskAmount")),
    )


def offer_from(cloud: str, row: Any) -> GpuOffer | None:
    """Return the catalog row that a JSON value describes, its stock being that of `cloud`.

    None when it is not one: it has no id.
    """
    if not isinstance(row, dict) or _matching(_GPU, row.get("id")) is None:
        return None
    price, most = _object(row.get("price")), _object(row.get("maxCount"))
    counts = {name: _whole(most.get(name.lower())) for name in ("SECURE", "COMMUNITY")}
    return GpuOffer(
        id=row["id"],
        name=_text(row.get("name")) or "",
        memory_gb=_whole(row.get("memory")) or 0,
        secure_price=_price(price.get("secure")),
        community_price=_price(price.get("community")),
        stock=_stock(cloud, row),
        max_count={name: count for name, count in counts.items() if count is not None},
    )


def flavor_from(vcpus: int, row: Any) -> GpuOffer | None:
    """Return the row of the catalog of processors that a JSON value describes.

    Its price is for one vCPU, its memory that of a pod with `vcpus`. None when it is no such row, or
    a flavor that cannot be had with so many.
    """
    if not isinstance(row, dict) or _matching(_ID, row.get("id")) is None:
        return None
    sizes, memory = _object(row.get("vcpu")), row.get("ramGbPerVcpu")
    most, least = _whole(sizes.get("max")), _whole(sizes.get("min"))
    if (most is not None and vcpus > most) or (least is not None and vcpus < least):
        return None
    return GpuOffer(
        id=row["id"],
        name=_text(row.get("name")) or "",
        memory_gb=_whole(_amount(memory) * vcpus) or 0,
        secure_price=_price(_object(row.get("price")).get("securePerVcpu")),
        community_price=None,
        stock=_stock("SECURE", row),
    )


def merged_offers(answers: Sequence[Sequence[GpuOffer]]) -> list[GpuOffer]:
    """Return one row for each GPU, from answers that each tell the stock of another cloud."""
    merged: dict[str, GpuOffer] = {}
    for offer in chain.from_iterable(answers):
        known = merged.get(offer.id)
        merged[offer.id] = (
            offer if known is None else replace(offer, stock={**known.stock, **offer.stock})
        )
    return list(merged.values())


def _stock(cloud: str, row: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the stock of a row; a row that says nothing about it has none at all, not even NONE."""
    centers = row.get("dataCenters")
    levels = {}
    for center in centers if isinstance(centers, list) else []:
        level = (_text(_object(center).get("availability")) or "").upper()
        name = _matching(_ID, _object(center).get("id"))
        if name and level in _IN_STOCK:
            levels[name] = level
    overall = (_text(row.get("availability")) or "").upper()
    if overall in {"NONE", *_IN_STOCK}:
        levels[""] = overall
    elif isinstance(centers, list):
        levels[""] = next((one for one in _IN_STOCK if one in levels.values()), "NONE")
    return {cloud: levels} if levels else {}


def _endpoint(direct: object) -> Endpoint | None:
    fields = _object(direct)
    host, port = _text(fields.get("host")), _whole(fields.get("port"))
    if not host or port is None or not 0 < port < 65536:
        return None
    return Endpoint(host=host, port=port, username=_text(fields.get("username")) or "root")


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    """Return an id, None for what cannot be one: it is then as unknown as one that is missing."""
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _amount(value: object) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - NaN
    return float(cast("float", value)) if known else 0.0


def _price(value: object) -> float | None:
    """Return a rate; the API writes 0 or null where it knows none."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(cast("float", value)) if known else None
