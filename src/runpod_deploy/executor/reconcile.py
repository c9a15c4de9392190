"""Holds what runs say they cost against what RunPod billed, pod by pod."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runpod_deploy.executor.ports import Bill
from runpod_deploy.record import tolerant
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.manifest import MANIFEST_NAME


@dataclass(frozen=True, kw_only=True, slots=True)
class RunCost:
    """One run's money; USD.

    Attributes:
        pod_ids: Every pod the run had.
        planned_usd: What the plan estimated; None where it did not.
        accrued_usd: Rate × time, by the run's own clock.
        billed_usd: By RunPod; None when no pod of the run is in the bill (yet). Of a pod that several
            runs used one after another, each has the share that it accrued.
    """

    folder: Path
    run_id: str | None
    pod_ids: tuple[str, ...]
    planned_usd: float | None
    accrued_usd: float | None
    billed_usd: float | None

    @property
    def difference_usd(self) -> float | None:
        """What was billed beyond what was accrued."""
        if self.billed_usd is None or self.accrued_usd is None:
            return None
        return self.billed_usd - self.accrued_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciled:
    """The whole: runs, and pods that were billed and belong to none of them."""

    runs: tuple[RunCost, ...]
    unknown: Mapping[str, float]


def reconcile(manifests: Mapping[Path, Mapping[str, Any]], bills: Iterable[Bill]) -> Reconciled:
    """Return the runs with what was billed for their pods; pure.

    Args:
        manifests: Run folder to manifest.
        bills: Rows of the account's bill.
    """
    billed: dict[str, float] = {}
    for bill in bills:
        billed[bill.pod_id] = billed.get(bill.pod_id, 0.0) + bill.total_usd
    shares = _shares(manifests.values())
    runs = tuple(_run(folder, data, billed, shares) for folder, data in manifests.items())
    known = {pod_id for run in runs for pod_id in run.pod_ids}
    unknown = {pod_id: usd for pod_id, usd in billed.items() if pod_id not in known}
    return Reconciled(runs=runs, unknown=unknown)


def sharing(
    manifests: Mapping[Path, Mapping[str, Any]], others: Mapping[Path, Mapping[str, Any]]
) -> dict[Path, Mapping[str, Any]]:
    """Return those of `others` that had a pod of `manifests` before or after them."""
    mine = {pod_id for data in manifests.values() for pod_id in pod_ids(data)}
    return {
        folder: data
        for folder, data in others.items()
        if folder not in manifests and mine & set(pod_ids(data))
    }


def _shares(manifests: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return for each pod what each of its runs accrued."""
    found: dict[str, list[float]] = {}
    for data in manifests:
        for pod_id in pod_ids(data):
            found.setdefault(pod_id, []).append(_accrued(data) or 0.0)
    return found


def _part(mine: float, all_of_it: Sequence[float]) -> float:
    whole = sum(all_of_it)
    return mine / whole if whole > 0 else 1 / len(all_of_it)


def _accrued(data: Mapping[str, Any]) -> float | None:
    cost = data.get("cost")
    accrued = tolerant.number(cost, "accrued_usd") if isinstance(cost, Mapping) else None
    return tolerant.number(data, "estimated_cost_usd") if accrued is None else accrued


def _run(
    folder: Path,
    data: Mapping[str, Any],
    billed: Mapping[str, float],
    shares: Mapping[str, Sequence[float]],
) -> RunCost:
    cost = data.get("cost")
    cost = cost if isinstance(cost, Mapping) else {}
    ids, accrued = pod_ids(data), _accrued(data)
    found = [
        billed[pod_id] * _part(accrued or 0.0, shares[pod_id]) for pod_id in ids if pod_id in billed
    ]
    return RunCost(
        folder=folder,
        run_id=tolerant.text(data, "run_id"),
        pod_ids=ids,
        planned_usd=tolerant.number(cost, "estimated_usd"),
        accrued_usd=accrued,
        billed_usd=sum(found) if found else None,
    )


def pod_ids(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of all pods a run had; a manifest of earlier formats knows of one."""
    rows = manifest.get("pods")
    found = [
        tolerant.text(row, "pod_id")
        for row in (rows if isinstance(rows, Sequence) and not isinstance(rows, str) else ())
        if isinstance(row, Mapping)
    ]
    ids = [one for one in (*found, tolerant.text(manifest, "pod_id")) if one is not None]
    return tuple(dict.fromkeys(ids))


def record_billed(run: RunCost) -> bool:
    """Write what was billed into the run's manifest; the folder's own time stays as it was.

    Returns:
        False when there is nothing to write: no bill, or a manifest of another format.

    Raises:
        OSError: The manifest cannot be written.
    """
    file = run.folder / MANIFEST_NAME
    data = json.loads(file.read_bytes())
    cost = data.get("cost") if isinstance(data, dict) else None
    if run.billed_usd is None or not isinstance(cost, dict):
        return False
    # `ls -dt` finds the newest run by the folder's time, and this is no new run.
    before = run.folder.stat()
    data["cost"] = {**cost, "billed_usd": round(run.billed_usd, 6)}
    write_atomic(file, dump_json(data))
    os.utime(run.folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    return True
