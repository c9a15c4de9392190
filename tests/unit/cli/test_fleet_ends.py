"""When a pod ends by itself, told alike by the commands about pods and by `status`."""

import time
from pathlib import Path

import pytest

from begun_run import Begun
from runpod_deploy.cli.amounts import limit
from runpod_deploy.cli.known_ends import KnownEnds
from runpod_deploy.forensics.status import read_status
from runpod_deploy.forensics.summary import summarise


@pytest.fixture
def begun(project: Path) -> Begun:
    """A run whose job goes on."""
    run = Begun(project).with_job()
    journal = run.path / "events.jsonl"
    # As real ones are called.
    name = f'"train-{run.path.name}"'.encode()
    journal.write_bytes(journal.read_bytes().replace(b'"train-1"', name))
    return run


def test_it_is_the_moment_of_status(begun: Begun) -> None:
    """A pod whose run folder is here has one end, not that of its lease and another one."""
    now = time.time()
    status = read_status(begun.path, now)
    ends = KnownEnds(now)
    told = ends.told(status.run_id, "pod1")
    at = status.ends.pod_at
    assert at is not None
    assert told == f"left alone it ends in {limit(round((at - now) / 60) * 60)}"
    assert ends.told("train-20200101T000000Z", "pod1") is None
    assert ends.told(status.run_id, "another") is None


def test_what_accrues_is_not_frozen_by_an_earlier_pod(begun: Begun) -> None:
    """A pod that was given up before stops no count of the one that goes on."""
    for event, fields in (
        (
            "pod_create_intended",
            {"name": "rd-y", "gpu_id": "NVIDIA L4", "datacenter_id": None, "cloud_type": "SECURE"},
        ),
        (
            "pod_create_settled",
            {"outcome": "created", "pod_id": "pod2", "cost_per_hour_usd": 3600.0, "error": None},
        ),
    ):
        begun.write(event, op_id="rd-y", **fields)
    begun.gone()
    first = summarise(begun.path).cost_usd
    until = time.monotonic() + 5
    while summarise(begun.path).cost_usd == first and time.monotonic() < until:
        pass
    assert (summarise(begun.path).cost_usd or 0.0) > (first or 0.0)
