"""How long a job usually takes, by what its earlier runs left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.observed import TypicalSpend
from runpod_deploy.forensics.typical import ENOUGH, typical_run

L4 = "NVIDIA L4"


def leave(root: Path, number: int, minutes: float, **changes: Any) -> None:
    """Leave a run folder behind whose pod was paid for so many minutes."""
    folder = root / "artifacts" / "runpod" / f"20260301T12{number:02}00Z"
    folder.mkdir(parents=True)
    hours, rest = divmod(int(minutes), 60)
    manifest = {
        "job_name": "train",
        "failed": False,
        "cloud": "runpod",
        "gpu_id": L4,
        "wall_time_sec": 9999,
        "pods": [
            {
                "pod_id": "p",
                "created_at": "2026-03-01T12:00:00.000000Z",
                "ended_at": f"2026-03-01T{12 + hours}:{rest:02}:00.000000Z",
            }
        ],
        **changes,
    }
    (folder / "runpod_deploy_pull_manifest.json").write_text(json.dumps(manifest))


def usual(root: Path, gpu: str | None = L4, cloud: str = "runpod") -> TypicalSpend | None:
    """Return what is typical of the job `train`."""
    return typical_run(root, "train", cloud=cloud, gpu=gpu)


def test_the_median_of_succeeded_runs_is_typical(tmp_path: Path) -> None:
    """Failed runs and other jobs say nothing; the time is that of the pod, not of the command."""
    for number, minutes in enumerate((10, 20, 50)):
        leave(tmp_path, number, minutes)
    leave(tmp_path, 3, 1, failed=True)
    leave(tmp_path, 4, 1, job_name="other")
    assert usual(tmp_path) == TypicalSpend(runs=3, same_gpu=True, seconds=1200.0, usd=None)


def test_runs_on_the_same_gpu_come_first(tmp_path: Path) -> None:
    """One run on the GPU that is asked about outweighs many on others; those serve without it."""
    leave(tmp_path, 0, 10, gpu_id="NVIDIA A40")
    leave(tmp_path, 1, 20, gpu_id="NVIDIA A40")
    leave(tmp_path, 2, 30)
    assert usual(tmp_path) == TypicalSpend(runs=1, same_gpu=True, seconds=1800.0, usd=None)
    other = usual(tmp_path, gpu="NVIDIA H200")
    assert other == TypicalSpend(runs=3, same_gpu=False, seconds=1200.0, usd=None)
    assert usual(tmp_path, gpu=None) == other


def test_a_rehearsal_says_nothing_about_the_real_thing(tmp_path: Path) -> None:
    """Runs on the emulator count for the emulator, those without a cloud for RunPod."""
    leave(tmp_path, 0, 1, cloud="emulator")
    assert usual(tmp_path) is None
    assert usual(tmp_path, cloud="emulator") is not None
    leave(tmp_path, 1, 20, cloud=None)
    assert usual(tmp_path) is not None


def test_every_pod_of_a_run_was_paid_for(tmp_path: Path) -> None:
    """A run that needed two pods took both; one that was never made took nothing."""
    first = {
        "pod_id": "a",
        "created_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:05:00Z",
    }
    second = {**first, "pod_id": "b", "ended_at": "2026-03-01T12:10:00Z"}
    leave(tmp_path, 0, 0, pods=[first, second, {**first, "pod_id": None}])
    seen = usual(tmp_path)
    assert seen is not None
    assert seen.seconds == 900.0


def test_an_older_manifest_tells_by_its_own_time(tmp_path: Path) -> None:
    """Where no pods are listed, the run's own time stands in; without that it is passed over."""
    leave(tmp_path, 0, 0, pods=None, wall_time_sec=600)
    leave(tmp_path, 1, 0, pods=[{"pod_id": "a"}, "?"], wall_time_sec=None)
    seen = usual(tmp_path)
    assert seen is not None
    assert (seen.runs, seen.seconds) == (1, 600.0)


def test_only_the_latest_runs_count(tmp_path: Path) -> None:
    """A job that grew is told by its latest runs."""
    for number in range(30):
        leave(tmp_path, number, 10 if number < 10 else 20)
    seen = usual(tmp_path)
    assert seen is not None
    assert (seen.runs, seen.seconds) == (ENOUGH, 1200.0)


def test_a_project_without_runs_has_no_typical_one(tmp_path: Path) -> None:
    """No folder, a broken manifest, or a foreign one: nothing is made up."""
    assert usual(tmp_path / "nowhere") is None
    leave(tmp_path, 0, 10, job_name=7)
    folder = tmp_path / "artifacts" / "runpod" / "20260301T130000Z"
    folder.mkdir()
    (folder / "runpod_deploy_pull_manifest.json").write_text("{")
    assert usual(tmp_path) is None
