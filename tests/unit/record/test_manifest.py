"""The manifest, its schema, and the cost it tells."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from record_cases import SHA, event, plan_file, schema, validator
from runpod_deploy.compiler.plan import GitFacts, LockfileFacts
from runpod_deploy.record.events import Event
from runpod_deploy.record.manifest import (
    Manifest,
    ManifestContext,
    build_manifest,
    load_manifest,
    mask_manifest,
    wall_time,
)
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.run import fold
from runpod_deploy.record.spending import Disks, accrued_usd

T0, T1, T2 = (f"2026-03-01T1{hour}:00:00.000000Z" for hour in (2, 3, 4))
STARTED = event("run_started", T0, run_id="r1", owner="me")
WANTED = {"gpu_id": "NVIDIA A40", "datacenter_id": "EU-1", "cloud_type": "SECURE"}


def pod(number: int, outcome: str = "created", rate: float | None = 0.5) -> list[Event]:
    """Return intent and outcome of a create."""
    name, pod_id = f"rd-{number}", f"p{number}" if outcome == "created" else None
    return [
        event("pod_create_intended", T0, op_id=name, name=name, **WANTED),
        event(
            "pod_create_settled",
            T0,
            op_id=name,
            outcome=outcome,
            pod_id=pod_id,
            cost_per_hour_usd=rate,
            error=None,
        ),
    ]


def gone(number: int, at: str = T1, outcome: str = "gone") -> Event:
    """Return the outcome of a delete."""
    fields = {"op_id": "d", "pod_id": f"p{number}", "outcome": outcome, "error": None}
    return event("pod_delete_settled", at, **fields)


def state(name: str, cause: str | None = None) -> Event:
    """Return a change of state."""
    return event("state_changed", T2, state=name, cause=cause)


PULLED = event(
    "artifact_pull_completed", label="model", duration_sec=2.5, files=1, bytes=3, sha256=SHA
)
ENDED = event(
    "job_ended",
    outcome="succeeded",
    exit_code=0,
    cause=None,
    log_bytes=9,
    success_marker_seen=None,
    failure_markers_seen=["Traceback"],
)
STEPS = [
    event("step_started", step="check"),
    event("step_completed", step="check", duration_sec=0.1),
]
RUNS: dict[str, list[Event]] = {
    "nothing": [],
    "not_provisioned": [STARTED, *pod(1, "refused", None), state("FAILED", "stock_out")],
    "success": [STARTED, *STEPS, *pod(1), ENDED, PULLED, gone(1), state("SUCCEEDED")],
    "failure": [
        STARTED,
        *pod(1),
        event("step_failed", step="setup", duration_sec=1.0, cause="remote_command", error="no"),
        event("artifact_pull_failed", label="model", duration_sec=1.0, error="gone"),
        gone(1),
        state("FAILED", "remote_command"),
    ],
    "leaked": [STARTED, *pod(1), gone(1, outcome="leaked"), state("LEAKED", "signal")],
    "maybe_leaked": [STARTED, *pod(1, "unknown", None), state("LEAKED")],
    "cancelled": [
        STARTED,
        *pod(1),
        event("artifact_pull_started", label="model"),
        event("warning", code="c", message="careful"),
        event("host_key_enrolled", pod_id="p1", fingerprint="SHA256:x"),
        gone(1),
        state("CANCELLED", "signal"),
    ],
    "going_on": [STARTED, *pod(1), *STEPS],
}


def context(**more: Any) -> ManifestContext:
    """Return what a manifest tells beside plan and events."""
    known: dict[str, Any] = {
        "written_at": T2,
        "tool_version": "1.0",
        "cloud": "emulator",
        "late_bound": {"run_dir": "/runs/1"},
        "git": None,
        "lockfile": None,
    }
    return ManifestContext(**{**known, **more})


RICH = context(
    git=GitFacts(sha="c0ffee", branch=None, dirty=True, prefix="sub", patch_sha256=SHA),
    lockfile=LockfileFacts(name="uv.lock", sha256=SHA),
    patch_file="local.patch",
    filled_scripts={"run": SHA},
    accrued_usd=0.5,
    estimated_usd=1.25,
    log_bytes=9,
    log_sha256=SHA,
    artifact_files={"model": [{"path": "m", "size": 3, "sha256": SHA}]},
    refused_files={"model": [{"path": "../x", "reason": "outside"}]},
    telemetry_files=("run.log",),
)


def build(name: str, told: ManifestContext | None = None) -> Manifest:
    """Return the manifest of one of the runs."""
    return Manifest(build_manifest(plan_file(), fold(RUNS[name]), told or context()))


def test_the_schema_is_valid_and_has_its_address() -> None:
    """The manifest schema is a valid 2020-12 schema with the fixed `$id`."""
    Draft202012Validator.check_schema(schema("manifest"))

    assert schema("manifest")["$id"] == "urn:runpod-deploy:schema:manifest:3"


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("told", [context(), RICH])
def test_every_manifest_satisfies_the_schema(name: str, told: ManifestContext) -> None:
    """However a run ended, and whatever is known of it, its file is as the schema says."""
    data = json.loads(json.dumps(dict(build(name, told))))

    assert [error.message for error in validator("manifest").iter_errors(data)] == []


def objects(described: Any) -> list[dict[str, Any]]:
    """Return every schema of an object with listed properties, at any depth."""
    if isinstance(described, list):
        return [one for item in described for one in objects(item)]
    if not isinstance(described, dict):
        return []
    inner = [one for item in described.values() for one in objects(item)]
    return [described, *inner] if isinstance(described.get("properties"), dict) else inner


def test_the_schema_describes_no_more_than_is_written() -> None:
    """The top-level fields, and those of every row, are exactly those of a manifest."""
    described = schema("manifest")
    written = build("failure", RICH)

    assert list(described["properties"]) != []
    assert set(written) == set(described["properties"]) == set(described["required"])
    for row, name in (
        (written["artifacts"][0], "artifact"),
        (written["source"]["git"], "git"),
        (written["source"]["lockfile"], "lockfile"),
        (written["pods"][0], "pod"),
        (written["steps"][0], "step"),
        (written["scripts"][0], "script"),
    ):
        assert set(row) == set(described["$defs"][name]["properties"])
    for key in ("deploy_metadata", "source", "cost", "log", "markers"):
        assert set(written[key]) == set(described["properties"][key]["properties"])


def test_every_field_is_described() -> None:
    """A stranger finds a sentence at every field, apart from free rows of files."""
    missing = [
        key
        for one in objects(schema("manifest"))
        if one.get("additionalProperties") is False
        for key, field in one["properties"].items()
        if not field.get("description", "").endswith(".")
    ]

    assert missing == []


def test_the_predecessor_finds_its_fields() -> None:
    """Every field of the v2 manifest is there under its name."""
    theirs = [
        "schema_version",
        "pulled_at_utc",
        "failed",
        "job_name",
        "run_id",
        "config_path",
        "storage_mode",
        "datacenter_id",
        "gpu_id",
        "gpu_price_per_hour_usd",
        "gpu_price_source",
        "pod_id",
        "pod_final_state",
        "pod_resumed",
        "image",
        "cost_cap_usd",
        "wall_time_sec",
        "estimated_cost_usd",
        "volume_mount",
        "volume_name",
        "volume_gb",
        "deploy_metadata",
        "artifacts",
        "telemetry_files",
    ]

    assert [key for key in theirs if key not in build("nothing")] == []
    assert build("nothing")["schema_version"] == "v2"


@pytest.mark.parametrize("name", RUNS)
def test_only_success_has_not_failed(name: str) -> None:
    """`failed` is true for every end but SUCCEEDED, and for a run that goes on."""
    assert (name != "success") == build(name)["failed"]
    assert (name == "success") == build(name).succeeded


def test_a_success_tells_what_came_back() -> None:
    """Paths are filled, sizes and digests told, and no error stands there."""
    written = build("success", RICH)
    (row,) = written["artifacts"]

    assert (row["local_path"], row["status"], row["bytes_transferred"]) == (
        "/runs/1/model",
        "success",
        3,
    )
    assert "error" not in row
    assert (written.exit_code, written["pod_final_state"]) == (0, "TERMINATED")
    assert (written["gpu_price_per_hour_usd"], written["gpu_price_source"]) == (0.5, "pod_cost")
    assert written["markers"] == {"success_seen": None, "failure_seen": ["Traceback"]}


def test_a_pull_that_was_cut_off_has_failed() -> None:
    """An artifact that was being pulled when the run ended did not come."""
    assert build("cancelled")["artifacts"][0]["status"] == "failed"
    assert build("not_provisioned")["artifacts"][0]["status"] == "skipped"


@pytest.mark.parametrize(("name", "named"), [("leaked", "p1"), ("maybe_leaked", "rd-1")])
def test_what_may_bill_is_named(name: str, named: str) -> None:
    """A leaked pod stands there with its id, or its name when it has none."""
    assert build(name)["leaked_pod_ids"] == [named]


def test_a_resumed_pod_is_told() -> None:
    """`pod_resumed` says whether a pod of an earlier run was used."""
    resumed = fold([STARTED, event("pod_resumed", pod_id="p", gpu_id="g", datacenter_id=None)])

    assert build_manifest(plan_file(), resumed, context())["pod_resumed"] is True
    assert build("success")["pod_resumed"] is False


def test_the_cost_is_that_of_every_pod() -> None:
    """Each pod counts from its create to its own end; a refused one counts nothing."""
    run = fold([*pod(1), *pod(2, rate=2.0), *pod(3, "refused"), gone(1, T1), gone(2, T2)])

    assert accrued_usd(run, "2026-03-02T00:00:00Z") == pytest.approx(0.5 * 1 + 2.0 * 2)


def test_the_cost_is_that_of_the_disks_too() -> None:
    """A pod costs its disks while it runs, and its own disk from its stop to its deletion."""
    stopped = event("pod_action_settled", T1, op_id="s", pod_id="p1", outcome="stopped", error=None)
    disks = Disks(running=0.1, stopped=0.2)

    assert accrued_usd(fold([*pod(1), stopped]), T2, None, disks) == pytest.approx(0.6 + 0.2)
    ended = fold([*pod(1), stopped, gone(1, T2)])
    assert accrued_usd(ended, "2026-03-02T00:00:00Z", None, disks) == pytest.approx(0.6 + 0.2)


def test_a_living_pod_costs_until_now() -> None:
    """A pod without an end counts up to the given time, never below zero."""
    run = fold(pod(1))

    assert accrued_usd(run, T2) == pytest.approx(1.0)
    assert accrued_usd(run, "2020-01-01T00:00:00Z") == 0.0


def test_a_pod_without_price_costs_the_assumed_rate() -> None:
    """Where the API gives no price the assumption counts, and nothing without one."""
    run = fold([*pod(1, rate=None), gone(1, T1)])

    assert accrued_usd(run, T2) == 0.0
    assert accrued_usd(run, T2, assumed_rate=3.0) == pytest.approx(3.0)


def test_times_that_cannot_be_read_count_nothing() -> None:
    """A spoilt stamp costs neither the manifest nor the other pods."""
    spoilt = [event(one.event, "soon", **one.fields) for one in pod(1)]

    assert accrued_usd(fold([*spoilt, *pod(2)]), T1) == pytest.approx(0.5)
    assert wall_time(fold([event("run_started", "soon")]), T1) is None


def test_the_wall_time_ends_with_the_run() -> None:
    """It counts to the final state, or to the time of writing while the run goes on."""
    assert wall_time(fold([STARTED, state("FAILED")]), "2030-01-01T00:00:00Z") == 7200.0
    assert wall_time(fold([STARTED]), T1) == 3600.0
    assert wall_time(fold([]), T1) is None


def test_a_time_without_zone_is_utc() -> None:
    """The predecessor's stamps are read in UTC wherever this machine is."""
    assert wall_time(fold([event("run_started", "2026-03-01T12:00:00")]), T1) == 3600.0


