"""A pod that is lost: another attempt elsewhere, from the last checkpoint, within the same money."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Plan, PlanStorage, PlanUpload
from runpod_deploy.errors import ConnectionLost, StepFailed, Unavailable
from runpod_deploy.executor import checkpoints
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.executor.ports import Volume
from runpod_deploy.executor.retrying import LOOK_AGAIN_SEC, set_aside
from runpod_deploy.executor.sync.download import DownloadReport
from runpod_deploy.executor.sync.upload import UploadReport
from runpod_deploy.record.journal import JournalError
from runpod_deploy.record.manifest import ManifestContext, build_manifest
from support.fakes import FakeJob, FakeMachine
from support.killing import KILLED, Killed, after, at_call, at_event
from support.plans import L4, artifact, changed, secret, small_plan
from support.rig import Downloads, Rig, RigMaker

DIES_AFTER_SEC = 95.0
KEEPS = PlanStorage(mode="ephemeral", mount="/workspace", volume_name=None, volume_gb=20)


def retrying(retry: int = 2, **parts: dict[str, Any]) -> Plan:
    """Return a plan with more attempts, whose artifact comes home every minute."""
    plan = replace(small_plan(), artifacts=(artifact("model", every_minutes=1.0),))
    return changed(plan, lifecycle={"retry": retry}, **parts)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the transfer to a pod; returns what was sent."""
    calls: list[Any] = []

    async def upload(transport: Any, **given: Any) -> UploadReport:
        await transport.run("upload")
        calls.append(given)
        return UploadReport(
            files=1, links=0, bytes=3, unchanged=0, sent=9, created=True, deleted=(), foreign=False
        )

    monkeypatch.setattr("runpod_deploy.executor.checkpoints.upload", upload)
    return calls


