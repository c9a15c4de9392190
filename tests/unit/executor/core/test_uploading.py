"""Results that go on to a bucket: when, with what, and what becomes of the pod when they do not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Plan, PlanUpload
from runpod_deploy.errors import ConnectionLost
from runpod_deploy.executor.ports import Completed
from support.killing import left_at
from support.plans import artifact, secret, small_plan
from support.rig import Rig, RigMaker

TO = "s3://results/@@rd:run_id@@"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAPLANTED", "AWS_SECRET_ACCESS_KEY": "planted-key"}
CHECK, SEND = r"upload\.sh check", r"upload\.sh send"
DONE = (
    b'{"progress": 2}\n'
    b'{"done": {"files": 1, "bytes": 3, "sent_files": 1, "sent_bytes": 3, "proofs": {"md5": 1}}}\n'
)
FINE = b'{"done": {}}\n'
REFUSED = Completed(
    exit_status=1, stdout=b'{"error": "the store refused planted-key\\u001b[2J"}\n', stderr=b""
)


def uploading(**changes: Any) -> Plan:
    """Return a plan whose only artifact goes on to a bucket."""
    upload = PlanUpload(to=TO, endpoint="https://store.test", secret="bucket")
    signs = secret("bucket", env=tuple(KEYS), export=False)
    return replace(small_plan(), artifacts=(artifact(upload=upload, **changes),), secrets=(signs,))


def rig_of(make_rig: RigMaker, plan: Plan | None = None, **replies: Any) -> Rig:
    """Return a run whose pods answer the program that uploads."""
    rig = make_rig(plan or uploading(), environ=KEYS, secrets=tuple(KEYS.values()))
    rig.answering({CHECK: replies.get("check", FINE), SEND: replies.get("send", DONE)})
    return rig


def commands(rig: Rig, pattern: str) -> list[str]:
    """Return the commands with a text that came to any pod."""
    return [one for machine in rig.machines for one in machine.commands if pattern in one]


def test_what_came_home_is_sent_before_the_pod_goes(make_rig: RigMaker) -> None:
    """The bucket is asked before the job; sent are the files that were verified, by their digests."""
    rig = rig_of(make_rig)
    assert "SUCCEEDED" == rig.run().state

    names = rig.names()
    assert names.index("artifact_pull_completed") < names.index("upload_intended")
    assert names.index("upload_settled") < names.index("pod_delete_intended")
    settled = rig.one("upload_settled").fields
    assert ("verified", 1, 3, None) == tuple(
        settled[key] for key in ("outcome", "files", "bytes", "error")
    )
    (checked,), (sent,) = commands(rig, "upload.sh check"), commands(rig, "upload.sh send")
    assert rig.machines[0].commands.index(checked) < next(
        i for i, one in enumerate(rig.machines[0].commands) if "supervisor.sh start" in one
    )
    asked = json.loads(rig.machines[0].inputs[sent])
    assert f"s3://results/{rig.ctx.run_id}" == asked["to"] == rig.one("upload_intended")["to"]
    assert [{"path": "model.bin", "size": 3, "sha256": "0" * 64}] == asked["files"]
    assert "https://store.test" == asked["endpoint"]
    assert "/workspace/results" == asked["remote_path"]


def test_no_key_stands_in_a_command_or_an_event(make_rig: RigMaker) -> None:
    """Keys travel over stdin into their file; what a store says of them is hidden."""
    rig = rig_of(make_rig, send=[REFUSED])
    rig.run()
    told = json.dumps([event.line() for event in rig.events])
    for value in KEYS.values():
        assert value not in told
        assert not commands(rig, value)
    error = rig.one("upload_settled")["error"]
    assert "the store refused ***\\x1b[2J" == error


def test_a_bucket_that_refuses_costs_no_job(make_rig: RigMaker) -> None:
    """What the check is refused ends the run before the job, and says what keys need."""
    rig = rig_of(make_rig, check=REFUSED)
    run = rig.run()
    assert ("FAILED", "upload_refused") == (run.state, run.cause)
    assert not commands(rig, "supervisor.sh start")
    assert {"gone"} == {pod.status for pod in run.pods.values()}


def test_what_its_bucket_does_not_hold_keeps_the_pod(make_rig: RigMaker) -> None:
    """The pod is kept without its keys; `resume` brings them again and sends what is missing."""
    rig = rig_of(make_rig, send=[REFUSED, DONE])
    run = rig.run()
    assert ("KEPT", "not_verified") == (run.state, run.cause)
    assert ["alive"] == [pod.status for pod in run.pods.values()]
    assert commands(rig, "rm -f -- /root/.secrets/bucket")

    second = rig.resumed()
    delivered = len(commands(rig, "cat >/root/.secrets/bucket"))
    assert "SUCCEEDED" == second.run().state
    assert len(commands(rig, "cat >/root/.secrets/bucket")) == delivered + 1
    assert 1 == second.names().count("artifact_pull_completed")
    assert ["failed", "verified"] == [
        event["outcome"] for event in second.events if event.event == "upload_settled"
    ]


@pytest.mark.parametrize("event", ["upload_intended", "upload_settled"])
def test_an_executor_that_dies_is_carried_on(make_rig: RigMaker, event: str) -> None:
    """What is not known to be there is sent once more, to be skipped by what the store says."""
    rig = rig_of(make_rig)
    second = left_at(rig, event)
    run = second.run()
    assert "SUCCEEDED" == run.state
    assert "verified" == run.uploads["results"].status
    assert {} == run.open_intents
    assert (2 if event == "upload_intended" else 1) == second.names().count("upload_settled")


def test_a_broken_connection_is_made_again(make_rig: RigMaker) -> None:
    """The program is started anew, and ends what was left of itself by its name."""
    rig = rig_of(make_rig, send=[ConnectionLost("reset"), DONE])
    assert "SUCCEEDED" == rig.run().state
    first, again = commands(rig, "upload.sh send")
    assert first == again
    assert first.startswith("RUNPOD_DEPLOY_STEP=upload-results ")


def test_a_program_that_was_killed_is_started_again(make_rig: RigMaker) -> None:
    """A signal is no answer of the store; the check is asked again as well."""
    killed = [Completed(exit_status=status, stdout=b"", stderr=b"") for status in (-1, 137)]
    rig = rig_of(make_rig, check=[killed[0], FINE], send=[*killed, DONE])
    assert "SUCCEEDED" == rig.run().state
    assert 2 == len(commands(rig, "upload.sh check"))
    assert 3 == len(commands(rig, "upload.sh send"))


def test_a_file_on_the_pod_is_not_named_by_a_label(make_rig: RigMaker) -> None:
    """A label may hold what no file name can."""
    rig = rig_of(make_rig, uploading(label="a/b", local_path="@@rd:run_dir@@/ab"))
    assert "SUCCEEDED" == rig.run().state
    (sent,) = commands(rig, "upload.sh send")
    folder, _, name = json.loads(rig.machines[0].inputs[sent])["state"].rpartition("/")
    assert folder.endswith("/uploads")
    assert name == f"{hashlib.sha256(b'a/b').hexdigest()[:16]}.jsonl"


def test_what_is_no_answer_is_shown_nowhere(make_rig: RigMaker) -> None:
    """A program that breaks may print a key in a form that nobody knows."""
    broken = Completed(exit_status=1, stdout=b"ValueError: b'half-a-k'\n", stderr=b"")
    rig = rig_of(make_rig, send=[broken])
    rig.run()
    assert "half-a-k" not in json.dumps([event.line() for event in rig.events])
    assert "exit status 1" in rig.one("upload_settled")["error"]


@pytest.mark.parametrize(
    "said",
    [
        b'{"done": {"files": 0, "bytes": 0}}\n',
        b'{"done": 7}\n[1]\nnull\n{"progress": "x"}\nTraceback\n',
        b"",
        b"\xff\xfe" * 100,
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_pod_that_says_anything_else_proves_nothing(make_rig: RigMaker, said: bytes) -> None:
    """Fewer files than were sent, or no answer at all, is no success."""
    rig = rig_of(make_rig, send=[said])
    assert ("KEPT", "not_verified") == ((run := rig.run()).state, run.cause)


def test_optional_results_only_warn(make_rig: RigMaker) -> None:
    """Neither the check nor the upload of what is not required ends a run."""
    rig = rig_of(make_rig, uploading(required=False), check=REFUSED, send=[REFUSED])
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert 2 == len([one for one in run.warnings if "could not be" in one])


def test_a_job_that_failed_sends_nothing(make_rig: RigMaker) -> None:
    """Who reads a bucket cannot see how the run ended, so only what succeeded goes there."""
    rig = rig_of(make_rig)
    rig.job.exit_code = 3
    assert "FAILED" == rig.run().state
    assert not commands(rig, "upload.sh send")
