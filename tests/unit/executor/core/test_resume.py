"""An executor that dies at any moment, and a second one that carries its run on: nothing lost or left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runpod_deploy.compiler.plan import PlanSecret, PlanStorage
from runpod_deploy.errors import EffectUnknown, InvalidInput, Unavailable
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.executor.local_commands import LocalCommands
from runpod_deploy.record.journal import Journal, JournalError, read_events
from runpod_deploy.record.kept_pods import KeptPods
from runpod_deploy.record.run import Run, RunState, fold
from support.fake_pod import FakeMachine
from support.fakes import AfterEffect, unavailable
from support.killing import KILLED, Killed, after, at_call, at_event, kill, left_at
from support.plans import secret, small_plan
from support.rig import Rig, RigMaker

Scene = Callable[[Rig], None]
Killer = Callable[[Rig, int], None]

MOST_MOMENTS = 400
LOG = [
    (1.0, b"one\n__RUNPOD_STEP_START__train__\n"),
    (2.0, b"two\n__RUNPOD_STEP_DONE__train__\n"),
    (3.0, b"three\nlast words"),
]
WHOLE_LOG = b"".join(piece for _, piece in LOG)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


class Store(LocalCommands):
    """A password store on this machine."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def printed(self, command: str, folder: Path, environ: Mapping[str, str]) -> bytes:  # noqa: ARG002 - the port's
        """Tell the secret."""
        self.asked.append(command)
        return b"planted\n"


def plain(_rig: Rig) -> None:
    """Nothing goes wrong."""


def job_fails(rig: Rig) -> None:
    """The job itself fails."""
    rig.job.exit_code = 3


def lost_answer(rig: Rig) -> None:
    """The create call loses its answer; the pod is listed late."""
    rig.cloud.creates.append(AfterEffect(EffectUnknown("502", status=502), visible_in=2.0))


def bad_host(rig: Rig) -> None:
    """The first pod is not what was asked for."""
    rig.cloud.changes.append({"gpu_count": 2})


def missing_result(rig: Rig) -> None:
    """The job left nothing where its result should be."""
    path = rig.ctx.fill(rig.ctx.plan.artifacts[0].remote_path)
    rig.downloads.outcomes[path] = ["missing"] * 50


SCENES = [plain, job_fails, lost_answer, bad_host, missing_result]


def killed_then_resumed(rig: Rig, killer: Killer, k: int) -> tuple[Rig, Run] | None:
    """Run, kill at the k-th moment and resume; None when the run ended before."""
    killer(rig, k)
    with contextlib.suppress(Killed, JournalError):
        rig.run()
    if KILLED not in rig.listener.messages:
        return None
    second = after(rig)
    return second, second.run()


def chatty(make_rig: RigMaker) -> Rig:
    """Return a run whose job says something."""
    rig = make_rig()
    rig.job.chunks = list(LOG)
    return rig


@pytest.mark.parametrize(("killer", "stride"), [(at_event, 1), (at_call, 4)])
@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_any_moment_a_run_ends_as_if_it_was_not(
    make_rig: RigMaker, scene: Scene, killer: Killer, stride: int
) -> None:
    """Wherever the executor is killed, the next one brings the run to the same end, and one pod only."""
    undisturbed = chatty(make_rig)
    scene(undisturbed)
    expected = undisturbed.run()
    for k in range(1, MOST_MOMENTS, stride):
        rig = chatty(make_rig)
        scene(rig)
        ended = killed_then_resumed(rig, killer, k)
        if ended is None:
            break
        second, run = ended
        where = f"{scene.__name__}, {killer.__name__} {k}: {second.names()}"
        assert (run.state, run.cause) == (expected.state, expected.cause), where
        assert not rig.cloud.rented, where
        assert not run.open_intents, where
        assert not run.leaked, where
        assert second.log() == undisturbed.log(), where
        marks = second.names("remote_step_started", "remote_step_completed")
        assert marks == undisturbed.names("remote_step_started", "remote_step_completed"), where
        assert second.ctx.artifact_files == undisturbed.ctx.artifact_files, where
        assert second.ctx.filled_scripts.keys() == undisturbed.ctx.filled_scripts.keys(), where
        assert rig.cloud.most <= undisturbed.cloud.most, where
    else:
        pytest.fail("the run never ended before the kill")
    assert k > 20


def on_a_kept_pod(make_rig: RigMaker) -> Rig:
    """Return the second run of a job that keeps its pod, not begun yet."""
    plan = small_plan()
    lifecycle = replace(plan.lifecycle, on_success="recycle", state_file="kept.json")
    storage = PlanStorage(mode="ephemeral", mount="/workspace", volume_name=None, volume_gb=20)
    first = make_rig(replace(plan, storage=storage, lifecycle=lifecycle))
    first.run()
    return first.next_run()


