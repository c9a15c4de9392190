"""What is free where: per GPU type, data center, cloud and count."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from runpod_deploy.emulator.catalog import Catalog, Cloud, DataCenter, GpuType
from runpod_deploy.emulator.faults import FaultBoard

Level = Literal["NONE", "LOW", "MEDIUM", "HIGH"]
LEVELS: tuple[Level, ...] = ("NONE", "LOW", "MEDIUM", "HIGH")


class Stock:
    """Every data center starts with `capacity` GPUs of each type that its cloud offers."""

    def __init__(self, catalog: Catalog, board: FaultBoard, capacity: int) -> None:
        self._catalog = catalog
        self._board = board
        self._capacity = capacity
        self._used: Counter[tuple[str, str, Cloud]] = Counter()

    def free(self, gpu: GpuType, datacenter: str, cloud: Cloud, *, shown: bool = False) -> int:
        """Count free GPUs; `shown` is what the catalog says, which a hidden fault leaves alone."""
        if not gpu.offered(cloud):
            return 0
        context = {"gpu": gpu.id, "datacenter": datacenter, "cloud": cloud}
        fault = self._board.peek("stock-out", **context)
        if fault and not (shown and fault.number("hidden")):
            return 0
        left = self._capacity - self._used[gpu.id, datacenter, cloud]
        limit = self._board.peek("stock-limit", **context)
        return max(0, min(left, int(limit.number("free"))) if limit else left)

    def level(self, gpu: GpuType, datacenter: str, cloud: Cloud, count: int) -> Level:
        """Word the free GPUs as the catalog does, for pods of `count` GPUs."""
        free = self.free(gpu, datacenter, cloud, shown=True)
        if free < count or count > gpu.max_count[cloud]:
            return "NONE"
        if free < 2 * gpu.max_count[cloud]:
            return "LOW"
        return "MEDIUM" if 2 * free < self._capacity else "HIGH"

    def choose(
        self, gpu: GpuType, count: int, cloud: Cloud, among: Sequence[DataCenter]
    ) -> DataCenter | None:
        """Pick the place with most free GPUs, ties by id: a request's own order is not kept.

        Returns:
            None when nothing fits; that uses up one time of the stock-out that is to blame.
        """
        contexts = [{"gpu": gpu.id, "datacenter": dc.id, "cloud": cloud} for dc in among]
        free = {dc.id: self.free(gpu, dc.id, cloud) for dc in among}
        fitting = [dc for dc in among if free[dc.id] >= count]
        skipping = list(contexts)
        if not fitting:
            blamed = next((c for c in contexts if self._board.peek("stock-out", **c)), None)
            if blamed:
                self._board.take("stock-out", **blamed)
                skipping = []
        self._board.let_pass("stock-out", skipping)
        return min(fitting, key=lambda dc: (-free[dc.id], dc.id), default=None)

    def hold(self, gpu_id: str, datacenter: str, cloud: Cloud, count: int) -> None:
        """Take GPUs out of stock."""
        self._used[gpu_id, datacenter, cloud] += count

    def release(self, gpu_id: str, datacenter: str, cloud: Cloud, count: int) -> None:
        """Put GPUs back."""
        self._used[gpu_id, datacenter, cloud] -= count


def best(levels: Sequence[Level]) -> Level:
    """Give the highest of some levels, NONE of none."""
    return max(levels, key=LEVELS.index, default="NONE")