@pytest.fixture(autouse=True)
def real_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is downloaded have the digest of what lies there then."""
    download = Downloads.download

    async def proven(self: Downloads, transport: Any, **given: Any) -> DownloadReport:
        report = await download(self, transport, **given)
        digest = hashlib.sha256(b"abc").hexdigest()
        return replace(report, entries=tuple({**one, "sha256": digest} for one in report.entries))

    monkeypatch.setattr(Downloads, "download", proven)


def losing(
    make_rig: RigMaker, *states: str, plan: Plan | None = None, answers: bool = False
) -> Rig:
    """Return a run whose first pods come to these states while their job runs, one after the other.

    Args:
        answers: Whether they can be talked to all the same.
    """
    rig = make_rig(plan or retrying())
    jobs: list[FakeJob] = []
    get = rig.cloud.get

    def machine() -> FakeMachine:
        number = len(jobs) + 1
        lasts = 1000.0 if number <= len(states) else 5.0
        jobs.append(FakeJob(chunks=[(1.0, b"attempt %d\n" % number)], lasts=lasts))
        rig.machines.append(FakeMachine(job=jobs[-1]))
        return rig.machines[-1]

    async def see(pod_id: str) -> Any:
        rented = rig.cloud.rented.get(pod_id)
        job = rented.machine.job if rented else None
        begun = job.started_at if job in jobs[: len(states)] and job else None
        if rented and begun is not None and rig.clock.monotonic() >= begun + DIES_AFTER_SEC:
            state = states[jobs.index(rented.machine.job)]
            if state == "gone":
                rig.cloud.vanish(pod_id)
            else:
                rig.cloud.change(pod_id, status=state)
                if not answers:
                    rented.machine.kill()
        return await get(pod_id)

    rig.cloud.machine = machine
    rig.cloud.get = see
    return rig


@pytest.mark.parametrize("state", ["gone", "ERROR", "TERMINATED", "EXITED"])
def test_a_lost_pod_is_replaced_by_the_next_candidate(
    make_rig: RigMaker, sent: list[Any], state: str
) -> None:
    """Its end is confirmed first; what came home last is put back, and the job begins anew."""
    rig = losing(make_rig, state)
    run = rig.run()

    assert ("SUCCEEDED", None) == (run.state, run.cause)
    assert 1 == rig.cloud.most
    assert {} == rig.cloud.rented
    first, second = rig.cloud.requests
    assert (L4.gpu, L4.gpu) != (first.gpu, second.gpu)
    lost = rig.one("attempt_lost").fields
    assert (1, 1, "pod1", state) == tuple(
        lost[key] for key in ("attempt", "left", "pod_id", "state")
    )
    names = rig.names()
    asked = [i for i, name in enumerate(names) if name == "pod_create_intended"]
    assert names.index("attempt_lost") < names.index("pod_delete_settled") < asked[1]
    (given,) = sent
    assert "/workspace/model" == given["destination"]
    assert ["model.bin"] == [entry.path for entry in given["entries"]]
    assert 1 == rig.one("checkpoint_restored")["files"]
    assert b"attempt 2\n" == rig.log()
    assert b"attempt 1\n" == (rig.ctx.folder.path / "run.attempt-1.log").read_bytes()
    assert ["pod1"] == [one.pod_id for one in run.lost]


@pytest.mark.parametrize("state", ["EXITED", "ERROR"])
def test_a_pod_that_may_hold_results_is_kept(make_rig: RigMaker, state: str) -> None:
    """Its job may have ended before the pod was stopped: nothing is deleted, and nothing done again."""
    rig = losing(make_rig, state, plan=replace(retrying(), storage=KEEPS))
    run = rig.run()
    assert ("KEPT", "pod_killed") == (run.state, run.cause)
    assert [] == rig.names("attempt_lost", "pod_delete_intended")
    assert 1 == len(rig.cloud.requests)


def test_a_stopped_pod_whose_job_was_not_begun_holds_nothing(make_rig: RigMaker) -> None:
    """Whatever its disk outlives, another one is rented."""
    rig = make_rig(replace(retrying(), storage=KEEPS))
    get = rig.cloud.get

    async def see(pod_id: str) -> Any:
        if pod_id == "pod1" and "setup" == rig.events[-1].fields.get("step"):
            rig.cloud.change(pod_id, status="EXITED")
        return await get(pod_id)

    rig.answering({"scripts/setup-1": [StepFailed("no space", cause="command_failed")]})
    rig.cloud.get = see
    assert "SUCCEEDED" == rig.run().state
    assert 2 == len(rig.cloud.requests)


def test_what_a_broken_pod_still_gives_comes_home_first(make_rig: RigMaker) -> None:
    """One that the API calls broken may answer all the same: it is asked before it is deleted."""
    rig = losing(make_rig, "ERROR", answers=True)
    assert "SUCCEEDED" == rig.run().state
    names = rig.names()
    assert names.index("artifact_pull_completed") < names.index("attempt_lost")
    assert any("supervisor.sh stop" in command for command in rig.machines[0].commands)
    assert 2 == len(rig.cloud.requests)


def test_results_that_are_here_are_not_made_again(make_rig: RigMaker) -> None:
    """A pod that is lost while it sends them on ends the run: they are here, not in the bucket."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIAPLANTED", "AWS_SECRET_ACCESS_KEY": "planted-key"}
    upload = PlanUpload(to="s3://results/x", endpoint="https://store.test", secret="bucket")
    signs = secret("bucket", env=tuple(keys), export=False)
    plan = replace(retrying(), artifacts=(artifact("model", upload=upload),), secrets=(signs,))
    rig = make_rig(plan, environ=keys)
    rig.answering({"upload.sh check": b'{"done": {}}\n', "upload.sh send": ConnectionLost("reset")})
    write = rig.ctx.journal.write

    def told(name: str, /, **fields: Any) -> Any:
        if name == "upload_intended":
            rig.cloud.vanish("pod1")
        return write(name, **fields)

    rig.ctx.journal.write = told
    run = rig.run()
    assert ("FAILED", "not_verified") == (run.state, run.cause)
    assert "attempt_lost" not in rig.names()
    assert b"abc" == (rig.ctx.folder.path / "model" / "model.bin").read_bytes()
    assert "are here, and their bucket does not hold them" in str(rig.engine.failure)


