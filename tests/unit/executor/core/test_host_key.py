"""The host key that a pod shows is held against its log before anything is sent there."""

from __future__ import annotations

import pytest

from runpod_deploy.errors import AccountError, CloudError
from runpod_deploy.executor.host_key import EXPECTED_WITHIN_SEC, fingerprint
from support.fakes import FakeMachine, FakeTransport
from support.plans import changed, small_plan
from support.rig import Rig, RigMaker
from support.virtual_time import Gate

SHOWN = fingerprint(FakeTransport(FakeMachine(), Gate()).host_key())
OTHER = "SHA256:" + "B" * 43


def printed(key: str, kind: str = "ED25519") -> str:
    """Return a line as RunPod's start script has it printed."""
    return f"256 {key} root@0f1e2d3c4b5a ({kind})"


def sent(rig: Rig) -> list[str]:
    """Return the commands that pods got beyond the trivial one of the login."""
    return [command for one in rig.machines for command in one.commands if command != "true"]


@pytest.mark.parametrize(
    "log",
    [
        ["Pod Started", "SSH host keys:", printed(SHOWN)],
        [printed(OTHER, "RSA"), printed(OTHER, "ECDSA"), printed(SHOWN)],
        # A container that was started again made itself new keys.
        [printed(OTHER), "Pod Started", printed(SHOWN)],
    ],
)
def test_key_that_the_log_names_is_confirmed(make_rig: RigMaker, log: list[str]) -> None:
    """One of the printed keys is the one that was shown: events and run say so."""
    rig = make_rig()
    rig.cloud.log = log
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert SHOWN == rig.one("host_key_confirmed")["fingerprint"]
    assert True is run.host_key_confirmed


def test_another_key_stops_the_run_before_anything_is_sent(make_rig: RigMaker) -> None:
    """Nothing but the login went to the machine; the pod is released and no other host is tried."""
    rig = make_rig()
    rig.cloud.log = ["SSH host keys:", printed(OTHER)]
    run = rig.run()
    assert ("FAILED", "HostKeyChanged") == (run.state, run.cause)
    assert SHOWN in str(rig.engine.failure)
    assert OTHER in str(rig.engine.failure)
    assert [] == sent(rig)
    assert 1 == rig.cloud.made
    assert {} == rig.cloud.rented
    assert False is run.host_key_confirmed


@pytest.mark.parametrize(
    "log",
    [
        [],
        ["256 SHA256:short root@x (ED25519)", f"I like {OTHER}", f"x {printed(OTHER)} y"],
        [printed(OTHER, "RSA")],
        CloudError("no logs today"),
        AccountError("not for this key"),
    ],
)
def test_log_that_names_no_such_key_proves_nothing(
    make_rig: RigMaker, log: list[str] | Exception
) -> None:
    """Other images print no keys, and a log may be out of reach: the key is pinned as it was first seen."""
    rig = make_rig()
    rig.cloud.log = log
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert "host_key_confirmed" not in rig.names()
    assert False is run.host_key_confirmed


@pytest.mark.parametrize(("args", "patient"), [("sh -c '…' sh /start.sh", True), (None, False)])
def test_only_an_image_that_prints_its_keys_is_waited_for(
    make_rig: RigMaker, args: str | None, patient: bool
) -> None:
    """RunPod's images have some seconds to print; others cost a moment."""
    rig = make_rig(changed(small_plan(), pod={"args": args}))
    rig.run()
    seconds = next(
        step
        for step in rig.ctx.journal.events
        if step.event == "step_completed" and step["step"] == "connect"
    )["duration_sec"]
    assert patient is (seconds >= EXPECTED_WITHIN_SEC)
