"""`reap`, `ls-stale` and `cleanup` over an account in memory."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from begun_run import STAMP, Begun
from runpod_deploy.errors import AccountError, Unavailable
from runpod_deploy.executor.ports import Bill, Pod
from runpod_deploy.executor.releasing import CONFIRM_WITHIN_SEC, end_pod
from runpod_deploy.record.ledger import Ledger
from runpod_deploy.record.run_lock import RunLock
from runpod_deploy.record.run_request import asked
from support.virtual_time import FakeClock, run_virtual

Call = Callable[..., tuple[int, str, str]]


def pod(
    pod_id: str,
    status: str = "RUNNING",
    owner: str = "me",
    dead_after: float = 1.0,
    run: str | None = None,
) -> Pod:
    """Return a pod of somebody, over unless told otherwise."""
    run = run or f"run-{pod_id}"
    meta = {"owner": owner, "dead_after": dead_after, "keep_hours": 1, "run": run}
    raw = {
        "env": {"RUNPOD_DEPLOY_META": json.dumps(meta)},
        "mounts": {"persistent": {"size": 30}},
        "startedAt": "2026-01-01T00:00:00Z",
    }
    return Pod(
        id=pod_id,
        name=f"rd-{owner[:8]}-x-20260101T000000Z-1abcd",
        status=status,
        gpu="NVIDIA L4",
        gpu_count=1,
        cloud="SECURE",
        datacenter="EU-RO-1",
        cost=0.5 if status == "RUNNING" else None,
        image=None,
        ssh=None,
        raw=raw,
    )


class FakeAccount:
    """Pods by id; those in `stubborn` never go."""

    def __init__(self, *pods: Pod) -> None:
        self.held = {one.id: one for one in pods}
        self.stubborn: set[str] = set()
        self.refuses: Exception | None = None
        self.calls: list[str] = []
        self.unseen: str | None = None

    async def pods(self) -> list[Pod]:
        """Return all."""
        return list(self.held.values())

    async def get(self, pod_id: str) -> Pod | None:
        """Return one."""
        return self.held.get(pod_id)

    async def act(self, pod_id: str, action: str) -> None:
        """Stop one."""
        self.calls.append(f"{action} {pod_id}")
        self.held[pod_id] = replace(self.held[pod_id], status="EXITED")

    async def delete(self, pod_id: str) -> None:
        """Delete one."""
        self.calls.append(f"delete {pod_id}")
        if self.refuses is not None:
            raise self.refuses
        if pod_id not in self.stubborn:
            self.held.pop(pod_id, None)

    async def billed(self, since: str, pod_id: str | None = None) -> list[Bill]:  # noqa: ARG002 - the port
        """Return nothing."""
        return []


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> FakeAccount:
    """An account with pods of ours, over and wanted, and of somebody else."""
    future = time.time() + 10**6
    fake = FakeAccount(
        pod("over1"),
        pod("over2", "EXITED"),
        pod("wanted", dead_after=future),
        pod("kept", "EXITED", dead_after=time.time()),
        pod("theirs", owner="them"),
    )

    def with_account(_cloud: Any, _terminal: Any, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            return await work(fake)

        return asyncio.run(whole())

    monkeypatch.setattr("runpod_deploy.cli.fleet_commands.with_account", with_account)
    monkeypatch.setattr("runpod_deploy.executor.releasing.CONFIRM_WITHIN_SEC", 0.0)
    monkeypatch.setenv("RUNPOD_DEPLOY_OWNER", "me")
    return fake


def test_reap_shows_and_does_nothing_unless_told(account: FakeAccount, call: Call) -> None:
    """The dry run is the default; it says how to go on, and that others' pods are left alone."""
    code, told, hint = call("reap")

    assert (code, account.calls) == (0, [])
    assert [row.split()[0] for row in told.splitlines()[1:]] == ["over1", "over2", "wanted", "kept"]
    assert "reap --yes" in hint
    assert "1 pod of others" in hint
    assert "theirs" not in told


def test_reap_deletes_what_is_over_and_nothing_else(account: FakeAccount, call: Call) -> None:
    """What may be wanted stays, and so does what is somebody else's."""
    code, told, _ = call("reap", "--yes", "--json")
    rows = {row["pod_id"]: (row["verdict"], row["ended"]) for row in json.loads(told)["pods"]}

    assert code == 0
    assert rows == {
        "over1": ("over", True),
        "over2": ("over", True),
        "wanted": ("wanted", None),
        "kept": ("wanted", None),
    }
    assert set(account.held) == {"wanted", "kept", "theirs"}