def test_the_manifest_names_lost_attempts(make_rig: RigMaker) -> None:
    """Each with its pod, and the cost of all of them is the run's."""
    rig = losing(make_rig, "gone", "gone")
    run = rig.run()
    context = ManifestContext(
        written_at="2027-01-15T09:00:00.000000Z",
        tool_version="0",
        cloud="emulator",
        late_bound=rig.ctx.late_bound,
        git=None,
        lockfile=None,
    )
    manifest = build_manifest(rig.ctx.plan_file, run, context)
    assert [(1, "pod1", "gone"), (2, "pod2", "gone")] == [
        (row["number"], row["pod_id"], row["state"]) for row in manifest["lost_attempts"]
    ]
    assert 3 == len(manifest["pods"])
    assert "SUCCEEDED" == manifest["state"]


def test_no_more_attempts_than_were_asked_for(make_rig: RigMaker) -> None:
    """The last loss ends the run as every loss does without the key."""
    rig = losing(make_rig, "gone", "gone", plan=retrying(1))
    run = rig.run()
    assert ("FAILED", "pod_killed") == (run.state, run.cause)
    assert 2 == len(rig.cloud.requests)
    assert 1 == rig.names().count("attempt_lost")


def test_the_only_candidate_is_asked_again(make_rig: RigMaker) -> None:
    """With nowhere else to go, the same place gets another chance."""
    rig = losing(make_rig, "gone", plan=replace(retrying(), candidates=(L4,)))
    assert "SUCCEEDED" == rig.run().state
    assert [L4.gpu, L4.gpu] == [request.gpu for request in rig.cloud.requests]


def test_a_job_that_fails_by_itself_is_not_tried_again(make_rig: RigMaker) -> None:
    """Another machine would not make it right."""
    rig = make_rig(retrying())
    rig.job.exit_code = 3
    run = rig.run()
    assert ("FAILED", "exit_code") == (run.state, run.cause)
    assert 1 == len(rig.cloud.requests)


def test_without_money_there_is_no_other_attempt(make_rig: RigMaker) -> None:
    """What the job may use is counted over all attempts."""
    plan = retrying(budget={"cost_cap_usd": 0.02, "soft_cap_fraction": 0.9})
    rig = losing(make_rig, "gone", plan=plan)
    run = rig.run()
    assert "FAILED" == run.state
    assert 1 == len(rig.cloud.requests)


def test_a_pod_whose_end_is_not_confirmed_is_the_last(make_rig: RigMaker) -> None:
    """Nothing is rented beside a pod that may still be there."""
    rig = losing(make_rig, "ERROR")
    rig.cloud.delete_always = "lie"
    run = rig.run()
    assert "LEAKED" == run.state
    assert 1 == len(rig.cloud.requests)


def test_an_api_that_does_not_answer_loses_no_pod(make_rig: RigMaker) -> None:
    """Silence proves nothing: the run ends as it does without the key."""
    rig = losing(make_rig, "gone")
    get = rig.cloud.get

    async def silent_after(pod_id: str) -> Any:
        seen = await get(pod_id)
        if "pod_killed_unexpected" in rig.names():
            raise Unavailable("503", status=503)
        return seen

    rig.cloud.get = silent_after
    rig.run()
    assert "attempt_lost" not in rig.names()
    assert 1 == len(rig.cloud.requests)


