"""`resume`, `attach`, `detach`: which run is meant, what is handed on, and what is said about others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.cli import looking_on, resume_commands, terminal
from runpod_deploy.executor import resuming
from runpod_deploy.executor.run import Outcome
from runpod_deploy.record.event_lines import encode_event
from runpod_deploy.record.events import Event
from runpod_deploy.record.manifest import Manifest
from runpod_deploy.record.run import fold
from runpod_deploy.record.run_lock import LOCK_NAME, RunBusy, RunLock
from runpod_deploy.record.run_request import asked

Call = Callable[..., tuple[int, str, str]]
GONE = {"op_id": "delete-k3j5h2", "pod_id": "k3j5h2", "outcome": "gone", "error": None}
KEY = "rpa_SECRETSECRET"


def event(seq: int, name: str, /, **fields: Any) -> Event:
    """Return an event as it stands in a journal."""
    return Event(event=name, ts_utc=f"2026-05-14T02:12:{seq:02}.000000Z", seq=seq, fields=fields)


@pytest.fixture
def folder(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose command was killed under its job."""
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.setattr("tempfile.tempdir", str(project))  # where tracebacks of bugs would be kept
    call("plan", "job.yaml", "-o", "plan.json")
    folder = project / "artifacts/runpod/20260514T021200Z"
    folder.mkdir(parents=True)
    plan = (project / "plan.json").rename(folder / "plan.json")
    (folder / "ssh.salt").write_bytes(bytes(32))
    head = {
        "run_id": "small-20260514T021200Z",
        "job_name": "small",
        "plan_hash": json.loads(plan.read_text("utf-8"))["plan_hash"],
        "plan_id": "p",
        "tool_version": "0",
        "cloud": "runpod",
        "api_url": "https://api.runpod.io",
        "owner": "owner123",
        "pid": 1,
    }
    offer = {"gpu_id": "NVIDIA L4", "datacenter_id": "EU-RO-1", "cloud_type": "SECURE"}
    write(
        folder,
        event(1, "run_started", **head),
        event(2, "state_changed", state="WORKING", cause=None),
        event(3, "pod_create_intended", op_id="rd-1", name="rd-1", **offer),
        event(
            4,
            "pod_create_settled",
            op_id="rd-1",
            outcome="created",
            pod_id="k3j5h2",
            cost_per_hour_usd=0.44,
            error=None,
        ),
    )
    return folder


def write(folder: Path, *events: Event) -> None:
    """Append to the journal of a run."""
    with (folder / "events.jsonl").open("ab") as journal:
        journal.writelines(map(encode_event, events))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the executor is given; its run succeeds."""
    calls: list[dict[str, Any]] = []

    async def stand_in(begun: resuming.Begun, **rest: Any) -> Outcome:
        calls.append({"begun": begun, **rest})
        told = [
            event(5, "pod_delete_settled", **GONE),
            event(6, "state_changed", state="SUCCEEDED", cause=None),
        ]
        for one in told:
            for sink in rest["listeners"].sinks:
                sink(one)
        run = fold(told, begun.run)
        return Outcome(run=run, manifest=Manifest({}), folder=begun.folder, failure=None)

    monkeypatch.setattr(resuming, "resume", stand_in)
    return calls


@pytest.mark.parametrize("command", ["resume", "attach"])
@pytest.mark.parametrize(
    "named", [(), ("last",), ("20260514T021200Z",), ("small-20260514T021200Z",)]
)
def test_run_is_carried_on_where_it_began(
    folder: Path, given: list[dict[str, Any]], call: Call, command: str, named: Sequence[str]
) -> None:
    """Project and cloud are those of the run, the key is this machine's."""
    status, out, err = call(command, *named)
    (one,) = given
    assert (0, "") == (status, err)
    assert "SUCCEEDED" in out
    assert one["begun"].folder == folder
    assert one["project_root"] == Path.cwd()
    assert (one["target"].label, one["target"].api_key) == ("runpod", KEY)


