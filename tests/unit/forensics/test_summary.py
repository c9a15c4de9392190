"""One run in typed facts, from manifests of every version, from events alone, from nothing."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forensic_cases import MANIFEST_1, MANIFEST_2, OURS, line, make_run
from runpod_deploy.errors import InvalidInput
from runpod_deploy.forensics import summarise
from runpod_deploy.forensics.intoto import statement
from runpod_deploy.forensics.load import load_manifest
from runpod_deploy.forensics.totals import total
from runpod_deploy.record.run_lock import RunLock


def test_the_first_format_of_the_predecessor_is_read(tmp_path: Path) -> None:
    """What its files say is there, and what they never said is not known."""
    run = summarise(make_run(tmp_path, "20251102T085000Z", MANIFEST_1))

    assert (run.state, run.succeeded, run.gpu_id) == ("SUCCEEDED", True, "NVIDIA A40")
    assert (run.cost_usd, run.wall_time_sec, run.plan_hash) == (None, None, None)
    assert [(one.label, one.status, one.bytes) for one in run.artifacts] == [
        ("out", "success", None)
    ]


def test_the_second_format_of_the_predecessor_is_read(tmp_path: Path) -> None:
    """Money, source and failed artifacts come with their own words."""
    run = summarise(make_run(tmp_path, "20260514T120000Z", MANIFEST_2))

    assert (run.state, run.succeeded) == ("FAILED", False)
    assert (run.cost_usd, run.price_source) == (0.6, "pod_describe")
    assert (run.git_sha, run.git_dirty, run.lockfile) == ("ab" * 20, True, "uv.lock")
    assert (run.artifacts[0].required, run.artifacts[0].error) == (False, "rsync exit 23")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"state": "LEAKED"}, "LEAKED"),
        ({"state": "WORKING"}, "WORKING"),
        ({"state": 7}, "FAILED"),
        ({"state": None}, "FAILED"),
        ({"exit_code": 1}, "FAILED"),
        ({"leaked_pod_ids": ["p1"]}, "FAILED"),
        ({"failed": True}, "FAILED"),
        ({"failed": 0}, "FAILED"),
    ],
)
def test_a_file_that_contradicts_itself_did_not_succeed(
    tmp_path: Path, said: dict[str, Any], state: str
) -> None:
    """The gate believes no flag alone: state, exit code and leaked pods must agree with it."""
    run = summarise(make_run(tmp_path, "20260601T000000Z", {**OURS, **said}))

    assert (run.state, run.succeeded) == (state, False)


def test_our_manifest_tells_what_was_accrued(tmp_path: Path) -> None:
    """The accrued cost counts before the estimate that older readers look at."""
    run = summarise(make_run(tmp_path, "20260601T000000Z", OURS))

    assert (run.cost_usd, run.exit_code, run.gpu_count) == (0.07, 0, 2)
    assert run.gpus == f"2 × {run.gpu_id}"
    assert replace(run, node_count=4).gpus == f"4 nodes × 2 × {run.gpu_id}"
    assert replace(run, gpu_id=None).gpus is None
    assert run.artifact_bytes == 4096


def test_what_was_billed_counts_first(tmp_path: Path) -> None:
    """Once RunPod's own bill is known, it is the cost."""
    manifest = {**OURS, "cost": {"accrued_usd": 0.07, "billed_usd": 0.08}}

    assert summarise(make_run(tmp_path, "20260601T000000Z", manifest)).cost_usd == 0.08


def test_a_run_without_manifest_is_told_by_its_events(tmp_path: Path) -> None:
    """A killed run has a pod, a price and a state all the same."""
    offer = {"gpu_id": "NVIDIA L4", "datacenter_id": "EU-RO-1", "cloud_type": "SECURE"}
    events = [
        line("run_started", run_id="j-1", job_name="j", plan_hash="sha256:aa", cloud="runpod"),
        line("state_changed", state="WORKING", cause=None),
        line("pod_create_intended", op_id="rd-1", name="rd-1", **offer),
        line(
            "pod_create_settled",
            "2026-06-01T00:00:01Z",
            op_id="rd-1",
            outcome="created",
            pod_id="p1",
            cost_per_hour_usd=3.6,
        ),
        line("pod_delete_settled", "2026-06-01T00:10:00Z", op_id="d", pod_id="p1", outcome="gone"),
    ]
    run = summarise(make_run(tmp_path, "20260601T000000Z", None, events))

    assert (run.read_from, run.state, run.succeeded) == ("events", "WORKING", False)
    assert (run.run_id, run.pod_id, run.gpu_id) == ("j-1", "p1", "NVIDIA L4")
    assert run.cost_usd == pytest.approx(0.6)
    assert run.wall_time_sec == 600.0


