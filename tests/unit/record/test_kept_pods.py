"""The state file: entries are found by their job alone, taken once, and foreign files left alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.record.kept_pods import Binding, KeptPod, KeptPods, NoStateFile

ME = Binding(cloud="runpod", api_url="u", owner="me", job="train", job_file="job.yaml")
POD = KeptPod(
    binding=ME,
    pod_id="p1",
    pod_name="rd-me-train-20260301T120000Z-1f00d",
    gpu_id="NVIDIA L4",
    cloud_type="SECURE",
    datacenter_id=None,
    image="runpod/base:1",
    made_as={"pod.image": "runpod/base:1", "storage.volume_gb": None},
    run_dir="/runs/1",
    kept_at="2026-03-01T12:00:00.000000Z",
    host_keys=("SHA256:a", "SHA256:b"),
)


def alive(_run: str) -> bool:
    """The run that holds a claim is still there."""
    return False


@pytest.fixture
def store(tmp_path: Path) -> KeptPods:
    """Return a state file that holds one pod."""
    store = KeptPods(file=tmp_path / ".runpod-deploy" / "train.json")
    assert store.keep(POD) is None
    return store


def test_an_entry_comes_back_as_it_went(store: KeptPods) -> None:
    """Everything is written and read, and earlier releases find the pod's id at the top."""
    data = json.loads(store.file.read_text())

    assert store.read() == (POD,)
    assert (data["pod_id"], data["image"]) == ("p1", "runpod/base:1")


def test_of_many_at_once_one_takes_the_pod(
    store: KeptPods, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many runs ask in the same moment, one has it and the others have none."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)

    def take(number: int) -> KeptPod | None:
        return KeptPods(file=store.file).claim(ME, f"/runs/{number}", alive)

    with ThreadPoolExecutor(8) as pool:
        taken = [one for one in pool.map(take, range(16)) if one is not None]

    (entry,) = taken
    assert store.read() == (entry,)
    assert store.claim(ME, entry.claimed_by or "", alive) == entry


@pytest.mark.parametrize(
    "other",
    [
        replace(ME, job="eval"),
        replace(ME, job_file="b.yaml"),
        replace(ME, owner="you"),
        replace(ME, api_url="v"),
        replace(ME, cloud="emulator"),
        replace(ME, shard="seed=1"),
    ],
)
def test_nobody_else_finds_it(store: KeptPods, other: Binding) -> None:
    """Another job, owner, account or shard of a sweep takes nothing, and may keep its own beside it."""
    assert store.claim(other, "/runs/2", alive) is None
    assert store.keep(replace(POD, binding=other, pod_id="p2")) is None
    assert [one.pod_id for one in store.read()] == ["p1", "p2"]


def test_one_pod_is_kept_for_a_job(store: KeptPods) -> None:
    """A second one is not remembered while the first waits; a taken one does not count."""
    second = replace(POD, pod_id="p2", pod_name="rd-me-train-20260301T130000Z-1f00d")

    assert store.keep(second) == POD
    store.claim(ME, "/runs/3", alive)
    assert store.keep(second) is None


def test_a_claim_goes_back_or_falls_with_its_run(store: KeptPods) -> None:
    """Given back it is free; so it is when the folder of the run that took it is no more."""
    store.claim(ME, "/runs/2", alive)
    assert store.claim(ME, "/runs/3", alive) is None
    assert store.claim(ME, "/runs/3", lambda run: run == "/runs/2") is not None
    store.leave("p1")
    assert store.read() == (POD,)


def test_the_file_goes_with_its_last_entry(store: KeptPods) -> None:
    """What holds nothing is not left lying about."""
    store.forget("p9")
    assert store.file.exists()
    store.forget("p1")
    assert not store.file.exists()
    assert store.claim(ME, "/runs/2", alive) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"name": "x"}', '{"format": "other/1", "pods": []}']
)
def test_a_file_of_another_kind_is_left_alone(store: KeptPods, text: str) -> None:
    """It is neither read as empty nor written over."""
    store.file.write_text(text)

    with pytest.raises(NoStateFile):
        store.claim(ME, "/runs/2", alive)
    with pytest.raises(NoStateFile):
        store.keep(POD)
    assert store.file.read_text() == text


def test_the_file_of_an_earlier_release_holds_nothing_for_us(store: KeptPods) -> None:
    """Its pod has no mark that says whose it is; the file is used from then on."""
    store.file.write_text('{"pod_id": "old", "gpu_id": "x", "image": "y", "datacenter_id": null}')

    assert store.claim(ME, "/runs/2", alive) is None
    assert store.keep(POD) is None
    assert store.read() == (POD,)


def test_spoilt_entries_are_passed_over(store: KeptPods) -> None:
    """A row that somebody edited counts as not there, and the others stay."""
    data = json.loads(store.file.read_text())
    data["pods"] += [{}, 3, {"binding": {}, "made_as": {}}, {**data["pods"][0], "made_as": None}]
    store.file.write_text(json.dumps(data))

    assert store.read() == (POD,)
