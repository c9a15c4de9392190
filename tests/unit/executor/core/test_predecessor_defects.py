"""Defects of the predecessor's executor; named after the list of them."""

from __future__ import annotations

from runpod_deploy.errors import AuthRejected
from support.plans import changed, small_plan
from support.rig import RigMaker


def test_defect_9_every_port_is_asked_for(make_rig: RigMaker) -> None:
    """SSH stays open beside the ports of the job's own."""
    ports = ("22/tcp", "8888/http", "6006/tcp")
    rig = make_rig(changed(small_plan(), pod={"ports": ports}))
    assert "SUCCEEDED" == rig.run().state
    assert [ports] == [request.ports for request in rig.cloud.requests]


def test_defect_36_a_refused_key_is_told_from_an_ssh_server_that_is_not_up(
    make_rig: RigMaker,
) -> None:
    """The failure names the key as its cause and says what the image must do; no pod is left."""
    rig = make_rig(changed(small_plan(), budget={"ssh_ready_timeout_sec": 60.0}))
    rig.connector.always = AuthRejected("Permission denied (publickey)")
    run = rig.run()
    assert "auth_rejected" == run.cause
    assert "refused the run's key" in str(rig.engine.failure)
    assert {} == rig.cloud.rented
