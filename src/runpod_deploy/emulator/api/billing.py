"""`/v2/billing`, its `/pods` and its `/clusters`, on the billing clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from runpod_deploy.emulator.api.exchange import answer, choice, cloud_of, moment, whole_number
from runpod_deploy.emulator.billing import (
    BUCKET_SIZES,
    BucketSize,
    Meter,
    bucket_start,
    buckets,
    next_bucket,
)
from runpod_deploy.emulator.clock import rfc3339
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.problems import bad_request

DEFAULT_WINDOW_SECONDS = 30 * 86_400
MOST_BUCKETS = 10_000
_BUCKET_SECONDS = {"hour": 3_600, "day": 86_400, "week": 604_800, "month": 2.5e6, "year": 3.1e7}

_NOT_EMULATED = (
    "serverlessGpuAmount",
    "serverlessCpuAmount",
    "serverlessDiskAmount",
    "serverlessFeeAmount",
    "endpointAmount",
    "clusterNetworkingAmount",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The resolved query: POSIX seconds, widened to whole buckets, and when "now" is."""

    start: float
    end: float
    size: BucketSize
    now: float

    def spent_in(self, meters: Sequence[Meter]) -> Iterable[tuple[float, float]]:
        """Give the buckets in which any of these meters ran."""
        runs = [(s.start, s.end or self.now) for meter in meters for s in meter.segments]
        first = max(self.start, min((start for start, _ in runs), default=self.end))
        last = min(self.end, max((end for _, end in runs), default=self.start))
        return buckets(first, last, self.size) if first <= last and runs else ()

    def document(self) -> dict[str, Any]:
        """Give the query as the metadata echo it."""
        return {
            "startTime": rfc3339(self.start),
            "endTime": rfc3339(self.end),
            "bucketSize": self.size,
        }


async def pod_billing(request: Request) -> Response:
    """GET /v2/billing/pods: one record per pod and bucket."""
    cloud, window = cloud_of(request), _window(request)
    pod_id = request.query_params.get("podId")
    records = []
    for pod in cloud.fleet.history.values():
        if pod_id in {None, pod.id} and not pod.cluster_id:
            for start, end in window.spent_in([pod.meter]):
                amounts = _pod_amounts(pod.meter, start, end, window.now)
                records.append(_record(start, end, {"podId": pod.id, **amounts}))
    keys = ("totalAmount", "gpuAmount", "cpuAmount", "diskAmount")
    metadata = {
        "query": {**window.document(), "podId": pod_id},
        "recordCount": len(records),
        "uniquePodCount": len({record["podId"] for record in records}),
        "totals": _totals(records, keys),
    }
    return answer({"records": records, "metadata": metadata})


async def cluster_billing(request: Request) -> Response:
    """GET /v2/billing/clusters: one record per cluster and bucket, over its pods."""
    cloud, window = cloud_of(request), _window(request)
    asked = request.query_params.get("clusterId")
    meters: dict[str, list[Meter]] = {}
    for pod in cloud.fleet.history.values():
        if pod.cluster_id and asked in {None, pod.cluster_id}:
            meters.setdefault(pod.cluster_id, []).append(pod.meter)
    records = [
        _record(start, end, {"clusterId": id_, **_cluster_amounts(those, start, end, window.now)})
        for id_, those in meters.items()
        for start, end in window.spent_in(those)
    ]
    metadata = {
        "query": {**window.document(), "clusterId": asked},
        "recordCount": len(records),
        "uniqueClusterCount": len({record["clusterId"] for record in records}),
        "totals": _totals(records, tuple(_cluster_amounts([], 0, 0, 0))),
    }
    return answer({"records": records, "metadata": metadata})


async def total_billing(request: Request) -> Response:
    """GET /v2/billing: one record per bucket over pods and network volumes."""
    cloud, window = cloud_of(request), _window(request)
    meters = [pod.meter for pod in cloud.fleet.history.values()]
    meters += [volume.meter for volume in cloud.store.account.volumes.values()]
    records = [
        _record(start, end, _all_amounts(cloud, start, end, window.now))
        for start, end in window.spent_in(meters)
    ]
    metadata = {
        "query": window.document(),
        "recordCount": len(records),
        "totals": _totals(records, tuple(_all_amounts(cloud, 0, 0, 0))),
    }
    return answer({"records": records, "metadata": metadata})


