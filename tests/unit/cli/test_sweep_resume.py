"""`resume` of a sweep: what its runs that are still to begin may touch, and which policy they keep."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.cli import sweep_resume
from runpod_deploy.record.event_lines import encode_event
from runpod_deploy.record.events import Event

Call = Callable[..., tuple[int, str, str]]
MATRIX = 'matrix:\n  axes:\n    seed: ["1", "2"]\n'
ENDED: dict[str, Any] = {"state": "SUCCEEDED", "cause": None, "error": None, "cost_usd": 0.0}


@pytest.fixture
def folder(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a sweep whose command was killed when its first run was over."""
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRETSECRET")
    job = project / "job.yaml"
    image = "runpod/pytorch:1.0.7-cu1281-torch291-ubuntu2204"
    job.write_text(job.read_text().replace(image, "runpod/base:1.0.{{ seed }}") + MATRIX)
    folder = project / "artifacts" / "runpod" / ".sweeps" / "T"
    folder.mkdir(parents=True)
    status, _, err = call("plan", "job.yaml", "-o", str(folder / "sweep.json"))
    assert 0 == status, err
    head = {"cloud": "runpod", "api_url": "https://api.runpod.io"}
    events = (
        ("sweep_started", head),
        ("shard_started", {"shard": "seed=2"}),
        ("shard_ended", {"shard": "seed=2", "again": False, **ENDED}),
    )
    with (folder / "events.jsonl").open("wb") as journal:
        for seq, (name, fields) in enumerate(events, 1):
            ts = f"2026-05-14T02:12:{seq:02}.000000Z"
            journal.write(encode_event(Event(event=name, ts_utc=ts, seq=seq, fields=fields)))
    return folder


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> list[sweep_resume.World]:
    """In which worlds sweeps would have been carried on."""
    seen: list[sweep_resume.World] = []

    def carried(*_: Any, world: sweep_resume.World, **__: Any) -> None:
        seen.append(world)

    def watched(*args: Any) -> int:
        args[-1](None, None)
        return 0

    monkeypatch.setattr(sweep_resume, "carry_on_sweep", carried)
    monkeypatch.setattr(sweep_resume, "watch_sweep", watched)
    return seen


def test_paths_outside_are_allowed_anew(
    folder: Path, worlds: list[sweep_resume.World], call: Call
) -> None:
    """What a command line allowed is no part of a sweep's folder."""
    assert 0 == call("resume", str(folder), "--allow-path", "/data", "--allow-path", "/more")[0]
    assert (Path("/data"), Path("/more")) == worlds[0].allow_paths


@pytest.mark.parametrize(("image", "status"), [("*:1.0.1", 0), ("*:1.0.2", 6)])
def test_a_policy_is_about_the_runs_that_are_not_over(
    folder: Path, worlds: list[sweep_resume.World], call: Call, image: str, status: int
) -> None:
    """What has ended is past; what is still to be rented is not."""
    Path("policy.yaml").write_text(f"policy_version: 1\nrules:\n  allowed_images: ['{image}']\n")

    found, _, err = call("resume", str(folder), "--policy", "policy.yaml")

    assert (status, status == 0) == (found, len(worlds) == 1), err
    assert status == 0 or "runpod-deploy cancel RUN" in err
