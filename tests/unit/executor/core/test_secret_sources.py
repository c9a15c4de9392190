"""Secrets that a command prints and secrets that RunPod keeps, on fakes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from runpod_deploy.compiler.plan import Plan, PlanNotify
from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.local_commands import (
    LocalCommandFailed,
    LocalCommands,
    refuse_commands,
)
from runpod_deploy.executor.secret_values import known_texts, read_secret
from runpod_deploy.executor.webhook import WebhookFailed, read_address
from support.plans import changed, script, secret, small_plan
from support.rig import Rig, RigMaker

VALUE = "tok/en +$é'1"
ENCODED = base64.b64encode(f"x{VALUE}".encode())
GIVEN = b"RUNPOD_DEPLOY_SECRET_hub=" + VALUE.encode() + b"\n"
READ = "RUNPOD_DEPLOY_SECRET_hub"


@dataclass(slots=True)
class Store(LocalCommands):
    """A password store that answers as the test says."""

    answer: bytes | Exception = VALUE.encode() + b"\n"
    asked: list[tuple[str, Path]] = field(default_factory=list)

    async def printed(self, command: str, folder: Path, environ: Mapping[str, str]) -> bytes:  # noqa: ARG002 - the port's
        """Answer."""
        self.asked.append((command, folder))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def from_command() -> Plan:
    """Return a plan with a secret that a command prints."""
    return replace(small_plan(), secrets=(secret(env=(), command="pass show hub", mode="0440"),))


def from_runpod() -> Plan:
    """Return a plan with a secret that RunPod keeps."""
    return replace(small_plan(), secrets=(secret(env=(), runpod="hub", mode="0440"),))


def telling(rig: Rig, given: bytes = GIVEN, chatter: bytes = b"") -> Rig:
    """Let the pod have this in its environment, and its setup print that."""
    rig.answering({READ: given, "setup-1": chatter})
    return rig


def nowhere(rig: Rig) -> None:
    """Hold every place that may not know the secret against all its forms."""
    forms = (VALUE.encode(), quote(VALUE).encode(), ENCODED[2:-4], b"tok/en")
    for path in rig.ctx.folder.path.rglob("*"):
        if path.is_file():
            assert not [form for form in forms if form in path.read_bytes()], path
    for text in (*rig.machines[0].commands, *map(repr, rig.cloud.requests)):
        assert VALUE not in text
    shown = b"".join(text for _, text in rig.listener.outputs)
    assert not [form for form in forms if form in shown]


CHATTER = b" ".join((VALUE.encode(), quote(VALUE).encode(), ENCODED)) + b"\n"


def test_what_a_command_prints_lies_on_the_pod_and_nowhere_else(make_rig: RigMaker) -> None:
    """It is asked once, in the project; its bytes travel over stdin, and every sink hides them."""
    rig = telling(make_rig(from_command()), chatter=CHATTER)
    store = rig.ctx.commands = Store()
    run = rig.run()

    assert ("SUCCEEDED", ("hf",)) == (run.state, run.secrets_delivered)
    assert [("pass show hub", rig.ctx.project_root)] == store.asked
    assert VALUE.encode() + b"\n" in rig.machines[0].inputs.values()
    assert any("chmod 0440" in command for command in rig.machines[0].commands)
    nowhere(rig)


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        (None, "nobody allowed it to run: pass show hub"),
        (Store(answer=LocalCommandFailed("it ended with status 1: gpg: no key")), "gpg: no key"),
        (Store(answer=FileNotFoundError("/bin/sh")), "/bin/sh"),
    ],
)
def test_a_command_that_gives_nothing_costs_nothing(
    make_rig: RigMaker, commands: LocalCommands | None, told: str
) -> None:
    """Whatever is wrong with it is said, with the secret's name, before a pod is asked for."""
    rig = make_rig(from_command())
    rig.ctx.commands = commands
    run = rig.run()

    assert isinstance(rig.engine.failure, InvalidInput)
    (said,) = rig.engine.failure.diagnostics
    assert told in said.detail
    assert "'hf'" in said.detail
    assert ([], "FAILED") == (rig.cloud.requests, run.state)


