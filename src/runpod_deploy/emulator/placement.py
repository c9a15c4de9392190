"""Which machine a create call gets: the rules first, then the balance, then the stock."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runpod_deploy.emulator.catalog import USUAL_CUDA, VCPU_RANGE, Catalog, DataCenter, GpuType
from runpod_deploy.emulator.faults import FaultBoard
from runpod_deploy.emulator.pod_request import PodRequest
from runpod_deploy.emulator.problems import NO_BALANCE, NO_CAPACITY, Problem, bad_request
from runpod_deploy.emulator.records import Account, Volume
from runpod_deploy.emulator.stock import Stock

_PORT = re.compile(r"\d{1,5}/(?:tcp|http)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a pod goes and what its compute costs, USD per hour for this pod."""

    datacenter: str
    cuda: str | None
    price: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Placer:
    """Decides about create calls from what is for rent, what is owned and what is to fail."""

    catalog: Catalog
    account: Account
    stock: Stock
    board: FaultBoard

    def place(self, request: PodRequest, pods: int = 1) -> Placement:
        """Find the place for a pod, or for as many of one shape, all in one data center.

        Raises:
            Problem: 400 for a broken rule, then 402, then 400 for want of capacity.
        """
        _check_exclusive(request)
        gpu = self._gpu(request)
        self._check_cpu(request)
        candidates = self._datacenters(request)
        _check_ports(request)
        if request.registry is not None and request.registry not in self.account.registries:
            raise bad_request(f'Registry "{request.registry}" not found')
        if self.board.take("balance-too-low", **request.context()):
            raise Problem(402, NO_BALANCE)
        if request.global_networking:
            candidates = [dc for dc in candidates if dc.global_network]
        if gpu is None:
            return self._place_cpu(request, candidates)
        cuda = host_cuda(gpu, request)
        chosen = self.stock.choose(gpu, request.gpu_count * pods, request.cloud, candidates)
        if chosen is None or (cuda is None and _wants_cuda(request)):
            raise bad_request(NO_CAPACITY)
        wrong = self.board.take("wrong-price", **request.context(chosen.id))
        price = gpu.price[request.cloud] * request.gpu_count
        return Placement(
            datacenter=chosen.id,
            cuda=cuda,
            price=price * (wrong.number("factor") if wrong else 1),
        )

    def _place_cpu(self, request: PodRequest, candidates: list[DataCenter]) -> Placement:
        flavor = self.catalog.cpus[request.cpu_id or ""]
        if not candidates:
            raise bad_request(NO_CAPACITY)
        return Placement(
            datacenter=candidates[0].id, cuda=None, price=flavor.price * request.vcpu_count
        )

    def _gpu(self, request: PodRequest) -> GpuType | None:
        if request.gpu_id is None:
            return None
        gpu = self.catalog.gpus.get(request.gpu_id)
        if gpu is None:
            raise bad_request(f'GPU type "{request.gpu_id}" not found')
        if not gpu.offered(request.cloud):
            raise bad_request(f'GPU type "{gpu.id}" is not offered in {request.cloud} cloud')
        ceiling = gpu.max_count[request.cloud]
        if request.gpu_count > ceiling:
            raise bad_request(
                f'GPU count {request.gpu_count} exceeds the maximum of {ceiling} for "{gpu.id}" '
                f"in {request.cloud} cloud"
            )
        if request.global_networking and gpu.manufacturer != "NVIDIA":
            raise bad_request("Global networking requires an NVIDIA GPU")
        return gpu

    def _check_cpu(self, request: PodRequest) -> None:
        if request.cpu_id is None:
            return
        if request.cpu_id not in self.catalog.cpus:
            raise bad_request(f'CPU flavor "{request.cpu_id}" not found')
        count = request.vcpu_count
        if count & (count - 1) or not VCPU_RANGE[0] <= count <= VCPU_RANGE[1]:
            raise bad_request(f"vcpuCount {count} must be a power of two from 2 to 32")
        if "persistent" in request.mounts:
            raise bad_request("mounts.persistent is not supported on CPU pods")
        if request.global_networking:
            raise bad_request("Global networking requires an NVIDIA GPU")

    def _datacenters(self, request: PodRequest) -> list[DataCenter]:
        for name in request.datacenters:
            if name not in self.catalog.data_centers:
                raise bad_request(f'Data center "{name}" not found')
        volume = self._volume(request)
        if volume is not None:
            if request.datacenters and volume.datacenter not in request.datacenters:
                asked = ", ".join(request.datacenters)
                raise bad_request(
                    f'Network volume "{volume.id}" is in data center "{volume.datacenter}", '
                    f"which is not in the requested set [{asked}]"
                )
            return [self.catalog.data_centers[volume.datacenter]]
        names = request.datacenters or tuple(self.catalog.data_centers)
        return [self.catalog.data_centers[name] for name in dict.fromkeys(names)]

    def _volume(self, request: PodRequest) -> Volume | None:
        network = request.mounts.get("network")
        if not network:
            return None
        if request.cloud == "COMMUNITY":
            raise bad_request("Network volumes are only available in SECURE cloud")
        volume = self.account.volumes.get(network[0]["volumeId"])
        if volume is None or volume.deleted:
            raise bad_request(f'Network volume "{network[0]["volumeId"]}" not found')
        return volume


def host_cuda(gpu: GpuType, request: PodRequest) -> str | None:
    """Pick a host's CUDA version that the request admits; None when there is none."""
    offered: Mapping[str, tuple[int, ...]] = {v: _number(v) for v in gpu.cuda_versions()}
    if request.allowed_cuda:
        fitting = [v for v in offered if v in request.allowed_cuda]
    elif request.min_cuda:
        floor = _number(request.min_cuda)
        fitting = [v for v, number in offered.items() if number >= floor]
    else:
        fitting = list(offered)
    if USUAL_CUDA in fitting:
        return USUAL_CUDA
    return min(fitting, key=lambda v: offered[v], default=None)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _wants_cuda(request: PodRequest) -> bool:
    return bool(request.allowed_cuda or request.min_cuda)


def _check_exclusive(request: PodRequest) -> None:
    if (request.gpu_id is None) == (request.cpu_id is None):
        raise bad_request("Exactly one of 'gpu' or 'cpu' must be set")
    if request.mounts.get("persistent") and request.mounts.get("network"):
        raise bad_request("'mounts.persistent' and 'mounts.network' are mutually exclusive")
    if request.allowed_cuda and request.min_cuda:
        raise bad_request(
            "'gpu.minCudaVersion' and 'gpu.allowedCudaVersions' are mutually exclusive"
        )


def _check_ports(request: PodRequest) -> None:
    for port in request.ports:
        if not _PORT.fullmatch(port) or not 0 < int(port.split("/")[0]) < 65536:
            raise bad_request(f'Invalid port "{port}": expected "<port>/tcp" or "<port>/http"')
