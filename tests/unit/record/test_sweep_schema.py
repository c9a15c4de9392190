"""The published schemas of a sweep are held against what is written of one."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from record_cases import plan_file
from runpod_deploy.compiler.sweepfile import dumps, make_sweep_file
from runpod_deploy.record.events import Event
from runpod_deploy.record.states import RunState
from runpod_deploy.record.sweep import WAITING, WORKING, fold_sweep, sweep_manifest
from runpod_deploy.schema.hover import published_schema

NAMES = ("seed=1", "seed=2", "seed=3")


def validator(name: str) -> Draft202012Validator:
    """Return what checks a document as a program of somebody else would: with the published file alone."""
    return Draft202012Validator(json.loads(published_schema(name)))


def manifest(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the manifest of a sweep of three runs after these events."""
    told = [
        Event(event=name, ts_utc="2026-05-14T02:12:00.000000Z", fields=of) for name, of in events
    ]
    return sweep_manifest(
        fold_sweep(told, NAMES),
        plan_hash="sha256:" + "ab" * 32,
        plan_id="f" * 32,
        job_name="digits",
        values={name: dict([name.split("=")]) for name in NAMES},
        written_at="2026-05-14T02:12:00.000000Z",
        tool_version="0",
    )


def ended(state: str, cause: str | None) -> dict[str, Any]:
    """Return what is told of the end of the first run."""
    return {
        "shard": NAMES[0],
        "state": state,
        "cause": cause,
        "error": cause,
        "cost_usd": 0.25,
        "again": cause == "stock_out",
    }


def test_a_sweep_is_valid_with_its_plans() -> None:
    """One file checks the sweep and every plan in it."""
    sweep = json.loads(dumps(make_sweep_file([plan_file()], "f" * 32)))

    validator("sweep").validate(sweep)
    sweep["shards"][0]["plan"]["unheard_of"] = 1
    with pytest.raises(ValidationError, match="unheard_of"):
        validator("sweep").validate(sweep)


@pytest.mark.parametrize("state", sorted({*RunState} - {RunState.NEW}))
@pytest.mark.parametrize("cause", [None, "job_failed", "stock_out"])
def test_the_manifest_is_valid_however_a_run_ends(state: str, cause: str | None) -> None:
    """Waiting, working, skipped, begun again: each is described."""
    check = validator("sweep-manifest")
    check.validate(manifest())
    begun = [
        ("sweep_started", {}),
        ("shard_started", {"shard": NAMES[0]}),
        ("shard_opened", {"shard": NAMES[0], "run_dir": "artifacts/runpod/x"}),
    ]
    working = manifest(*begun)
    check.validate(working)
    assert [WORKING, WAITING, WAITING] == [one["state"] for one in working["shards"]]

    over = manifest(
        *begun,
        ("shard_ended", ended(state, cause)),
        ("shard_skipped", {"shard": NAMES[1], "cause": "fail_fast"}),
        ("sweep_ended", {"state": "FAILED", "cause": cause}),
    )

    check.validate(over)
    assert 0.25 == over["cost_usd"]
