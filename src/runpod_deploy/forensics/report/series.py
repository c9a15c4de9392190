"""The samples of a run as columns that a chart can draw, thinned to what a screen can show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from runpod_deploy.record import tolerant
from runpod_deploy.record.metrics import MetricSample

POINTS = 1200
MOST_GPUS = 16


class Thinned:
    """Takes any number of samples in constant memory: whenever it is full, neighbours are joined."""

    def __init__(self, columns: dict[str, Callable[[MetricSample], float | None]]) -> None:
        self._columns = columns
        self._rows: list[list[float | None]] = []
        self._each = 1  # samples a row stands for
        self._open: list[list[float | None]] = []

    def add(self, at: float, sample: MetricSample) -> None:
        """Take the sample of a moment, seconds since the epoch."""
        values = (read(sample) for read in self._columns.values())
        # A sum of whole numbers can be more than a float holds, a sum of floats is infinite then.
        self._open.append([at, *(None if one is None else float(one) for one in values)])
        if len(self._open) < self._each:
            return
        self._rows.append(_mean(self._open))
        self._open = []
        if len(self._rows) >= 2 * POINTS:
            self._rows = [_mean(self._rows[i : i + 2]) for i in range(0, len(self._rows), 2)]
            self._each *= 2

    def columns(self) -> dict[str, list[float | None]]:
        """Return name to values, `t` first; columns of which nothing is known are left out."""
        rows = [*self._rows, *([_mean(self._open)] if self._open else [])]
        found: dict[str, list[float | None]] = {"t": [_digits(row[0]) for row in rows]}
        for number, name in enumerate(self._columns, start=1):
            values = [_digits(row[number]) for row in rows]
            if any(value is not None for value in values):
                found[name] = values
        return found


def _mean(rows: list[list[float | None]]) -> list[float | None]:
    return [_mean_of(column) for column in zip(*rows, strict=True)]


def _mean_of(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _digits(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def chart_series(samples: Iterable[MetricSample]) -> dict[str, Any]:
    """Return the columns of all charts; samples without a time that can be read are passed over.

    Times are seconds since the epoch, memory and disk are shares in percent, rates bytes a second.
    """
    thinned = Thinned({**_gpu_columns(), **_HOST})
    for sample in samples:
        at = tolerant.seconds(sample.ts_utc)
        if at is not None:
            thinned.add(at, sample)
    columns = thinned.columns()
    for name in ("net_rx", "net_tx"):
        if name in columns:
            columns[name] = _rate(columns["t"], columns[name])
    return columns


def _gpu_columns() -> dict[str, Callable[[MetricSample], float | None]]:
    def reader(index: int, name: str) -> Callable[[MetricSample], float | None]:
        def read(sample: MetricSample) -> float | None:
            for gpu in sample.gpus:
                if gpu.index == index:
                    if name == "mem_pct":
                        return _share(gpu.mem_used_mb, gpu.mem_total_mb)
                    value: float | None = getattr(gpu, name)
                    return value
            return None

        return read

    names = ("util_pct", "mem_pct", "temp_c", "power_w")
    return {
        f"gpu{index}_{name}": reader(index, name) for name in names for index in range(MOST_GPUS)
    }


def _share(used: float | None, total: float | None) -> float | None:
    return None if used is None or not total else 100.0 * used / total


_HOST: dict[str, Callable[[MetricSample], float | None]] = {
    "cpu_pct": lambda sample: sample.cpu_pct,
    "mem_pct": lambda sample: _share(sample.memory_used_bytes, sample.memory_total_bytes),
    "disk_pct": lambda sample: _share(sample.disk_used_bytes, sample.disk_total_bytes),
    "net_rx": lambda sample: sample.received_bytes,
    "net_tx": lambda sample: sample.sent_bytes,
}


def _rate(times: list[float | None], totals: list[float | None]) -> list[float | None]:
    """Return the growth per second of a counter; where it began anew, nothing is known."""
    rates: list[float | None] = [None]
    for i in range(1, len(totals)):
        before, now, then, at = totals[i - 1], totals[i], times[i - 1], times[i]
        known = before is not None and now is not None and then is not None and at is not None
        if not known or at <= then or now < before:  # type: ignore[operator]  # `known` says so
            rates.append(None)
        else:
            rates.append(round((now - before) / (at - then), 1))  # type: ignore[operator]  # likewise
    return rates