def test_a_large_checkpoint_has_the_time_that_it_takes(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of `stage` is planned for the payload; what is put back comes on top of it."""
    rig = losing(make_rig, "gone")
    monkeypatch.setattr(checkpoints, "SLOWEST_BYTES_PER_SEC", 0.001)  # of three bytes
    upload = checkpoints.upload

    async def slow(transport: Any, **given: Any) -> UploadReport:
        await asyncio.sleep(3000.0)
        return await upload(transport, **given)

    monkeypatch.setattr(checkpoints, "upload", slow)
    assert ("SUCCEEDED", None) == ((run := rig.run()).state, run.cause)
    assert 2 == len(rig.cloud.requests)


def test_one_look_loses_no_pod(make_rig: RigMaker) -> None:
    """An API that once does not know a pod, and then does, has not lost it."""
    rig = losing(make_rig, "gone", answers=True)
    get, looks = rig.cloud.get, []

    async def wavering(pod_id: str) -> Any:
        if "pod_killed_unexpected" in rig.names() and not rig.names("attempt_lost"):
            looks.append(rig.clock.monotonic())
            return None if len(looks) == 1 else rig.cloud.gone["pod1"].pod
        return await get(pod_id)

    rig.cloud.get = wavering
    rig.run()
    assert looks[1] - looks[0] >= LOOK_AGAIN_SEC
    assert "attempt_lost" not in rig.names()


def test_results_on_a_network_volume_are_there_already(make_rig: RigMaker, sent: list[Any]) -> None:
    """What lies on the volume is newer than what came home."""
    volume = PlanStorage(mode="network_volume", mount="/workspace", volume_name="v", volume_gb=None)
    rig = losing(make_rig, "gone", plan=replace(retrying(), storage=volume))
    rig.cloud.known_volumes.append(Volume(id="vol1", name="v", datacenter="EU-RO-1", size_gb=10))
    rig.run()
    assert [] == sent


def test_files_that_changed_here_are_not_put_back(make_rig: RigMaker, sent: list[Any]) -> None:
    """Only what is as it was proven goes back; the rest is told."""
    rig = losing(make_rig, "gone")
    delete = rig.cloud.delete

    async def meanwhile(pod_id: str) -> None:
        (rig.ctx.folder.path / "model" / "model.bin").write_bytes(b"mine")
        await delete(pod_id)

    rig.cloud.delete = meanwhile
    run = rig.run()
    assert [] == sent
    assert any("not as they were brought home" in one for one in run.warnings)


def test_a_cancel_while_the_pod_is_cleared_away_is_heard(make_rig: RigMaker) -> None:
    """No other pod is asked for afterwards."""
    rig = losing(make_rig, "gone")
    delete = rig.cloud.delete

    async def asked(pod_id: str) -> None:
        rig.interrupts.ask(Request.CANCEL)
        await delete(pod_id)

    rig.cloud.delete = asked
    assert "CANCELLED" == rig.run().state
    assert 1 == len(rig.cloud.requests)


@pytest.mark.parametrize(("killer", "stride"), [(at_event, 2), (at_call, 9)])
def test_killed_at_any_moment_it_goes_on(
    make_rig: RigMaker, killer: Callable[[Rig, int], None], stride: int
) -> None:
    """Before, within and after the loss: two pods in all, one at a time, both logs whole."""
    for k in range(1, 400, stride):
        rig = losing(make_rig, "gone")
        killer(rig, k)
        with contextlib.suppress(Killed, JournalError):
            rig.run()
        if KILLED not in rig.listener.messages:
            break
        second = after(rig)
        run = second.run()
        where = f"{killer.__name__} {k}: {second.names()}"
        assert "SUCCEEDED" == run.state, where
        assert (1, {}) == (rig.cloud.most, rig.cloud.rented), where
        assert {} == run.open_intents, where
        assert 2 == len(rig.machines), where
        assert b"attempt 2\n" == second.log(), where
        aside = second.ctx.folder.path / "run.attempt-1.log"
        assert b"attempt 1\n" == aside.read_bytes(), where
        assert 1 == len(run.lost), where
    else:
        pytest.fail("the run never ended before the kill")
    assert k > 20


def test_what_is_kept_of_an_attempt_is_not_overwritten(tmp_path: Path) -> None:
    """Asked again after a crash, nothing that was set aside is lost."""
    (tmp_path / "run.log").write_bytes(b"one")
    set_aside(tmp_path, 1)
    (tmp_path / "run.log").write_bytes(b"two")
    set_aside(tmp_path, 1)
    assert b"one" == (tmp_path / "run.attempt-1.log").read_bytes()
    assert b"two" == (tmp_path / "run.log").read_bytes()