def test_json_is_lines_with_the_result_last(folder: Path, given: Any, call: Call) -> None:
    """Programs read a resumed run as they read any other."""
    del folder, given
    status, out, _ = call("resume", "--json")
    last = json.loads(out.splitlines()[-1])
    assert (status, last["event"], last["state"]) == (0, "result", "SUCCEEDED")


def test_folder_outside_of_its_project_needs_one(
    folder: Path, given: list[dict[str, Any]], call: Call, project: Path
) -> None:
    """A copy does not say where results go: status 4 names the flag, which then decides."""
    copy = folder.rename(project / "copy")
    status, _, err = call("resume", "copy")
    assert (4, True) == (status, "--project DIR" in err)
    assert [] == given

    (project / "here").mkdir()
    assert 0 == call("resume", str(copy), "--project", "here")[0]
    assert given[0]["project_root"] == project / "here"


def test_key_is_sent_nowhere_because_a_folder_says_so(
    folder: Path, given: list[dict[str, Any]], call: Call
) -> None:
    """A run folder may come from a stranger: an API of another address is not asked."""
    journal = folder / "events.jsonl"
    journal.write_text(journal.read_text().replace("https://api.runpod.io", "https://evil.example"))
    status, out, err = call("resume")
    assert (4, True) == (status, "evil.example" in err)
    assert [] == given
    assert KEY not in out + err


