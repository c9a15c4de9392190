"""The whole of a run: order of events, limits, and a way out of every failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.errors import (
    ConnectionLost,
    HostKeyChanged,
    InvalidInput,
    StepFailed,
    TransportError,
)
from runpod_deploy.executor import undoing as undoing_module
from runpod_deploy.executor.commands import COMMAND_LOG
from runpod_deploy.executor.ports import Completed
from runpod_deploy.executor.undo import UndoStack
from runpod_deploy.record.journal import Journal, JournalError
from runpod_deploy.record.run import fold
from support.fake_pod import FakeTransport
from support.fakes import FakeJob, FakeMachine, Gate, run_virtual
from support.plans import STEPS, artifact, changed, script, secret, small_plan
from support.rig import Rig, RigMaker

HAPPY = [
    "state_changed",
    *("step_started", "step_completed"),  # check
    "step_started",  # provision
    *("pod_create_intended", "pod_create_settled", "gpu_selected", "pod_ready"),
    "step_completed",
    *("step_started", "host_key_enrolled", "step_completed"),  # connect
    *("step_started", "admission_checked", "step_completed"),  # admit
    *("step_started", "command_started", "command_completed", "step_completed"),  # setup
    *("step_started", "step_completed"),  # stage
    *("step_started", "secret_delivered", "step_completed"),  # secrets
    *("step_started", "step_completed"),  # preflight
    *("step_started", "exec_start_intended", "exec_start_settled"),  # execute
    *("remote_step_started", "remote_step_completed", "job_ended", "step_completed"),
    *("step_started", "pull_intended", "artifact_pull_started", "artifact_pull_completed"),
    *("pull_settled", "step_completed"),  # collect
    *("step_started", "pod_delete_intended", "pod_delete_settled", "step_completed"),  # release
    "state_changed",
]


def on_machine(rig: Rig, act: Any) -> None:
    """Change the first pod's inside before anything is asked of it."""

    def once(_number: int, _name: str) -> None:
        if rig.machines:
            act(rig.machines[0])
            rig.clock.gate.act = None

    rig.clock.gate.act = once


def test_happy_path_runs_every_step_in_order_and_leaves_no_pod(make_rig: RigMaker) -> None:
    """A run that succeeds writes exactly these events, and its pod is confirmed gone."""
    log = b"__RUNPOD_STEP_START__train__\nhello\n__RUNPOD_STEP_DONE__train__\n"
    rig = make_rig(
        replace(small_plan(), secrets=(secret(),)),
        job=FakeJob(chunks=[(1.0, log)]),
        environ={"HF_TOKEN": "s3cr3t-value"},
    )
    run = rig.run()
    assert ["run_started", *HAPPY] == rig.names()
    assert "SUCCEEDED" == run.state
    assert [step.name for step in STEPS] == [step.name for step in run.steps]
    assert {"completed"} == {step.state for step in run.steps}
    assert rig.engine.failure is None
    assert {} == rig.cloud.rented
    assert {} == dict(run.open_intents)
    assert log == rig.log()
    assert ("hf",) == run.secrets_delivered


@pytest.mark.parametrize(
    ("cost", "cap", "minutes", "limit"),
    [
        (1.0, 10.0, 60.0, (3600, "max_runtime")),
        (1.0, 0.5, 60.0, (1613, "cost_cap")),
        (1.0, 10.0, None, (32308, "cost_cap")),
        (None, 10.0, None, (0, "max_runtime")),
        (None, 10.0, 5.0, (300, "max_runtime")),
    ],
)
def test_supervisor_is_given_the_earlier_limit(
    make_rig: RigMaker,
    cost: float | None,
    cap: float,
    minutes: float | None,
    limit: tuple[int, str],
) -> None:
    """The soft limit counts from the create call, disks included, runtime from the start; 0 is no limit."""
    plan = changed(small_plan(), budget={"cost_cap_usd": cap, "max_runtime_minutes": minutes})
    rig = make_rig(plan)
    rig.cloud.cost = cost
    rig.run()
    seconds, reason = rig.job.limit
    assert limit[1] == reason
    assert abs(limit[0] - seconds) <= 3


