"""What runs say they cost against what was billed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from forensic_cases import MANIFEST_2, OURS, make_run
from runpod_deploy.executor.ports import Bill
from runpod_deploy.executor.reconcile import pod_ids, reconcile, record_billed, sharing


def bill(pod_id: str, usd: float) -> Bill:
    """Return a row of the bill."""
    return Bill(pod_id=pod_id, total_usd=usd, gpu_usd=usd, disk_usd=0.0)


def with_pods(*ids: str) -> dict[str, Any]:
    """Return a manifest of a run that had these pods."""
    return {**OURS, "pods": [{"pod_id": one} for one in ids], "pod_id": ids[-1]}


def test_every_pod_of_a_run_counts_and_no_other(tmp_path: Path) -> None:
    """Rows of several days and of hosts that were given up add up; foreign pods are told."""
    folder = make_run(tmp_path, "20260601T000000Z", with_pods("a", "b"))
    rows = [bill("a", 0.01), bill("b", 0.05), bill("b", 0.02), bill("z", 3.0)]
    whole = reconcile({folder: with_pods("a", "b")}, rows)
    (run,) = whole.runs

    assert run.pod_ids == ("a", "b")
    assert run.billed_usd == pytest.approx(0.08)
    assert run.difference_usd == pytest.approx(0.01)
    assert whole.unknown == {"z": 3.0}


def test_runs_share_the_bill_of_a_pod_that_was_used_again(tmp_path: Path) -> None:
    """One pod on the bill, two runs that had it: each has the part that it accrued, once in all."""
    first, second = tmp_path / "a", tmp_path / "b"
    cheap = {**with_pods("a"), "cost": {"accrued_usd": 0.01}}
    dear = {**with_pods("a", "b"), "cost": {"accrued_usd": 0.03}}
    other = {**with_pods("c"), "cost": {"accrued_usd": 0.03}}
    runs = reconcile({first: cheap, second: dear}, [bill("a", 0.08), bill("b", 0.1)]).runs

    assert [run.billed_usd for run in runs] == [pytest.approx(0.02), pytest.approx(0.16)]
    assert list(sharing({first: cheap}, {first: cheap, second: dear, tmp_path: other})) == [second]


def test_a_run_that_is_not_in_the_bill_is_not_known(tmp_path: Path) -> None:
    """Nothing billed yet is not the same as nothing to pay."""
    folder = make_run(tmp_path, "20260514T120000Z", MANIFEST_2)
    (run,) = reconcile({folder: MANIFEST_2}, []).runs

    assert (run.pod_ids, run.billed_usd, run.difference_usd) == (("abc123",), None, None)
    assert run.accrued_usd == 0.6
    assert record_billed(run) is False


def test_what_was_billed_is_kept_and_the_folder_stays_as_old_as_it_was(tmp_path: Path) -> None:
    """`ls -dt` must still find the newest run."""
    folder = make_run(tmp_path, "20260601T000000Z", with_pods("a"))
    os.utime(folder, (1_700_000_000, 1_700_000_000))
    (run,) = reconcile({folder: with_pods("a")}, [bill("a", 0.0812345678)]).runs

    assert record_billed(run) is True
    data = json.loads((folder / "runpod_deploy_pull_manifest.json").read_text())
    assert data["cost"] == {"estimated_usd": None, "accrued_usd": 0.07, "billed_usd": 0.081235}
    assert folder.stat().st_mtime == 1_700_000_000


@pytest.mark.parametrize("rows", [None, "x", [1, {"pod_id": 5}, {}], {}])
def test_damaged_pods_are_no_pods(rows: Any) -> None:
    """The run's own pod is known all the same."""
    assert pod_ids({"pods": rows, "pod_id": "p"}) == ("p",)


def test_a_run_without_pods_has_none() -> None:
    """A run that ended before it rented anything."""
    assert pod_ids({}) == ()