def test_without_a_key_nothing_is_done(
    folder: Path, given: list[dict[str, Any]], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 5, as everywhere."""
    del folder
    monkeypatch.delenv("RUNPOD_API_KEY")
    assert 5 == call("resume")[0]
    assert [] == given


def test_another_key_than_the_runs_is_told_before_anything_is_done(
    folder: Path, call: Call
) -> None:
    """The run's SSH key comes from its API key: with another one, the results would be given up."""
    (folder / ".apply.json").write_text('{"public_key": "ssh-ed25519 OTHER"}')
    before = (folder / "events.jsonl").read_bytes()
    status, _, err = call("resume")
    assert (5, True) == (status, "not the API key that the run began with" in err)
    assert before == (folder / "events.jsonl").read_bytes()


def test_run_that_is_over_is_told_again(folder: Path, call: Call) -> None:
    """Nothing is asked or written: the end stands in the folder, with its exit status."""
    write(
        folder,
        event(5, "pod_delete_settled", **GONE),
        event(6, "state_changed", state="FAILED", cause="exit_code"),
    )
    (folder / "runpod_deploy_pull_manifest.json").write_text('{"state": "FAILED", "failed": true}')
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    status, out, _ = call("resume")
    assert (1, True) == (status, "FAILED" in out)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_other_executor_is_named(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that another process has is refused with status 1, and its pod is not called leaked."""
    del folder

    async def busy(*_args: object, **_rest: object) -> Outcome:
        raise RunBusy("The run is being carried on by process 7 on this machine.")

    monkeypatch.setattr(resuming, "resume", busy)
    status, out, err = call("resume")
    assert (1, True) == (status, "process 7" in err)
    assert "LEAKED" not in out + err
    assert "remove" not in out + err


def held(folder: Path) -> None:
    """Let another living process have the run."""
    RunLock.take(folder, owner="owner123", now=1.0)
    fields = json.loads((folder / LOCK_NAME).read_bytes())
    fields |= {"pid": os.getppid(), "started": "", "token": "other"}
    (folder / LOCK_NAME).write_text(json.dumps(fields))


def test_attach_looks_on_where_another_process_works(
    folder: Path, given: list[dict[str, Any]], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other one writes is shown until the run ends; its end decides the exit status."""
    held(folder)
    steps = iter(
        (
            lambda: (folder / "run.log").write_text("epoch 1\n"),
            lambda: write(folder, event(5, "state_changed", state="FAILED", cause="exit_code")),
            (folder / LOCK_NAME).unlink,
        )
    )
    monkeypatch.setattr(looking_on.time, "sleep", lambda _seconds: next(steps)())
    status, out, err = call("attach")
    assert (1, True, True) == (status, "epoch 1" in out, "FAILED" in err)
    assert [] == given


def test_attach_says_when_the_other_process_died(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that nobody carries on any more is not taken for one that ended."""
    held(folder)
    monkeypatch.setattr(looking_on.time, "sleep", lambda _seconds: (folder / LOCK_NAME).unlink())
    Path("policy.yaml").write_text(POLICY.format(0.1))
    status, _, err = call("attach", "--policy", "policy.yaml")
    assert (1, True) == (status, "runpod-deploy resume" in err)
    assert "no policy is asked" in err


def test_detach_asks_the_process_that_has_the_run(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked by the run folder, and its word is waited for."""
    held(folder)

    def other(_seconds: float) -> None:
        assert asked(folder) == "detach"
        write(folder, event(5, "state_changed", state="DETACHED", cause="asked"))
        (folder / LOCK_NAME).unlink()

    monkeypatch.setattr(resume_commands.time, "sleep", other)
    status, _, err = call("detach")
    assert (0, True) == (status, "runpod-deploy attach" in err)
    assert "for at most $0.25" in err


def test_detach_without_anybody_says_how_to_come_back(folder: Path, call: Call) -> None:
    """A run that nobody watches needs no detaching; one that has ended cannot be detached from."""
    status, _, err = call("detach")
    assert (0, True) == (status, "Nobody watches it" in err)

    write(folder, event(5, "state_changed", state="SUCCEEDED", cause=None))
    assert 4 == call("detach")[0]


@pytest.mark.parametrize(
    ("answer", "status", "resumed", "said"),
    [
        ("x\nr\n", 0, 1, "SUCCEEDED"),
        ("q\n", 1, 0, "Nothing was done."),
        ("", 1, 0, "Nothing was done."),
        ("n\nn\n", 1, 0, "Apply this plan on RunPod"),
    ],
)
def test_apply_offers_the_unfinished_run_of_the_plan(
    folder: Path,
    given: list[dict[str, Any]],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    status: int,
    resumed: int,
    said: str,
) -> None:
    """At a terminal it is resumed, left, or followed by a new one, as the person says."""
    original = terminal.open_terminal
    monkeypatch.setattr(
        "runpod_deploy.cli.apply_commands.open_terminal",
        lambda **flags: replace(original(**flags), asks=True),
    )
    code, out, err = call("apply", "job.yaml", answer=answer)
    assert (status, resumed) == (code, len(given))
    assert folder.name in err
    assert "with pod k3j5h2" in err
    assert said in out + err


POLICY = "policy_version: 1\nrules:\n  max_cost_cap_usd: {}\n"


def test_a_policy_is_held_before_a_run_is_carried_on(
    folder: Path,
    given: list[dict[str, Any]],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By `resume --policy` and `attach --policy`, and by `apply --policy` whose unfinished run is resumed."""
    original = terminal.open_terminal
    monkeypatch.setattr(
        "runpod_deploy.cli.apply_commands.open_terminal",
        lambda **flags: replace(original(**flags), asks=True),
    )
    Path("policy.yaml").write_text(POLICY.format(0.1))
    for args in (("resume",), ("attach",), ("apply", "job.yaml")):
        status, _, err = call(*args, "--policy", "policy.yaml", answer="r\n")
        assert (6, []) == (status, given)
        assert "`budget.cost_cap_usd` is 0.25" in " ".join(err.split())
        assert f"runpod-deploy cancel {folder}" in err

    Path("policy.yaml").write_text(POLICY.format(1))
    assert 0 == call("resume", "--policy", "policy.yaml")[0]
    assert 1 == len(given)


def test_what_a_run_may_touch_is_settled_when_it_begins(
    folder: Path, given: list[dict[str, Any]], call: Call
) -> None:
    """`--allow-path` is for the runs of a sweep that are still to begin."""
    status, _, err = call("resume", str(folder), "--allow-path", ".")
    assert (4, []) == (status, given)
    assert "goes with a sweep" in err