def _window(request: Request) -> Window:
    now = cloud_of(request).clock.now()
    size = cast("BucketSize", choice(request, "bucketSize", BUCKET_SIZES) or "day")
    start, end = moment(request, "startTime"), moment(request, "endTime")
    last = whole_number(request, "lastN", 1)
    if last is not None and (start is not None or end is not None):
        raise bad_request("'lastN' and 'startTime'/'endTime' are mutually exclusive")
    if last is not None:
        end = now
        start = _buckets_back(now, size, last)
    end = now if end is None else end
    start = end - DEFAULT_WINDOW_SECONDS if start is None else start
    if start > end:
        raise bad_request("'startTime' must not be after 'endTime'")
    if (end - start) / _BUCKET_SECONDS[size] > MOST_BUCKETS:
        raise bad_request(f"more than {MOST_BUCKETS} buckets of one {size}")
    opening = bucket_start(start, size)
    closing = bucket_start(end, size)
    if closing.timestamp() < end or closing == opening:
        closing = next_bucket(closing, size)
    return Window(start=opening.timestamp(), end=closing.timestamp(), size=size, now=now)


def _buckets_back(now: float, size: BucketSize, count: int) -> float:
    if count > MOST_BUCKETS or count * _BUCKET_SECONDS[size] > now:
        raise bad_request(f"'lastN' reaches back too far for buckets of one {size}")
    start = bucket_start(now, size).timestamp()
    for _ in range(count - 1):
        start = bucket_start(start - 1, size).timestamp()
    return start


def _pod_amounts(meter: Meter, start: float, end: float, now: float) -> dict[str, float]:
    spent = meter.between(start, end, now)
    return {
        "totalAmount": spent.gpu + spent.cpu + spent.disk,
        "gpuAmount": spent.gpu,
        "cpuAmount": spent.cpu,
        "diskAmount": spent.disk,
    }


def _cluster_amounts(
    meters: Sequence[Meter], start: float, end: float, now: float
) -> dict[str, float]:
    spent = [meter.between(start, end, now) for meter in meters]
    gpu, disk = sum(one.gpu for one in spent), sum(one.disk for one in spent)
    # What the network between nodes costs is not known: here it is free.
    return {
        "totalAmount": float(gpu + disk),
        "gpuAmount": float(gpu),
        "diskAmount": float(disk),
        "networkingAmount": 0.0,
    }


def _all_amounts(cloud: EmulatedCloud, start: float, end: float, now: float) -> dict[str, float]:
    history = cloud.fleet.history.values()
    pods = [pod.meter.between(start, end, now) for pod in history if not pod.cluster_id]
    nodes = [pod.meter for pod in history if pod.cluster_id]
    clusters = _cluster_amounts(nodes, start, end, now)
    storage = {"STANDARD": 0.0, "HIGH_PERFORMANCE": 0.0}
    for volume in cloud.store.account.volumes.values():
        storage[volume.type] += volume.meter.between(start, end, now).disk
    amounts = {
        "podGpuAmount": sum(spent.gpu for spent in pods),
        "podCpuAmount": sum(spent.cpu for spent in pods),
        "podDiskAmount": sum(spent.disk for spent in pods),
        "clusterGpuAmount": clusters["gpuAmount"],
        "clusterDiskAmount": clusters["diskAmount"],
        "storageStandardAmount": storage["STANDARD"],
        "storageHighPerformanceAmount": storage["HIGH_PERFORMANCE"],
        **dict.fromkeys(_NOT_EMULATED, 0.0),
    }
    return {"totalAmount": sum(amounts.values()), **amounts}


def _record(start: float, end: float, fields: dict[str, Any]) -> dict[str, Any]:
    return {"startTime": rfc3339(start), "endTime": rfc3339(end), **fields}


def _totals(records: list[dict[str, Any]], keys: Sequence[str]) -> dict[str, float]:
    return {key: sum((record[key] for record in records), 0.0) for key in keys}