@pytest.mark.parametrize(("killer", "stride"), [(at_event, 3), (at_call, 9)])
def test_killed_while_a_kept_pod_is_used_again(
    make_rig: RigMaker, killer: Killer, stride: int
) -> None:
    """Wherever that is, one pod is kept in the end, stopped and free; no other is left."""
    for k in range(1, MOST_MOMENTS, stride):
        rig = on_a_kept_pod(make_rig)
        ended = killed_then_resumed(rig, killer, k)
        if ended is None:
            break
        second, run = ended
        where = f"{killer.__name__} {k}: {second.names()} {second.listener.messages}"
        (entry,) = KeptPods(file=rig.ctx.project_root / "kept.json").read()
        assert (run.state, run.leaked, run.open_intents) == (RunState.SUCCEEDED, (), {}), where
        assert entry.claimed_by is None, where
        assert list(rig.cloud.rented) == [entry.pod_id], where
        assert rig.cloud.rented[entry.pod_id].pod.status == "EXITED", where
        assert rig.cloud.made == 1, where
        (rig.ctx.project_root / "kept.json").unlink()
    else:
        pytest.fail("the run never ended before the kill")
    assert k > 20


@pytest.mark.parametrize("further", [1, 2, 4, 7])
def test_killed_again_and_again_a_run_ends_as_if_it_was_not(
    make_rig: RigMaker, further: int
) -> None:
    """Whoever resumes may be killed as well, three times here: each next one goes on from there."""
    undisturbed = chatty(make_rig)
    expected = undisturbed.run()
    for first in range(2, 46, 5):
        rig = chatty(make_rig)
        lines = first
        for _ in range(3):
            at_event(rig, lines)
            with contextlib.suppress(Killed, JournalError):
                rig.run()
            if KILLED not in rig.listener.messages:
                break
            lines = sum(1 for _ in read_events(rig.ctx.journal.path)) + 1 + further
            rig = after(rig)
        run = fold(rig.events) if rig.engine.state.final else rig.run()
        where = f"{first}: {rig.names()}"
        assert (run.state, run.cause) == (expected.state, expected.cause), where
        assert (rig.cloud.most, rig.cloud.rented) == (1, {}), where
        assert rig.log() == undisturbed.log(), where
        marks = rig.names("remote_step_started", "remote_step_completed")
        assert marks == undisturbed.names("remote_step_started", "remote_step_completed"), where


def killed_while_undoing(rig: Rig, k: int) -> None:
    """Cancel a run after 20 seconds, and kill it after k lines from there on."""
    write, since = Journal.write, 0
    rig.connector.on_connect = lambda _transport: asyncio.get_running_loop().call_later(
        20.0, lambda: rig.interrupts.ask(Request.CANCEL, "SIGTERM")
    )

    def watched(self: Journal, name: str, /, **fields: object) -> object:
        nonlocal since
        if self._fd is None:
            raise Killed
        event = write(self, name, **fields)
        since += bool(since) or name == "step_failed"
        if since == k:
            kill(rig)
            raise Killed
        return event

    rig.ctx.journal.write = watched.__get__(rig.ctx.journal)
    with contextlib.suppress(Killed, JournalError):
        rig.run()


def test_run_that_was_being_cancelled_is_cancelled(make_rig: RigMaker) -> None:
    """Killed at any moment of the undoing, the next executor goes on undoing; no result is waited for."""
    for k in range(1, MOST_MOMENTS):
        rig = chatty(make_rig)
        rig.job.lasts = 600.0
        killed_while_undoing(rig, k)
        if KILLED not in rig.listener.messages:
            break
        second = after(rig)
        run = second.run()
        assert run.state is RunState.CANCELLED, (k, second.names())
        assert not rig.cloud.rented
        assert rig.clock.monotonic() < 500.0
    assert k > 5


@pytest.mark.parametrize("moment", ["at once", "at the login"])
def test_who_comes_back_can_leave_again_at_once(make_rig: RigMaker, moment: str) -> None:
    """A job that goes on alone is not cancelled by a detach before it is followed again."""
    rig = chatty(make_rig)
    rig.job.lasts = 100.0
    rig.connector.on_connect = lambda _transport: asyncio.get_running_loop().call_later(
        20.0, lambda: rig.interrupts.ask(Request.DETACH)
    )
    assert rig.run().state is RunState.DETACHED
    second = rig.resumed()
    if moment == "at once":
        second.interrupts.ask(Request.DETACH)
    else:
        second.connector.on_connect = lambda _transport: second.interrupts.ask(Request.DETACH)
    assert second.run().state is RunState.DETACHED
    assert len(rig.cloud.rented) == 1
    third = second.resumed()
    third.connector.on_connect = lambda _transport: None
    assert third.run().state is RunState.SUCCEEDED
    assert (rig.job.starts, third.log()) == (1, WHOLE_LOG)