def test_a_masked_manifest_keeps_its_form() -> None:
    """Secrets go from texts; keys, ids and states stay, even when a secret is a part of them."""
    written = build("failure", RICH)
    secrets = Masker(
        ["plan", "FAILED", "p1p1", "rd-1", "NVIDIA", "emulator", "job.yaml", SHA, "../x"]
    )

    masked = mask_manifest(written, secrets)

    assert validator("manifest").is_valid(json.loads(json.dumps(masked)))
    assert (masked["state"], masked["plan_hash"], masked["pods"]) == (
        "FAILED",
        f"sha256:{SHA}",
        written["pods"],
    )
    assert mask_manifest({"variables": {"state": "FAILED"}}, secrets) == {
        "variables": {"state": "***"}
    }
    assert (masked["config_path"], masked["artifacts"][0]["refused"][0]["path"]) == ("***", "***")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a": "\xff"}']
)
def test_a_file_that_is_no_manifest_is_none(tmp_path: Path, content: bytes) -> None:
    """Whatever lies there is None rather than an error."""
    (tmp_path / "m.json").write_bytes(content)

    assert load_manifest(tmp_path / "m.json") is None
    assert load_manifest(tmp_path) is None
    assert load_manifest(tmp_path / "missing") is None


def test_a_manifest_of_the_predecessor_has_no_plan(tmp_path: Path) -> None:
    """What the old file does not say is None; it failed unless it says otherwise."""
    (tmp_path / "m.json").write_text('{"failed": "no", "exit_code": "0", "job_name": "j"}')
    loaded = load_manifest(tmp_path / "m.json")

    assert loaded is not None
    assert (loaded.plan_hash, loaded.exit_code, loaded.succeeded) == (None, None, False)
    assert "j" in repr(loaded)