def test_a_manifest_of_a_run_that_went_on_is_no_news(tmp_path: Path) -> None:
    """Written at a detach, it knows the source; what became of the run since is told by its events."""
    events = [
        line("run_started", run_id="j-1", job_name="j"),
        line("state_changed", "2026-06-01T00:00:05Z", state="DETACHED", cause="asked"),
        line("run_started", "2026-06-01T00:01:00Z", run_id="j-1", job_name="j"),
        line("state_changed", "2026-06-01T00:01:00Z", state="WORKING", cause=None),
    ]
    left = {**OURS, "failed": True, "state": "DETACHED", "exit_code": None, "wall_time_sec": 5.0}
    folder = make_run(tmp_path, "20260601T000000Z", left, events)
    run = summarise(folder)

    assert (run.state, run.succeeded, run.carried_on) == ("WORKING", False, False)
    assert run.git_sha == "ab" * 20
    assert run.wall_time_sec is not None
    assert run.wall_time_sec > 3600
    assert run == replace(
        summarise(folder / "runpod_deploy_pull_manifest.json"),
        folder=folder,
        wall_time_sec=run.wall_time_sec,
    )
    lock = RunLock.take(folder, owner="me", now=time.time())
    assert summarise(folder).carried_on is True
    lock.release()
    ended = [*events, line("state_changed", "2026-06-01T00:02:00Z", state="CANCELLED", cause="c")]
    (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in ended))
    run = summarise(folder)
    assert (run.state, run.carried_on, run.wall_time_sec) == ("CANCELLED", None, 120.0)


def test_an_empty_folder_is_a_run_of_which_nothing_is_known(tmp_path: Path) -> None:
    """Nothing is made up, and nothing of it is a success."""
    run = summarise(make_run(tmp_path, "20260601T000000Z"))

    assert (run.read_from, run.state, run.succeeded) == ("nothing", "UNKNOWN", False)


def test_sums_tell_what_they_leave_out(tmp_path: Path) -> None:
    """A run of unknown cost is counted as such and adds nothing."""
    made = [("20251102T085000Z", MANIFEST_1), ("20260514T120000Z", MANIFEST_2)]
    sums = total(summarise(make_run(tmp_path, name, manifest)) for name, manifest in made)

    assert (sums.runs, sums.succeeded, sums.cost_usd, sums.unpriced) == (2, 1, 0.6, 1)


def test_a_statement_names_every_result_by_its_digest(tmp_path: Path) -> None:
    """Subjects are the verified files, dependencies commit, lock file and plan."""
    manifest = load_manifest(make_run(tmp_path, "20260601T000000Z", OURS))
    assert manifest is not None
    told = statement(manifest)

    assert told["subject"] == [
        {"name": "model/w.bin", "digest": {"sha256": "bb" * 32}},
        {"name": "model/é/c.json", "digest": {"sha256": "cc" * 32}},
    ]
    definition = told["predicate"]["buildDefinition"]
    assert [one["digest"] for one in definition["resolvedDependencies"]] == [
        {"gitCommit": "ab" * 20},
        {"sha256": "cd" * 32},
        {"sha256": "0f" * 32},
    ]
    assert told["predicate"]["runDetails"]["metadata"]["finishedOn"] == "2026-06-01T00:10:00Z"


def test_a_statement_is_json_whatever_the_file_holds(tmp_path: Path) -> None:
    """NaN and infinities, which Python's own reader takes for numbers, become null."""
    odd = {**OURS, "gpu_count": math.nan, "variables": {"x": math.inf}, "run_id": -math.inf}
    manifest = load_manifest(make_run(tmp_path, "20260601T000000Z", odd))
    assert manifest is not None
    told = statement(manifest)

    assert json.dumps(told, allow_nan=False)
    assert told["predicate"]["buildDefinition"]["externalParameters"]["variables"] == {"x": None}


def test_without_digests_there_is_no_statement(tmp_path: Path) -> None:
    """The predecessor's runs verified nothing, so nothing is attested."""
    manifest = load_manifest(make_run(tmp_path, "20260514T120000Z", MANIFEST_2))
    assert manifest is not None

    with pytest.raises(InvalidInput, match="no digest"):
        statement(manifest)