def test_money_that_is_spent_before_the_start_ends_the_run(make_rig: RigMaker) -> None:
    """A cap that setup used up is a failure of that cause, and the run is never begun."""
    plan = changed(small_plan(), budget={"cost_cap_usd": 0.0001})
    rig = make_rig(plan)
    run = rig.run()
    assert ("FAILED", "cost_cap") == (run.state, run.cause)
    assert 0 == rig.job.starts
    assert "failed" == rig.one("exec_start_settled")["outcome"]


@pytest.mark.parametrize("name", ["setup", "preflight"])
def test_step_that_takes_too_long_fails_and_releases(make_rig: RigMaker, name: str) -> None:
    """A step's limit ends it with cause timeout; the pod is released."""
    steps = tuple(replace(step, timeout_sec=30.0) if step.name == name else step for step in STEPS)
    scripts = (script("slow", name, timeout_sec=None), script("run", "run"))
    rig = make_rig(replace(small_plan(), steps=steps, scripts=scripts))
    on_machine(rig, lambda machine: machine.hangs.add("slow.sh"))
    run = rig.run()
    assert ("FAILED", "timeout") == (run.state, run.cause)
    assert f"Step {name} did not end within 30 s." == str(rig.engine.failure)
    assert {} == rig.cloud.rented


def test_remote_command_without_an_answer_is_a_timeout_not_our_bug(make_rig: RigMaker) -> None:
    """A pod that does not answer within a command's own limit fails the step with cause timeout."""
    rig = make_rig(replace(small_plan(), secrets=(secret(),)), environ={"HF_TOKEN": "s3cr3t-value"})
    on_machine(rig, lambda machine: machine.hangs.add("^umask 077 && mkdir"))
    run = rig.run()
    assert ("FAILED", "timeout") == (run.state, run.cause)
    assert {} == rig.cloud.rented


def test_step_with_retries_is_tried_again_over_a_new_connection(make_rig: RigMaker) -> None:
    """A step that may be repeated is, after its connection broke, on a new one."""
    rig = make_rig(replace(small_plan(), secrets=(secret(),)), environ={"HF_TOKEN": "s3cr3t-value"})
    lost = ConnectionLost("broken pipe")
    on_machine(rig, lambda machine: machine.replies.update({"^umask 077 && mkdir": [lost, lost]}))
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert 3 == len(rig.connector.opened)
    assert all(transport.closed for transport in rig.connector.opened)


def test_step_is_not_repeated_more_often_than_the_plan_says(make_rig: RigMaker) -> None:
    """Once its retries are used up, the lost connection is the step's failure."""
    rig = make_rig(replace(small_plan(), secrets=(secret(),)), environ={"HF_TOKEN": "s3cr3t-value"})
    lost = ConnectionLost("broken pipe")
    on_machine(rig, lambda machine: machine.replies.update({"^umask 077 && mkdir": lost}))
    run = rig.run()
    assert ("FAILED", "ConnectionLost") == (run.state, run.cause)
    tries = [command for command in rig.machines[0].commands if "mkdir -p" in command]
    assert 3 == len(tries)
    assert {} == rig.cloud.rented


def test_step_that_says_no_is_not_repeated(make_rig: RigMaker) -> None:
    """A remote command that fails is not run a second time, however many retries the step has."""
    rig = make_rig(replace(small_plan(), secrets=(secret(),)), environ={"HF_TOKEN": "s3cr3t-value"})
    full = Completed(exit_status=1, stdout=b"", stderr=b"No space left on device\n")
    on_machine(rig, lambda machine: machine.replies.update({"^umask 077 && mkdir": full}))
    run = rig.run()
    assert ("FAILED", "remote_command") == (run.state, run.cause)
    tries = [command for command in rig.machines[0].commands if "mkdir -p" in command]
    assert 1 == len(tries)
    assert "No space left on device" in str(rig.engine.failure)


def test_another_machine_at_the_address_ends_the_run(make_rig: RigMaker) -> None:
    """A host key that changed is never taken for a bad host: the run ends, its pod is released."""
    rig = make_rig()
    rig.connector.always = HostKeyChanged("another key")
    run = rig.run()
    assert ("FAILED", "HostKeyChanged") == (run.state, run.cause)
    assert 1 == rig.cloud.made
    assert {} == rig.cloud.rented