def test_detached_run_is_carried_on(make_rig: RigMaker) -> None:
    """A job that was left alone is followed again, and its result brought home."""
    rig = chatty(make_rig)
    rig.job.lasts = 100.0
    rig.connector.on_connect = lambda _transport: asyncio.get_running_loop().call_later(
        20.0, lambda: rig.interrupts.ask(Request.DETACH)
    )
    assert rig.run().state is RunState.DETACHED
    second = rig.resumed()
    run = second.run()

    assert run.state is RunState.SUCCEEDED
    assert second.log() == WHOLE_LOG
    assert not rig.cloud.rented
    assert rig.job.starts == 1
    # The job is timed from its start, not from where its last executor came back to it.
    took = {one.name: one.duration_sec or 0.0 for one in run.steps}
    assert took["execute"] > 90.0


def test_api_that_cannot_be_asked_leaves_the_run_as_it_was(make_rig: RigMaker) -> None:
    """Nothing is concluded from silence: no verdict, no manifest, and the way to try again is told."""
    second = left_at(chatty(make_rig), "exec_start_settled")
    second.cloud.find_always = unavailable()
    run = second.run()

    assert second.engine.given_up
    assert isinstance(second.engine.failure, Unavailable)
    assert "resume" in (second.engine.failure.help or "")
    assert run.state is RunState.WORKING
    assert second.cloud.rented

    second.cloud.find_always = None
    third = second.resumed()
    assert third.run().state is RunState.SUCCEEDED


def test_missing_secret_leaves_the_run_as_it_was(make_rig: RigMaker) -> None:
    """Without its secrets nothing of a log can be hidden: it is said which are missing."""
    plan = replace(
        small_plan(),
        secrets=(
            PlanSecret(
                name="token",
                env=("TOKEN",),
                file=None,
                command=None,
                runpod=None,
                destination="/s",
                mode="0600",
                export=True,
            ),
        ),
    )
    rig = make_rig(plan, environ={"TOKEN": "planted"})
    second = left_at(rig, "exec_start_settled")
    second.ctx.environ = {}
    second.run()

    assert isinstance(second.engine.failure, InvalidInput)
    assert "TOKEN" in second.engine.failure.diagnostics[0].detail
    assert second.cloud.rented


@pytest.mark.parametrize("source", [{"command": "pass show hub"}, {"runpod": "hub"}])
def test_secrets_are_asked_for_again(make_rig: RigMaker, source: dict[str, str]) -> None:
    """They are written nowhere: a command runs once more, the pod is read once more, the log is hidden."""
    rig = make_rig(replace(small_plan(), secrets=(secret(env=(), **source),)))
    rig.ctx.commands = Store()
    rig.job.chunks = [(1.0, b"early planted\n"), (4.0, b"late planted\n")]
    rig.answering({"RUNPOD_DEPLOY_SECRET_hub": b"RUNPOD_DEPLOY_SECRET_hub=planted\n"})
    second = left_at(rig, "exec_start_settled")
    second.ctx.commands = store = Store()

    assert "SUCCEEDED" == second.run().state
    assert ["pass show hub"] * ("command" in source) == store.asked
    assert b"early ***\nlate ***\n" == second.log()


def test_without_leave_a_command_leaves_the_run_as_it_was(make_rig: RigMaker) -> None:
    """A run whose secrets may not be asked for again is not touched, and says how to allow it."""
    rig = make_rig(replace(small_plan(), secrets=(secret(env=(), command="pass show hub"),)))
    rig.ctx.commands = Store()
    second = left_at(rig, "exec_start_settled")
    second.run()

    assert isinstance(second.engine.failure, InvalidInput)
    assert "--allow-commands" in (second.engine.failure.diagnostics[0].help or "")
    assert second.cloud.rented


def test_host_that_was_being_given_up_is_followed_by_the_next(make_rig: RigMaker) -> None:
    """Killed while the pod of a host that will not do is deleted, a run goes on with the ring."""
    rig = chatty(make_rig)
    make = rig.cloud.machine

    def machine() -> FakeMachine:
        made = make()
        if len(rig.machines) == 1:
            made.probe = made.probe.replace(b"NVIDIA L4, 23034, 570.1\n", b"")
        return made

    rig.cloud.machine = machine
    second = left_at(rig, "pod_delete_intended")
    rig.cloud.vanish("pod1")
    run = second.run()

    assert ("SUCCEEDED", None) == (run.state, run.cause)
    assert (2, 1, {}) == (rig.cloud.made, rig.cloud.most, rig.cloud.rented)


