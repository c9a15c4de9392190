"""Answers of the API in our words; unknown fields are ignored, missing ones become unknown."""

import re
from collections.abc import Mapping
from typing import Any, cast

from runpod_deploy.errors import CloudError
from runpod_deploy.executor.ports import Endpoint, GpuOffer, Pod, PodStatus, Volume

_STATUSES = frozenset({"PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED"})
_IN_STOCK = frozenset({"LOW", "MEDIUM", "HIGH"})

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
    gpu = _object(row.get("gpu"))
    status = row.get("status")
    return Pod(
        id=row["id"],
        name=_text(row.get("name")) or "",
        status=cast("PodStatus", status) if status in _STATUSES else "UNKNOWN",
        gpu=_matching(_GPU, gpu.get("id")),
        gpu_count=_whole(gpu.get("count")),
        cloud=_text(row.get("cloud")),
        datacenter=_matching(_ID, row.get("dataCenterId")),
        cost=_price(row.get("cost")),
        image=_text(row.get("image")),
        ssh=_endpoint(_object(row.get("ssh")).get("direct")),
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
    )


def offer_from(row: Any) -> GpuOffer | None:
    """Return the catalog row that a JSON value describes, None when it is not one."""
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return None
    price = _object(row.get("price"))
    centers = row.get("dataCenters")
    stock = {}
    for center in centers if isinstance(centers, list) else []:
        level = str(_object(center).get("availability")).upper()
        name = _text(_object(center).get("id"))
        if name and level in _IN_STOCK:
            stock[name] = level
    return GpuOffer(
        id=row["id"],
        memory_gb=_whole(row.get("memory")) or 0,
        secure_price=_price(price.get("secure")),
        community_price=_price(price.get("community")),
        stock=stock,
    )


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


def _price(value: object) -> float | None:
    """Return a rate; the API writes 0 or null where it knows none."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(cast("float", value)) if known else None
