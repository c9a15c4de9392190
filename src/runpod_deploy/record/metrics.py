"""One line of `metrics.jsonl`: a sample of the pod's GPUs, processors, memory, disk and network.

The flat keys are the predecessor's and tell of GPU 0; `gpus` tells of every GPU. What the pod could
not say is null: a consumer card without ECC, a host without `nvidia-smi`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runpod_deploy.record import tolerant
from runpod_deploy.record.json_lines import parse_object, read_lines

METRICS_NAME = "metrics.jsonl"
_MIB = 1024.0 * 1024.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuSample:
    """One GPU at one moment.

    Attributes:
        index: As `nvidia-smi` counts them, from 0.
        util_pct: Share of the last moments in which a kernel ran, 0 to 100.
        mem_used_mb, mem_total_mb: MiB.
        temp_c: Degrees Celsius.
        power_w: Watts.
        ecc_errors: Uncorrected errors since the driver was loaded; None where there is no ECC.
    """

    index: int
    util_pct: float | None = None
    mem_used_mb: float | None = None
    mem_total_mb: float | None = None
    temp_c: float | None = None
    power_w: float | None = None
    ecc_errors: int | None = None


@dataclass(frozen=True, slots=True)
class MetricSample(Mapping[str, Any]):
    """One sample; also a mapping over its line, as the predecessor's readers expect.

    Attributes:
        ts_utc: When the pod took it, `YYYY-MM-DDTHH:MM:SSZ` by the pod's clock.
        line: The line as it was written.
    """

    ts_utc: str
    line: Mapping[str, Any]

    @property
    def gpus(self) -> tuple[GpuSample, ...]:
        """Every GPU, by index; lines of the predecessor know of GPU 0 only."""
        rows = self.line.get("gpus")
        if isinstance(rows, list):
            found = [_gpu(row, number) for number, row in enumerate(rows) if isinstance(row, dict)]
            return tuple(sorted(found, key=lambda gpu: gpu.index))
        if not any(key.startswith("gpu_") for key in self.line):
            return ()
        flat = {key.removeprefix("gpu_"): value for key, value in self.line.items()}
        return (_gpu(flat, 0),)

    @property
    def cpu_pct(self) -> float | None:
        """Processor time in use over all cores since the sample before, 0 to 100."""
        user, system = self._number("cpu_user_pct"), self._number("cpu_sys_pct")
        return None if user is None or system is None else user + system

    @property
    def cpu_load_1m(self) -> float | None:
        """The host's load average over one minute."""
        return self._number("cpu_load_1m")

    @property
    def memory_used_bytes(self) -> float | None:
        """Memory in use: the pod's own where it has a limit, else the host's."""
        name = "mem_used_mb" if self._number("mem_limit_mb") else "host_mem_used_mb"
        used = self._number(name)
        return None if used is None else used * _MIB

    @property
    def memory_total_bytes(self) -> float | None:
        """Memory that the pod may use: its limit, else what the host has."""
        total = self._number("mem_limit_mb") or self._number("host_mem_total_mb")
        return None if total is None else total * _MIB

    @property
    def disk_used_bytes(self) -> float | None:
        """Bytes in use on the file system of the volume mount."""
        return self._number("workspace_disk_used_bytes")

    @property
    def disk_total_bytes(self) -> float | None:
        """Size of the file system of the volume mount."""
        return self._number("workspace_disk_total_bytes")

    @property
    def received_bytes(self) -> float | None:
        """Bytes received over the network since the pod started."""
        return self._number("net_rx_bytes")

    @property
    def sent_bytes(self) -> float | None:
        """Bytes sent over the network since the pod started."""
        return self._number("net_tx_bytes")

    def _number(self, key: str) -> float | None:
        return tolerant.number(self.line, key)

    def __getitem__(self, key: str) -> Any:
        return self.line[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.line)

    def __len__(self) -> int:
        return len(self.line)


def _gpu(row: Mapping[str, Any], number: int) -> GpuSample:
    index = tolerant.integer(row, "index")
    return GpuSample(
        index=number if index is None else index,
        util_pct=tolerant.number(row, "util_pct"),
        mem_used_mb=tolerant.number(row, "mem_used_mb"),
        mem_total_mb=tolerant.number(row, "mem_total_mb"),
        temp_c=tolerant.number(row, "temp_c"),
        power_w=tolerant.number(row, "power_w"),
        ecc_errors=tolerant.integer(row, "ecc_errors"),
    )


def read_metrics(path: Path) -> Iterator[MetricSample]:
    """Yield the samples of a metrics file in file order; torn and foreign lines are passed over.

    A missing file has no samples.

    Raises:
        OSError: The file is there and cannot be read.
    """
    for raw in read_lines(path):
        sample = parse_sample(raw)
        if sample is not None:
            yield sample


def parse_sample(raw: bytes) -> MetricSample | None:
    """Return the sample on a line; None for a torn or foreign line."""
    line = parse_object(raw)
    stamp = None if line is None else line.get("ts_utc")
    return MetricSample(stamp, line) if line is not None and isinstance(stamp, str) else None