def test_a_pod_that_reap_cannot_end_is_a_leak(account: FakeAccount, call: Call) -> None:
    """Exit status 7, and which one it is."""
    account.stubborn = {"over1"}
    code, told, _ = call("reap", "--yes")

    assert code == 7
    assert "NOT gone" in next(row for row in told.splitlines() if "over1" in row)


def test_reap_does_not_call_unseen_clusters_none(
    account: FakeAccount, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A key that sees no clusters reaps pods as ever; where one of ours is open, it exits with 7."""
    account.held.clear()
    assert (0, True) == (call("reap")[0], json.loads(call("reap", "--json")[1])["clusters_seen"])
    account.unseen = "HTTP 403"
    code, told, _ = call("reap")
    assert (0, "no pods of yours; clusters could not be seen\n") == (code, told)
    assert not json.loads(call("reap", "--json")[1])["clusters_seen"]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    ledger = Ledger(tmp_path / "runpod-deploy" / "ledger.jsonl")
    with ledger.locked():
        ledger.add("opened", "rd-c", time.time(), cloud="runpod", cluster=True)
    assert 7 == call("reap", "--cloud", "runpod")[0]
    with ledger.locked():
        ledger.add("gone", "rd-c", time.time())
    assert 0 == call("reap", "--cloud", "runpod")[0]


def test_whoever_asks_the_account_hears_of_clusters_that_cannot_be_seen(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning, also where the rest was done: none of them may be taken for there being none."""

    class Restricted(FakeAccount):
        def __init__(self, *_target: str) -> None:
            super().__init__()
            self.unseen = "GET /v2/clusters answered HTTP 403"

        async def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("runpod_deploy.executor.runpod.account.WholeAccount", Restricted)
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_not_a_key_at_all")
    monkeypatch.setenv("RUNPOD_DEPLOY_OWNER", "me")
    code, _, said = call("ls-stale", "--cloud", "runpod", "--quiet")
    assert code == 0
    assert "warning: clusters cannot be seen" in said
    assert "HTTP 403" in said


def test_a_machine_that_made_no_pod_does_not_guess(
    account: FakeAccount, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It asks for the owner, and makes up none that would be kept."""
    monkeypatch.delenv("RUNPOD_DEPLOY_OWNER")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert call("reap")[0] == 4
    assert list(tmp_path.iterdir()) == []
    assert [
        row["pod_id"] for row in json.loads(call("reap", "--owner", "them", "--json")[1])["pods"]
    ] == ["theirs"]
    assert account.calls == []


def test_stale_pods_are_the_stopped_ones(account: FakeAccount, call: Call) -> None:
    """Each with its disk, at the price of a stopped one, and since when it may have been stopped."""
    _, told, hint = call("ls-stale")
    rows = json.loads(call("ls-stale", "--json")[1])

    assert [row["pod_id"] for row in rows] == ["over2", "kept"]
    assert all(row["storage_usd_per_day"] == 0.2 and row["age_hours"] > 0 for row in rows)
    assert "$0.20/day" in told
    assert "2 pods, $0.40 a day" in hint
    assert account.calls == []


def test_cleanup_takes_what_is_named_or_all_that_are_stopped(
    account: FakeAccount, call: Call
) -> None:
    """Not both, not neither; running ones only by name; a dry run does nothing."""
    assert call("cleanup")[0] == 4
    assert call("cleanup", "over1", "--all-stopped")[0] == 4
    assert call("cleanup", "--all-stopped", "--dry-run")[0] == 0
    assert account.calls == []
    assert call("cleanup", "--all-stopped", "--yes")[0] == 0
    assert set(account.held) == {"over1", "wanted", "theirs"}
    assert call("cleanup", "wanted", "--mode", "stop", "--yes")[0] == 0
    assert account.held["wanted"].status == "EXITED"
    assert call("cleanup", "theirs", "--yes")[0] == 4
    status, out, errors = call("cleanup", "never-was", "--yes")
    assert (0, "no such pods of yours\n") == (status, out)
    assert "never-was: this account has no such pod" in errors


def test_cleanup_says_which_pods_did_not_end(account: FakeAccount, call: Call) -> None:
    """Exit status 2; the others are ended all the same."""
    account.stubborn = {"over1"}
    code, told, wrong = call("cleanup", "over1", "over2", "--yes")

    assert code == 2
    assert "over2: deleted" in told
    assert "over1: NOT deleted: the API still shows the pod" in wrong


def test_cleanup_asks_and_needs_somebody_to_answer(account: FakeAccount, call: Call) -> None:
    """Without a terminal and without --yes nothing is ended."""
    code, _, wrong = call("cleanup", "over1")

    assert (code, account.calls) == (4, [])
    assert "--yes" in wrong


def test_a_state_file_names_its_pod(account: FakeAccount, call: Call, tmp_path: Path) -> None:
    """That of an earlier release still does; one that names none is refused."""
    state = tmp_path / "state"
    state.write_text('{"pod_id": "over1"}')
    assert call("cleanup", "--state-file", str(state), "--yes")[0] == 0
    assert "over1" not in account.held
    state.write_text("{}")
    assert call("cleanup", "--state-file", str(state), "--yes")[0] == 4
    assert call("cleanup", "--state-file", str(tmp_path / "none"), "--yes")[0] == 4


def test_an_end_is_asked_for_until_it_is_confirmed() -> None:
    """A 204 proves nothing; failures are asked again, a refused key is not."""
    clock = FakeClock()
    account = FakeAccount(pod("p"))
    account.refuses = Unavailable("502")

    async def later() -> str | None:
        async def mend() -> None:
            await clock.sleep(5)
            account.refuses = None

        mending = asyncio.create_task(mend())
        ended = await end_pod(account, clock, "p", "delete")
        await mending
        return ended

    assert run_virtual(later()) is None
    assert len(account.calls) > 2
    account = FakeAccount(pod("p"))
    account.stubborn = {"p"}
    assert run_virtual(end_pod(account, clock, "p", "delete")) == "the API still shows the pod"
    account.refuses = AccountError("no key")
    account.calls = []
    assert run_virtual(end_pod(account, clock, "p", "delete")) == "no key"
    assert len(account.calls) == 1
    assert CONFIRM_WITHIN_SEC >= 60


def test_a_run_is_named_as_everywhere(account: FakeAccount, call: Call, project: Path) -> None:
    """Folder, its name, run id or `last`; of a run that was killed the journal knows the pods."""
    begun = Begun(project).with_job()
    for name in (str(begun.path), STAMP, "train-1", "last"):
        account.held["pod1"] = pod("pod1", run="train-1")
        code, told, _ = call("cleanup", name, "--yes")
        assert (code, told.splitlines()[-1]) == (0, "pod1: deleted"), name
    assert set(account.held) == {"over1", "over2", "wanted", "kept", "theirs"}
    (project / "empty").mkdir()
    code, _, wrong = call("cleanup", "empty", "--yes")
    assert (code, "neither a run folder nor a manifest" in wrong) == (4, True)


def test_a_pod_that_another_run_has_now_is_not_touched(
    account: FakeAccount, call: Call, project: Path
) -> None:
    """A pod that was kept and used again is no longer that of the run that kept it."""
    Begun(project).with_job()
    account.held["pod1"] = pod("pod1", run="train-2")

    code, _, wrong = call("cleanup", "train-1", "--yes")

    assert (code, account.calls) == (4, [])
    assert "pod1 was kept by train-1, and train-2 has it now" in wrong
    assert "cleanup pod1" in wrong
    assert call("cleanup", "pod1", "--yes")[0] == 0


def test_a_run_without_a_pod_says_so(account: FakeAccount, call: Call, project: Path) -> None:
    """Nothing is asked and nothing is ended."""
    Begun(project)
    code, _, wrong = call("cleanup", "last", "--yes")
    assert (code, account.calls) == (4, [])
    assert "had no pod" in wrong


@pytest.mark.parametrize(
    ("retry", "command", "expected"),
    [
        (1, ("cleanup", "over1"), "cancel"),
        (1, ("reap",), "cancel"),
        (0, ("cleanup", "over1"), None),
        (1, ("cleanup", "over2"), None),
        (1, ("cleanup", "over3"), None),
    ],
)
def test_a_run_that_would_rent_another_pod_gets_word(
    account: FakeAccount,
    project: Path,
    call: Call,
    retry: int,
    command: tuple[str, ...],
    expected: str | None,
) -> None:
    """Who ends the pod of a run that is carried on and tries again means the run."""
    begun = Begun(project).with_job()
    begun.plan(lifecycle={"retry": retry})
    journal = begun.path / "events.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"train-1"', f'"train-{STAMP}"'.encode()))
    account.held["over1"] = pod("over1", run=f"train-{STAMP}")
    account.held["over3"] = pod("over3", run=f"another-{STAMP}")
    lock = RunLock.take(begun.path, owner="me", now=time.time())
    code, _, told = call(*command, "--yes")
    lock.release()

    assert 0 == code
    assert expected == asked(begun.path)
    assert (expected is not None) is ("asked to end as well" in told)