def test_failed_command_shows_its_last_lines(make_rig: RigMaker) -> None:
    """The error of a setup command ends with its last lines; what comes before is in the folder."""
    rig = make_rig()
    output = b"".join(b"line %d\n" % n for n in range(100)) + b"\rbar 1%\rbar 99%\n\x1b[31mlast"
    failed = Completed(exit_status=4, stdout=output, stderr=b"")
    on_machine(rig, lambda machine: machine.replies.update({"setup-1": failed}))
    run = rig.run()
    text = str(rig.engine.failure)
    assert ("FAILED", "remote_command") == (run.state, run.cause)
    assert "setup-1 ended with exit status 4." in text
    assert "line 99" in text
    assert "line 80" not in text
    assert "bar 99%" in text
    assert "bar 1%" not in text
    assert "\x1b" not in text
    assert text.endswith("last")
    assert 4 == rig.one("command_completed")["exit_code"]
    kept = (rig.ctx.folder.path / COMMAND_LOG).read_bytes()
    assert b"--- setup-1\n" + output == kept


def test_command_that_hangs_shows_the_prompt_it_hangs_at(make_rig: RigMaker) -> None:
    """A prompt without a newline is in the error of the command that waits at it."""
    rig = make_rig()

    def hang(machine: Any) -> None:
        machine.hangs.add("setup-1")
        machine.replies["setup-1"] = b"Proceed? [y/N] "

    on_machine(rig, hang)
    run = rig.run()
    assert "timeout" == run.cause
    assert "Proceed? [y/N]" in str(rig.engine.failure)
    assert rig.one("command_completed")["exit_code"] is None


def test_command_with_an_endless_line_gives_a_short_error(make_rig: RigMaker) -> None:
    """Megabytes on one line do not end up in the message."""
    rig = make_rig()
    failed = Completed(exit_status=1, stdout=b"x" * 5_000_000, stderr=b"")
    on_machine(rig, lambda machine: machine.replies.update({"setup-1": failed}))
    rig.run()
    assert len(str(rig.engine.failure)) < 2000


def test_secrets_travel_on_standard_input_alone(make_rig: RigMaker, tmp_path: Path) -> None:
    """No secret value is ever in a command line, an event, a create call or the folder; it is on stdin."""
    (tmp_path / "key.pem").write_bytes(b"-----BEGIN KEY-----\nabcd'efgh\x00\xff")
    plan = replace(
        small_plan(), secrets=(secret(), secret("key", env=(), file="key.pem", mode="0400"))
    )
    value = "it's a $(secret) value"
    rig = make_rig(plan, environ={"HF_TOKEN": value}, secrets=(value,))
    on_machine(rig, lambda machine: machine.replies.update({"setup-1": f"echo {value}\n".encode()}))
    run = rig.run()
    assert "SUCCEEDED" == run.state
    machine = rig.machines[0]
    sent = list(machine.inputs.values())
    assert b"""export HF_TOKEN='it'"'"'s a $(secret) value'\n""" in sent
    assert b"-----BEGIN KEY-----\nabcd'efgh\x00\xff" in sent
    for where in (*machine.commands, *map(repr, rig.cloud.requests)):
        assert "secret) value" not in where
        assert "BEGIN KEY" not in where
    for path in rig.ctx.folder.path.rglob("*"):
        if path.is_file():
            assert b"secret) value" not in path.read_bytes(), path
    modes = [command for command in machine.commands if "chmod" in command]
    assert ["chmod 0600" in modes[0], "chmod 0400" in modes[1]] == [True, True]


