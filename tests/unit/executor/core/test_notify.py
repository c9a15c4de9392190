"""Who is told of a run's end, on fakes: what they get, what is kept from them, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Plan, PlanNotify
from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.applied import Applied
from runpod_deploy.executor.concluding import ManifestUnwritten, Outcome, carry_out
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.executor.local_commands import (
    LocalCommandFailed,
    LocalCommands,
    wanted_commands,
)
from runpod_deploy.executor.notifying import untold
from runpod_deploy.executor.standing import read_standing
from runpod_deploy.executor.webhook import WebhookFailed, read_address, webhook_texts
from runpod_deploy.record.events import Event
from runpod_deploy.record.run import RunState
from support.fakes import FakeJob, run_virtual
from support.plans import small_plan
from support.rig import Rig, RigMaker

ADDRESS = "https://hooks.example.org/services/T0/B0/key-planted"
ENVIRON = {"HOOK": ADDRESS, "PATH": "/bin"}
EVERY = ("succeeded", "failed", "cancelled", "kept", "unknown", "leaked")


def telling(**changes: Any) -> Plan:
    """Return a plan that tells a webhook and a command of every end."""
    base = PlanNotify(webhook_env="HOOK", webhook_file=None, command="tools/tell.sh x", on=EVERY)
    return replace(small_plan(), notify=replace(base, **changes))


@dataclass(slots=True)
class Told(LocalCommands):
    """A machine on which the command does as the test says."""

    does: Exception | None = None
    words: list[Sequence[str]] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)
    environ: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    async def told(
        self, words: Sequence[str], given: bytes, folder: Path, environ: Mapping[str, str]
    ) -> None:
        """Remember what came."""
        self.words.append(words)
        self.given.append(json.loads(given))
        self.environ, self.folder = environ, folder
        if self.does is not None:
            raise self.does


class Hook:
    """A webhook that answers as the test says, with success at last."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, Any]] = []

    async def post(self, address: str, body: bytes) -> int:
        """Answer."""
        self.got.append((address, json.loads(body)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


def ended(rig: Rig, hook: Hook | None = None, commands: LocalCommands | None = None) -> Outcome:
    """Carry a run out to its manifest."""
    rig.ctx.post = (hook or Hook()).post
    rig.ctx.commands = commands
    carried = carry_out(rig.ctx, rig.interrupts, Applied(), rig.engine.earlier)
    return run_virtual(carried, rig.clock.monotonic())


def notified(rig: Rig) -> list[tuple[str, str]]:
    """Return who was told and whether it worked, in order."""
    return [(one["via"], one["outcome"]) for one in rig.events if one.event == "notified"]


def test_both_are_told_once_of_a_success(make_rig: RigMaker) -> None:
    """The same document, with a sentence for a chat; the command finds it in variables as well."""
    rig = make_rig(telling(command="tell '@@rd:run_id@@ ; rm' $HOME"), environ=ENVIRON)
    hook, commands = Hook(), Told()
    outcome = ended(rig, hook, commands)

    assert "SUCCEEDED" == outcome.run.state
    ((address, document),) = hook.got
    assert (ADDRESS, [document]) == (address, commands.given)
    expected = {"job_name": "demo", "state": "SUCCEEDED", "cause": None, "exit_code": 0}
    assert expected == {key: document[key] for key in expected}
    assert document["text"] == document["content"]
    assert document["text"].startswith("demo: SUCCEEDED, after ")
    assert rig.ctx.folder.path.name == document["run_dir"]
    # Taken apart before it is filled, and no shell looks at it.
    assert [["tell", f"{rig.ctx.run_id} ; rm", "$HOME"]] == commands.words
    assert rig.ctx.project_root == commands.folder
    assert ("SUCCEEDED", str(rig.ctx.folder.path), "/bin") == (
        commands.environ["RUNPOD_DEPLOY_STATE"],
        commands.environ["RUNPOD_DEPLOY_RUN_DIR"],
        commands.environ["PATH"],
    )
    assert document["text"] == commands.environ["RUNPOD_DEPLOY_TEXT"]
    assert [("webhook", "told"), ("command", "told")] == notified(rig)
    assert [] == outcome.manifest["warnings"]


def test_nothing_that_goes_wrong_with_it_changes_the_end(make_rig: RigMaker) -> None:
    """Each is a warning in journal and manifest, which never hold the address."""
    rig = make_rig(telling(), environ=ENVIRON, secrets=(ADDRESS, "T0/B0/key-planted"))
    hook = Hook(404)
    outcome = ended(rig, hook, Told(does=LocalCommandFailed("it ended with status 1: no display")))

    assert ("SUCCEEDED", None) == (outcome.run.state, outcome.failure)
    assert [("webhook", "failed"), ("command", "failed")] == notified(rig)
    first, second = outcome.manifest["warnings"]
    assert "hooks.example.org answered HTTP 404" in first
    assert "it ended with status 1: no display" in second
    assert 1 == len(hook.got)
    for path in rig.ctx.folder.path.rglob("*"):
        assert not path.is_file() or b"planted" not in path.read_bytes()


def test_a_webhook_that_is_busy_is_asked_again_and_then_let_be(make_rig: RigMaker) -> None:
    """Three tries, a few seconds apart; the last word is what is told."""
    rig = make_rig(telling(command=None), environ=ENVIRON)
    hook = Hook(503, WebhookFailed("hooks.example.org did not answer: not in time"), 200)
    ended(rig, hook)
    assert (3, [("webhook", "told")]) == (len(hook.got), notified(rig))

    rig = make_rig(telling(command=None), environ=ENVIRON)
    hook = Hook(503, 503, 429, 200)
    ended(rig, hook)
    assert (3, [("webhook", "failed")]) == (len(hook.got), notified(rig))
    assert "hooks.example.org answered HTTP 429" == rig.one("notified")["error"]


@pytest.mark.parametrize(("on", "times"), [(("failed",), 1), (("succeeded", "leaked"), 0)])
def test_only_the_ends_that_are_named_are_told(
    make_rig: RigMaker, on: tuple[str, ...], times: int
) -> None:
    """A failed job is told with its exit code and why, where `on` has it."""
    rig = make_rig(telling(on=on, command=None), environ=ENVIRON, job=FakeJob(exit_code=3))
    hook = Hook()
    ended(rig, hook)

    assert times == len(hook.got)
    for _, document in hook.got:
        assert ("FAILED", "exit_code", 3) == tuple(
            document[key] for key in ("state", "cause", "exit_code")
        )
        assert "The run ended with exit code 3." == document["error"]
        assert document["text"].startswith("demo: FAILED (exit code), after ")


def test_a_run_that_ends_before_it_rents_is_told_too(make_rig: RigMaker) -> None:
    """Secrets are hidden in what is told, and a name rings no bell in a chat room."""
    plan = telling(command=None)
    plan = replace(
        plan, required_paths=("planted-path",), job=replace(plan.job, name="<!channel> @all")
    )
    rig = make_rig(plan, environ=ENVIRON, secrets=("planted",))
    hook = Hook()
    ended(rig, hook)

    ((_, document),) = hook.got
    assert "invalid_input" == document["cause"]
    assert "planted" not in json.dumps(document)
    assert not {"<", "@", ">"} & set(document["text"])
    assert [] == rig.cloud.requests


def test_without_an_address_nothing_is_rented(make_rig: RigMaker) -> None:
    """Where the variable is missing the check says so, for free."""
    rig = make_rig(telling(command=None), environ={})
    outcome = ended(rig)

    assert isinstance(outcome.failure, InvalidInput)
    (said,) = outcome.failure.diagnostics
    assert "the variable HOOK, which this command was not given" in said.detail
    assert ([], [("webhook", "failed")]) == (rig.cloud.requests, notified(rig))


def test_a_command_without_leave_is_not_run(make_rig: RigMaker) -> None:
    """A run that is resumed without the flag comes to its end and says what was left out."""
    assert ["tools/tell.sh x"] == wanted_commands(telling())
    rig = make_rig(telling(webhook_env=None))
    outcome = ended(rig)
    (said,) = outcome.manifest["warnings"]
    assert "--allow-commands" in said


def test_whoever_asks_to_end_does_not_wait_for_it(make_rig: RigMaker) -> None:
    """A webhook that hangs is left; so is whoever comes after it told of."""

    class Hangs(Hook):
        async def post(self, address: str, body: bytes) -> int:
            rig.interrupts.ask(Request.CANCEL)
            await rig.clock.sleep(1e9)
            return await super().post(address, body)

    rig = make_rig(telling(), environ=ENVIRON)
    hook, commands = Hangs(), Told()
    outcome = ended(rig, hook, commands)
    assert [("webhook", "failed"), ("command", "told")] == notified(rig)
    assert ("SUCCEEDED", "it was interrupted") == (
        outcome.run.state,
        next(one["error"] for one in rig.events if one.event == "notified"),
    )


def test_a_manifest_that_cannot_be_written_keeps_nobody_from_being_told(
    make_rig: RigMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the message is what is left."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runpod_deploy.executor.concluding.write_atomic", full)
    rig = make_rig(telling(command=None), environ=ENVIRON)
    hook = Hook()
    with pytest.raises(ManifestUnwritten):
        ended(rig, hook)
    assert 1 == len(hook.got)


def test_a_killed_executors_message_is_sent_by_the_next(make_rig: RigMaker) -> None:
    """Whoever is journalled as told is not told again; the rest is."""
    rig = make_rig(telling(), environ=ENVIRON)
    ended(rig, Hook(), Told())
    journal = rig.ctx.folder.path / "events.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert '"command"' in lines[-1]
    journal.write_text("".join(lines[:-1]))

    again = rig.resumed()
    assert read_standing([], again.events).state is RunState.SUCCEEDED
    hook, commands = Hook(), Told()
    ended(again, hook, commands)
    assert ([], 1) == (hook.got, len(commands.given))


def test_who_is_still_to_be_told_is_read_from_the_journal() -> None:
    """Each new end is told anew; what is no end is not told."""
    notify = telling().notify
    told = Event(event="notified", ts_utc="", fields={"via": "webhook", "outcome": "failed"})
    changed = Event(event="state_changed", ts_utc="", fields={"state": "LEAKED"})

    assert ("webhook", "command") == untold(notify, RunState.LEAKED, [changed])
    assert ("command",) == untold(notify, RunState.LEAKED, [changed, told])
    assert ("webhook", "command") == untold(notify, RunState.FAILED, [changed, told, changed])
    assert () == untold(notify, RunState.DETACHED, [changed])
    assert () == untold(None, RunState.FAILED, [changed])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://hooks.example.org/key-planted", "plain http"),
        ("hooks.example.org/key-planted", "no https address"),
        ("https://hooks.example.org/key planted\n\x00", "no https address"),
        ("https://[key-planted", "no https address"),
        ("", "no https address"),
    ],
)
def test_an_address_that_would_tell_the_secret_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    """Plain http is for this machine alone; what is wrong is said without the address."""
    notify = telling(webhook_env=None, webhook_file="hook").notify
    assert notify is not None
    (tmp_path / "hook").write_text(text)
    with pytest.raises(WebhookFailed) as raised:
        read_address(notify, tmp_path, {})
    assert told in str(raised.value)
    assert "planted" not in str(raised.value)
    assert [] == webhook_texts(notify, tmp_path, {})


def test_an_address_may_come_from_a_file_and_is_hidden_with_its_path(tmp_path: Path) -> None:
    """The last line break of the file is not part of it; the path alone would do to write there."""
    notify = telling(webhook_env=None, webhook_file="hook").notify
    assert notify is not None
    (tmp_path / "hook").write_text(f"{ADDRESS}\n")

    assert ADDRESS == read_address(notify, tmp_path, {})
    assert [ADDRESS, "services/T0/B0/key-planted"] == webhook_texts(notify, tmp_path, {})