@pytest.mark.parametrize(("deletes", "state"), [([], "SUCCEEDED"), (["lie"] * 99, "LEAKED")])
def test_pod_that_was_left_is_ended_before_another_is_rented(
    make_rig: RigMaker, deletes: list[Exception | str | None], state: str
) -> None:
    """A run that is carried on asks for the end of what is left first, and rents nothing beside it."""
    rig = chatty(make_rig)
    bad_host(rig)
    rig.cloud.deletes.extend(["lie"] * 99)
    second = left_at(rig, "pod_delete_settled")
    rig.cloud.deletes.clear()
    rig.cloud.deletes.extend(deletes)
    run = second.run()

    assert state == run.state
    assert 1 == rig.cloud.most


def test_pod_that_is_gone_fails_the_run(make_rig: RigMaker) -> None:
    """Whoever ended the pod meanwhile: the run says so, and nothing is left."""
    second = left_at(chatty(make_rig), "exec_start_settled")
    second.cloud.vanish("pod1")
    run = second.run()

    assert (run.state, run.cause) == (RunState.FAILED, "pod_killed")
    assert not run.leaked


def test_journal_that_lost_its_end_finds_the_pod_by_its_mark(make_rig: RigMaker) -> None:
    """A pod of which the journal knows nothing is the run's by its own word, and is taken up."""
    rig = chatty(make_rig)
    second = left_at(rig, "exec_start_settled")
    second.ctx.journal.close()
    path = second.ctx.journal.path
    lines = path.read_bytes().splitlines(keepends=True)
    before = next(i for i, one in enumerate(lines) if b"pod_create_intended" in one)
    path.write_bytes(b"".join(lines[:before]) + lines[before][:20])
    third = second.resumed()
    run = third.run()

    assert run.state is RunState.SUCCEEDED
    assert rig.cloud.made == 1
    assert not rig.cloud.rented
    assert third.log() == WHOLE_LOG


def test_commands_that_ended_are_not_run_again(make_rig: RigMaker) -> None:
    """Setup can be anything but repeatable: what ended well is left alone."""
    second = left_at(chatty(make_rig), "step_started", 6)
    second.run()

    commands = [one for machine in second.machines for one in machine.commands]
    assert sum("bin/step.sh" in one for one in commands) == 1


def test_long_log_is_read_on_and_not_from_its_beginning(make_rig: RigMaker) -> None:
    """From a place that is known on both sides on; what is shown again is nothing, what was seen counts."""
    rig = make_rig(secrets=("planted-token",))
    lines = [
        (
            float(second),
            b"x" * 999
            + b"\n"
            + b"planted-token\n" * 20_000
            + b"__RUNPOD_STEP_DONE__%d__\n" % second,
        )
        for second in range(1, 8)
    ]
    rig.job.chunks, rig.job.lasts = lines, 10.0
    second = left_at(rig, "log_progress", 2)
    known = [event for event in second.events if event.event == "log_progress"][-1]
    begun = len(second.machines[0].commands)
    run = second.run()

    raw = b"".join(piece for _, piece in lines)
    assert run.state is RunState.SUCCEEDED
    assert second.log() == raw.replace(b"planted-token", b"***")
    follows = [
        one for one in second.machines[0].commands[begun:] if "tail -c" in one and "-F" in one
    ]
    assert f"tail -c +{known['log_offset'] + 1} " in follows[0]
    assert known["log_offset"] > 256 * 1024
    told = [event["name"] for event in second.events if event.event == "remote_step_completed"]
    assert told == [str(number) for number in range(1, 8)]
    shown = b"".join(text for source, text in second.listener.outputs if source == "run")
    first = b"".join(text for source, text in rig.listener.outputs if source == "run")
    assert first + shown == second.log()


def test_leaked_pod_is_deleted_by_the_next(make_rig: RigMaker) -> None:
    """A run that could not confirm the end of its pod tries again when it is resumed."""
    rig = chatty(make_rig)
    rig.cloud.delete_always = "lie"
    assert rig.run().state is RunState.LEAKED

    rig.cloud.delete_always = None
    run = rig.resumed().run()
    assert (run.state, run.leaked) == (RunState.SUCCEEDED, ())
    assert not rig.cloud.rented


def test_end_is_told_again_without_a_change(make_rig: RigMaker) -> None:
    """A run that has ended is not touched: its end and its journal stay what they were."""
    rig = chatty(make_rig)
    before = rig.run()
    after = rig.resumed().run()

    assert (before.state, before.ended_at) == (after.state, after.ended_at)
