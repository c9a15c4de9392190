"""Commands that are given the folder of a sweep: two are about it, the others name its runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from begun_run import Begun
from runpod_deploy.cli import sweep_cancel
from runpod_deploy.forensics.load import walk_run_dirs
from runpod_deploy.forensics.sweeps import read_sweep
from runpod_deploy.record.event_lines import encode_event
from runpod_deploy.record.events import Event
from runpod_deploy.record.run_lock import RunLock
from runpod_deploy.record.run_request import asked

Call = Callable[..., tuple[int, str, str]]
SWEEP = "artifacts/runpod/.sweeps/20261126T034643Z"


@pytest.fixture
def begun(project: Path) -> Begun:
    """A run of the sweep, whose job goes on."""
    return Begun(project).with_job()


@pytest.fixture
def folder(project: Path, begun: Begun) -> Path:
    """The folder of a sweep of three: one is at work, one failed and lost its folder, one waits."""
    folder = project / SWEEP
    folder.mkdir(parents=True)
    plans = [{"plan": {"matrix": {"name": name}, "job": {"name": "tune"}}} for name in "abc"]
    (folder / "sweep.json").write_text(json.dumps({"shards": plans}))
    failed = {"state": "FAILED", "cause": "StockOut", "error": "none", "cost_usd": 0.25}
    _write(
        folder,
        ("sweep_started", {"cloud": "emulator", "job_name": "tune"}),
        ("shard_started", {"shard": "a"}),
        ("shard_opened", {"shard": "a", "run_dir": f"artifacts/runpod/{begun.path.name}"}),
        ("shard_started", {"shard": "b"}),
        ("shard_opened", {"shard": "b", "run_dir": "artifacts/runpod/gone"}),
        ("shard_ended", {"shard": "b", "again": False, **failed}),
    )
    return folder


def _write(folder: Path, *events: tuple[str, dict[str, Any]]) -> None:
    with (folder / "events.jsonl").open("ab") as journal:
        for seq, (name, fields) in enumerate(events, 1):
            ts = f"2026-05-14T02:12:{seq:02}.000000Z"
            journal.write(encode_event(Event(event=name, ts_utc=ts, seq=seq, fields=fields)))


def test_status_tells_each_run(folder: Path, begun: Begun, call: Call) -> None:
    """The table has every run, with the step, the cost and the folder that its own folder tells."""
    code, out, _ = call("status", SWEEP)
    assert (code, out.count("execute")) == (0, 1)
    assert "3: 1 working, 1 failed, 1 waiting" in out
    assert "no GPU was free" in out
    assert f"artifacts/runpod/{begun.path.name}" in out
    assert "nobody carries this sweep on" in out
    assert f"runpod-deploy resume {SWEEP}" in out
    RunLock.take(folder, owner="me", now=time.time())
    data = json.loads(call("status", folder.name, "--json")[1])
    assert [one["state"] for one in data["shards"]] == ["WORKING", "FAILED", "WAITING"]
    assert (data["executor"]["here"], data["next"]) == (True, [f"runpod-deploy cancel {SWEEP}"])


@pytest.mark.parametrize(
    "command",
    ["logs", "events", "report", "manifest-summary", "detach", "attach", "ssh", "cleanup"],
)
def test_the_others_name_the_runs(folder: Path, begun: Begun, call: Call, command: str) -> None:
    """A sweep is never read as a run of which nothing is known."""
    code, out, err = call(command, str(folder))
    assert (code, out) == (4, "")
    assert "is the folder of a sweep" in err
    assert f"artifacts/runpod/{begun.path.name}" in err


def test_its_manifest_is_none_of_a_run(folder: Path, call: Call) -> None:
    """Nor is the file in it that says which run ended how."""
    file = folder / "sweep_manifest.json"
    file.write_text("{}")
    code, _, err = call("manifest-summary", str(file))
    assert (code, "is the folder of a sweep" in err) == (4, True)


def test_its_runs_are_found_below_it(folder: Path, begun: Begun) -> None:
    """`--root SWEEP` means the runs of the sweep that are still there; the sweeps are none."""
    assert [one.resolve() for one in walk_run_dirs(folder)] == [begun.path.resolve()]
    assert walk_run_dirs(folder.parent) == []


def test_a_spoilt_folder_is_read_as_far_as_it_goes(folder: Path) -> None:
    """Neither a broken plan, nor events of another shape, nor a folder elsewhere stops the reading."""
    (folder / "sweep.json").write_text("[")
    _write(
        folder,
        ("shard_ended", {"shard": "a"}),
        ("shard_opened", {"shard": "b", "run_dir": "../../etc"}),
    )
    sweep = read_sweep(folder)
    assert list(sweep.run.shards) == ["a", "b"]
    assert [one.name for one in walk_run_dirs(folder)] != ["etc"]


def test_cancel_asks_who_carries_it_on(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second time it is asked to hurry; a Ctrl-C takes nothing back."""

    def interrupted(*_: object) -> bool:
        return False

    monkeypatch.setattr(sweep_cancel, "_watch", interrupted)
    RunLock.take(folder, owner="me", now=time.time())
    for word in ("cancel", "hurry"):
        code, _, err = call("cancel", SWEEP)
        assert (code, asked(folder)) == (130, word)
        assert "goes on doing so" in err


def test_cancel_takes_it_up_where_nobody_does(
    folder: Path, begun: Begun, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runs are taken up for their end only; what is left of their pods is the exit status."""
    words: list[str | None] = []

    def taken_up(place: Path, *_: object, **__: object) -> int:
        words.append(asked(place))
        begun.gone().state("CANCELLED", "cancelled")
        return 130

    monkeypatch.setattr("runpod_deploy.cli.sweep_resume.resume_sweep", taken_up)
    code, _, err = call("cancel", SWEEP)
    assert (code, words) == (0, ["cancel"])
    assert "ended from here" in err
    assert "nothing to cancel" in call("cancel", SWEEP)[2]
    assert words == ["cancel"]
    assert folder.is_dir()
