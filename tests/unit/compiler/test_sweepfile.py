"""A sweep as a file: the same bytes each time, read back strictly, every change noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.compile import compile_job
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.plan import Observed, Plan, PlanFile
from runpod_deploy.compiler.planfile import make_plan_file
from runpod_deploy.compiler.sweepfile import SweepFile, dumps, loads, make_sweep_file
from runpod_deploy.errors import InvalidInput, PlanRefused
from runpod_deploy.schema.load import load_bytes

JOB = b"""\
schema_version: 3
name: tune
pod:
  image: runpod/base:1.0.2
  gpu_order: [NVIDIA L4]
run: {body: "echo {{ n }}"}
matrix:
  axes: {n: [0, 1, 2]}
  max_parallel: 2
"""


def alone() -> PlanFile:
    """Return the plan of a job that is no sweep."""
    config = load_bytes(JOB[: JOB.index(b"matrix")].replace(b"{{ n }}", b"n"), display="job.yaml")
    return of_plan(compile_job(config, Facts(job_file="job.yaml")), 9)


def shard(number: int, **changes: Any) -> PlanFile:
    """Return the plan of one run."""
    config = load_bytes(JOB, {"n": str(number)}, display="job.yaml")
    plan = compile_job(config, Facts(job_file="job.yaml"))
    assert plan.matrix is not None
    return of_plan(replace(plan, matrix=replace(plan.matrix, **changes)), number)


def of_plan(plan: Plan, number: int) -> PlanFile:
    """Return the file of a plan."""
    observed = Observed(compiled_at="2026-03-01T12:00:00Z", tool_version="0")
    return make_plan_file(plan, {}, observed, f"{number:032x}")


@pytest.fixture
def sweep() -> SweepFile:
    """Return a sweep of three runs."""
    return make_sweep_file([shard(n) for n in range(3)], "f" * 32)


def test_a_sweep_reads_back(sweep: SweepFile) -> None:
    """What is written is read as it was, and written again to the same bytes."""
    data = dumps(sweep)
    assert loads(data, "s.json") == sweep
    assert dumps(loads(data, "s.json")) == data


def test_the_hash_is_over_the_hashes_of_the_plans(sweep: SweepFile) -> None:
    """Order and content count; ids do not."""
    other = make_sweep_file([replace(one, plan_id="a" * 32) for one in sweep.shards], "b" * 32)
    assert other.plan_hash == sweep.plan_hash
    assert make_sweep_file(sweep.shards[::-1], "b" * 32).plan_hash != sweep.plan_hash


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda raw: raw["shards"].pop(), "its plans have the hash"),
        (lambda raw: raw.update(plan_hash="sha256:0"), "it says sha256:0"),
        (lambda raw: raw["shards"][1]["plan"]["budget"].update(cost_cap_usd=9), "shard 2"),
    ],
)
def test_a_changed_sweep_is_refused(sweep: SweepFile, change: Any, told: str) -> None:
    """A run taken out, another hash, a plan that was edited: each is noticed."""
    raw = json.loads(dumps(sweep))
    change(raw)
    with pytest.raises(PlanRefused, match="tampered") as caught:
        loads(json.dumps(raw).encode(), "s.json")
    assert told in caught.value.message


def test_runs_must_belong_together() -> None:
    """Two runs of one name, a job alone, and another cap are not of one sweep."""
    for shards in (
        [shard(1), shard(1)],
        [shard(1), alone()],
        [shard(1), shard(2, cap_usd=9.0)],
    ):
        with pytest.raises(PlanRefused, match="tampered"):
            loads(dumps(make_sweep_file(shards, "f" * 32)), "s.json")


@pytest.mark.parametrize(
    "raw",
    [
        {"format": "runpod-deploy.plan/1"},
        {"format": "runpod-deploy.sweep/1", "plan_hash": "", "plan_id": "", "shards": []},
        {"format": "runpod-deploy.sweep/1", "plan_hash": 1, "plan_id": "", "shards": [{}]},
        {"format": "runpod-deploy.sweep/1"},
    ],
)
def test_what_is_no_sweep_is_told(raw: dict[str, Any]) -> None:
    """Another format, no runs, keys that are missing or of another type."""
    with pytest.raises(InvalidInput, match="is not a"):
        loads(json.dumps(raw).encode(), "s.json")


def test_a_newer_format_names_the_cure() -> None:
    """A file of a later version asks for an update."""
    with pytest.raises(PlanRefused) as caught:
        loads(b'{"format": "runpod-deploy.sweep/2"}', "s.json")
    assert "Update runpod-deploy" in (caught.value.help or "")