def test_runpod_fills_in_what_the_create_call_only_names(make_rig: RigMaker) -> None:
    """The value is read at the first login, laid down with its mode, and hidden in every sink."""
    rig = telling(make_rig(from_runpod()), chatter=CHATTER)
    run = rig.run()

    assert ("SUCCEEDED", ("hf",)) == (run.state, run.secrets_delivered)
    (request,) = rig.cloud.requests
    assert "{{ RUNPOD_SECRET_hub }}" == request.env["RUNPOD_DEPLOY_SECRET_hub"]
    assert VALUE.encode() in rig.machines[0].inputs.values()
    nowhere(rig)


@pytest.mark.parametrize(
    "given",
    [b"", b"RUNPOD_DEPLOY_SECRET_hub=\n", b"RUNPOD_DEPLOY_SECRET_hub={{ RUNPOD_SECRET_hub }}\n"],
)
def test_a_secret_that_runpod_does_not_have_ends_the_run_at_the_first_login(
    make_rig: RigMaker, given: bytes
) -> None:
    """Nothing is set up or sent for it, the pod is released, and the message says where to make it."""
    rig = telling(make_rig(from_runpod()), given)
    run = rig.run()

    assert ("FAILED", "secret_missing") == (run.state, run.cause)
    assert "no value for the secret hub" in str(rig.engine.failure)
    assert not rig.cloud.rented
    assert not rig.machines[0].inputs


def test_references_in_the_pods_own_environment_are_hidden_as_well(make_rig: RigMaker) -> None:
    """`pod.env` may name RunPod's secrets, line breaks and all; no sink shows what they are."""
    plan = changed(small_plan(), pod={"env": {"TOKEN": "{{ RUNPOD_SECRET_hub }}"}})
    rig = make_rig(plan)
    rig.answering({r"\^\(TOKEN\)=": b"TOKEN=line one\001line2\n"})

    assert "SUCCEEDED" == rig.run().state
    assert "*** and ***" == rig.ctx.masker.text("line one\nline2 and line2")


def test_a_plan_with_commands_is_refused_without_leave() -> None:
    """They are named word for word; with the leave, or without commands, nothing is said."""
    plan = replace(from_command(), scripts=(script("run", "run"),))
    refuse_commands([small_plan()], None)
    refuse_commands([plan], LocalCommands())
    with pytest.raises(InvalidInput, match="pass show hub") as raised:
        refuse_commands([plan, plan], None)
    assert 1 == str(raised.value).count("pass show hub")


def test_every_missing_secret_is_told_with_its_cure(make_rig: RigMaker) -> None:
    """Each variable has a line to copy; a file is told by its place, without the system's code."""
    plan = replace(
        small_plan(),
        secrets=(
            secret("two", env=("HF_A", "HF_B")),
            secret("gone", env=(), file="no/such"),
            secret("folder", env=(), file="here"),
        ),
    )
    rig = make_rig(plan)
    (rig.ctx.project_root / "here").mkdir()
    rig.run()

    assert isinstance(rig.engine.failure, InvalidInput)
    variables, gone, folder = rig.engine.failure.diagnostics
    assert "Set them first:\n  export HF_A=…\n  export HF_B=…" == variables.help
    assert gone.detail.endswith(f"at {rig.ctx.project_root}/no/such: there is none.")
    assert folder.detail.endswith("/here: is a directory.")


@pytest.mark.parametrize("how", ["secret", "webhook"])
def test_a_secret_that_became_a_link_out_of_the_project_is_not_read(
    make_rig: RigMaker, how: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A path that was right when the plan was held against the project is judged again at reading."""
    other = tmp_path_factory.mktemp("somebody")
    (other / "key").write_text("https://not.yours/key")
    rig = make_rig(replace(small_plan(), secrets=(secret(env=(), file="key"),)))
    root = rig.ctx.project_root
    (root / "key").symlink_to(other / "key")
    if how == "secret":
        with pytest.raises(PermissionError):
            read_secret(rig.ctx.plan.secrets[0], root, {}, allowed=(root,))
        assert ([], ["hf"]) == known_texts(rig.ctx.plan.secrets, root, {}, allowed=(root,))
    else:
        notify = PlanNotify(on=(), webhook_env=None, webhook_file="key", command=None)
        with pytest.raises(WebhookFailed, match="leads out"):
            read_address(notify, root, {}, allowed=(root,))
    assert b"https://not.yours/key" == read_secret(
        rig.ctx.plan.secrets[0], root, {}, allowed=(root, other)
    )