def test_secret_file_in_the_home_folder_is_read_where_it_was_checked(
    make_rig: RigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~` in `secrets[].file` is the home folder, for the check of the job file and for the run."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_bytes(b"from-home")
    monkeypatch.setenv("HOME", str(home))
    plan = replace(small_plan(), secrets=(secret("key", env=(), file="~/token"),))
    rig = make_rig(plan)
    assert "SUCCEEDED" == rig.run().state
    assert b"from-home" in rig.machines[0].inputs.values()


def test_missing_secrets_and_paths_cost_nothing(make_rig: RigMaker) -> None:
    """All that is missing is named at once, before a pod is asked for."""
    plan = replace(
        small_plan(),
        secrets=(secret(), secret("key", env=(), file="no/key.pem")),
        required_paths=("data/train.bin",),
    )
    rig = make_rig(plan)
    run = rig.run()
    failure = rig.engine.failure
    assert isinstance(failure, InvalidInput)
    assert 4 == failure.exit_code
    told = " ".join(diagnostic.detail for diagnostic in failure.diagnostics)
    assert all(name in told for name in ("HF_TOKEN", "no/key.pem", "data/train.bin"))
    assert [] == rig.cloud.requests
    assert "FAILED" == run.state


@pytest.mark.parametrize("found", [b"3.1\n", b"3.110\n", b"", b"2.7.18\n"])
def test_python_pin_is_held(make_rig: RigMaker, found: bytes) -> None:
    """A pod whose python3 is not the pinned one, and that has no uv, fails in preflight."""
    rig = make_rig(changed(small_plan(), pod={"python_version": "3.11"}))
    on_machine(
        rig,
        lambda machine: machine.replies.update(
            {
                "platform.python_version": found,
                "uv python install": Completed(exit_status=66, stdout=b"", stderr=b""),
            }
        ),
    )
    assert "python_version" == rig.run().cause
    assert "uv, which could install it, is not there" in str(rig.engine.failure)


def test_python_is_installed_by_uv(make_rig: RigMaker) -> None:
    """A pod with uv gets the pinned version from it, before any preflight command."""
    rig = make_rig(changed(small_plan(), pod={"python_version": "3.11"}))
    on_machine(rig, lambda machine: machine.replies.update({"platform.python_version": b"3.9.2\n"}))
    assert "SUCCEEDED" == rig.run().state
    (install,) = [one for one in rig.machines[0].commands if "uv python install" in one]
    assert install.endswith("uv python install 3.11")


def test_python_that_uv_cannot_install_is_told(make_rig: RigMaker) -> None:
    """What uv says about a version that does not exist is the reason of the failure."""
    rig = make_rig(changed(small_plan(), pod={"python_version": "3.99"}))
    said = b"note\nerror: No download found for 3.99\n"
    failed = Completed(exit_status=2, stdout=b"", stderr=said)
    on_machine(
        rig,
        lambda machine: machine.replies.update(
            {"platform.python_version": b"3.9.2\n", "uv python install": failed}
        ),
    )
    assert "python_version" == rig.run().cause
    assert "uv could not install it: error: No download found" in str(rig.engine.failure)


@pytest.mark.parametrize("found", [b"3.11\n", b"3.11.7\n"])
def test_python_pin_is_met(make_rig: RigMaker, found: bytes) -> None:
    """Any patch release of the pinned version will do."""
    rig = make_rig(changed(small_plan(), pod={"python_version": "3.11"}))
    on_machine(rig, lambda machine: machine.replies.update({"platform.python_version": found}))
    assert "SUCCEEDED" == rig.run().state


def break_journal(monkeypatch: pytest.MonkeyPatch, good: int) -> None:
    """Let the journal of a run fail after so many events."""
    write = Journal.write
    left = [good]

    def fail(self: Journal, name: str, /, **fields: Any) -> Any:
        if left[0] <= 0:
            raise JournalError("disk full")
        left[0] -= 1
        return write(self, name, **fields)

    monkeypatch.setattr(Journal, "write", fail)


def test_journal_that_breaks_at_any_event_still_releases_the_pod(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full from the k-th event on ends the run, and no pod is left, for every k."""
    for good in range(len(HAPPY)):
        with monkeypatch.context() as patch:
            rig = make_rig()
            break_journal(patch, good)
            run_virtual(rig.engine.run())
            rig.ctx.journal.close()
        assert {} == rig.cloud.rented, good
        assert all(transport.closed for transport in rig.connector.opened), good


def test_pod_that_leaks_while_the_journal_is_broken_is_told_all_the_same(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk cannot hide a leak: the engine knows its id and state without the journal."""
    rig = make_rig()
    rig.cloud.delete_always = "lie"
    break_journal(monkeypatch, len(HAPPY) - 6)
    run_virtual(rig.engine.run())
    told = rig.ctx.concluded(fold(rig.events))
    rig.ctx.journal.close()
    assert "LEAKED" == rig.engine.state
    assert ["pod1"] == [pod.pod_id for pod in told.leaked]
    assert () == fold(rig.events).leaked


def test_undo_that_fails_does_not_keep_the_others_from_running(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When saving optional artifacts breaks down, the pod is released all the same."""
    plan = replace(small_plan(), artifacts=(artifact(required=False),))
    rig = make_rig(plan, job=FakeJob(exit_code=1))

    async def broken(_ctx: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("runpod_deploy.executor.steps.collect.salvage", broken)
    run = rig.run()
    assert ("FAILED", "exit_code") == (run.state, run.cause)
    assert {} == rig.cloud.rented
    assert any("Undoing artifacts failed" in warning for warning in run.warnings)


def test_salvage_that_hangs_is_given_up(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saving optional artifacts from a pod that hangs ends in time, and the pod is released."""
    plan = replace(small_plan(), artifacts=(artifact(required=False),))
    rig = make_rig(plan, job=FakeJob(exit_code=1))
    on_machine(rig, lambda machine: machine.hangs.add("^pull "))
    monkeypatch.setattr(undoing_module, "SALVAGE_AT_MOST_SEC", 50.0)
    run = rig.run()
    assert "FAILED" == run.state
    assert {} == rig.cloud.rented
    assert {} == dict(run.open_intents)
    assert 50 < rig.clock.monotonic() < 80


def test_connection_that_will_not_close_does_not_keep_the_pod(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error from closing the connection is a warning; the pod is deleted."""
    rig = make_rig()

    async def broken(_self: object) -> None:
        raise OSError("bad file descriptor")

    monkeypatch.setattr("support.fake_pod.FakeTransport.close", broken)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert {} == rig.cloud.rented
    assert any("left open" in warning for warning in run.warnings)


def test_fault_of_ours_is_an_internal_error_and_releases(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody expected ends the run as internal_error, with its pod released."""
    rig = make_rig()

    def broken(_output: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("runpod_deploy.executor.steps.admit.parse_hardware", broken)
    run = rig.run()
    assert ("FAILED", "internal_error") == (run.state, run.cause)
    assert isinstance(rig.engine.failure, ZeroDivisionError)
    assert {} == rig.cloud.rented


def test_undo_stack_runs_last_done_first() -> None:
    """Entries run once each, the last pushed first; a failure is reported with its name."""
    stack, ran, failed = UndoStack(), [], []

    async def undo(name: str) -> None:
        ran.append(name)
        if name == "b":
            raise StepFailed("no", cause="x")

    for name in "abc":
        stack.push(name, lambda name=name: undo(name))
    stack.push("d", lambda: undo("d"))
    stack.drop("d")

    async def unwind() -> None:
        while stack.names():
            await stack.pop(lambda name, error: failed.append((name, str(error))))

    run_virtual(unwind())
    assert ["c", "b", "a"] == ran
    assert [("b", "no")] == failed


def test_no_port_leads_to_a_pod_that_is_not_known_yet(make_rig: RigMaker) -> None:
    """Before the host key was held against the pod's log nothing is sent there; afterwards it is dialled."""
    rig = make_rig()

    async def dials() -> list[str]:
        said = []
        for name, step in (
            ("step_started", "provision"),
            ("step_completed", "connect"),
            ("step_started", "provision"),
        ):
            more = {"duration_sec": 1.0} if name == "step_completed" else {}
            rig.ctx.journal.write(name, step=step, **more)
            rig.ctx.transport = FakeTransport(FakeMachine(), Gate())
            with pytest.raises(TransportError) as raised:
                await rig.ctx.dial(8888)
            said.append(str(raised.value))
        return said

    early = "No connection to the pod is open yet."
    there = "nobody listens on port 8888 of the pod"
    assert [early, there, early] == run_virtual(dials(), 0.0)
