"""The executor's side of the lease: armed after the first login, kept by signs of life, let go on purpose."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.lease import BOOT_ENV
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.errors import ConnectionLost
from runpod_deploy.executor import lease
from runpod_deploy.executor.ports import Completed
from support.fakes import FakeJob, FakeTransport
from support.plans import changed, script, small_plan
from support.rig import Rig, RigMaker
from support.virtual_time import EPOCH

ARM, BEAT = r"lease\.sh arm", r"lease\.sh beat"
# The pod's price is a dollar an hour, and 20 GB of container disk cost beside it.
WITH_DISK = 1 + 20 * 0.1 / 720


def leased(**parts: dict[str, Any]) -> Plan:
    """Return a plan whose pod has a lease, with fields of its parts changed."""
    plan = small_plan()
    home = plan.home
    scripts = (
        script("lease", "pod", path=f"{home}/bin/lease.sh"),
        script("boot", "pod", "home='@@rd:run_id@@'\n", path=f"{home}/bin/boot.sh"),
        *plan.scripts,
    )
    return changed(replace(plan, scripts=scripts), **parts)


def answers(rig: Rig, reply: Any = b"armed curl\n", **others: Any) -> None:
    """Let the pods answer to being armed."""
    made = rig.cloud.machine

    def machine() -> Any:
        one = made()
        one.replies |= {ARM: reply, **others}
        return one

    rig.cloud.machine = machine


def said(rig: Rig, word: str) -> list[str]:
    """Return the calls of the pod's lease with this word."""
    commands = [command for machine in rig.machines for command in machine.commands]
    return [command for command in commands if f"lease.sh {word}" in command]


def warnings(rig: Rig) -> list[str]:
    """Return the codes of the warnings."""
    return [event["code"] for event in rig.events if event.event == "warning"]


def test_armed_with_the_money_left_and_kept_by_signs_of_life(make_rig: RigMaker) -> None:
    """The pod is told when its money ends and, while anybody works, again and again that he is there."""
    rig = make_rig(leased(lease={"silence_minutes": 1.0}), job=FakeJob(lasts=200.0))
    answers(rig)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    armed = rig.one("lease_armed")
    assert (True, "curl") == (armed["verified"], armed["via"])
    (command,) = said(rig, "arm")
    assert abs(36_000 / WITH_DISK - int(command.split()[-1])) < 5
    # Every ten seconds, a quarter of the silence being longer.
    assert 19 <= len(said(rig, "beat")) <= 22
    assert None is rig.ctx.heartbeat
    assert [] == warnings(rig)


def test_unknown_price_gives_no_money_deadline(make_rig: RigMaker) -> None:
    """Where nobody knows what the pod costs, 0 says that money does not end it."""
    rig = make_rig(leased())
    rig.cloud.cost = None
    answers(rig)
    rig.run()
    assert said(rig, "arm")[0].endswith(" 0")


@pytest.mark.parametrize(
    "reply",
    [b"armed -\n", b"nonsense", Completed(exit_status=1, stdout=b"", stderr=b"no room\n")],
)
def test_lease_that_cannot_act_is_a_warning(make_rig: RigMaker, reply: Any) -> None:
    """A pod that cannot end itself runs the job all the same; events and manifest tell."""
    rig = make_rig(leased())
    answers(rig, reply)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert (False, None) == (rig.one("lease_armed")["verified"], rig.one("lease_armed")["via"])
    assert "lease-unverified" in warnings(rig)
    assert any("nothing ends the pod" in text for text in run.warnings)


def test_required_lease_that_cannot_act_ends_the_run_before_setup(make_rig: RigMaker) -> None:
    """With `lease.required` nothing is set up on such a pod, and no other host is tried."""
    rig = make_rig(leased(lease={"required": True}))
    answers(rig, b"armed -\n")
    run = rig.run()
    assert ("FAILED", "lease_unverified") == (run.state, run.cause)
    assert "setup" not in [step.name for step in run.steps]
    assert 1 == rig.cloud.made
    assert {} == rig.cloud.rented


def test_broken_connections_are_not_the_heartbeats_business(make_rig: RigMaker) -> None:
    """A sign of life that cannot be given is given over the next connection."""
    rig = make_rig(leased(), job=FakeJob(lasts=60.0))
    answers(rig, **{BEAT: [ConnectionLost("gone"), TimeoutError("slow")]})

    def once(transport: FakeTransport) -> None:
        if len(rig.connector.opened) == 1:
            asyncio.get_running_loop().call_later(25.0, transport.machine.drop)

    rig.connector.on_connect = once
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert "connection_restored" in rig.names()
    assert len(said(rig, "beat")) >= 5


@pytest.mark.parametrize(
    ("action", "word"), [("preserve", "disarm"), ("stop", None), ("delete", None)]
)
def test_pod_that_is_to_stay_is_let_go(make_rig: RigMaker, action: str, word: str | None) -> None:
    """Only a pod that is left running on purpose loses its watchdog."""
    rig = make_rig(leased(lifecycle={"on_success": action}))
    answers(rig)
    rig.run()
    assert (["disarm"] if word else []) == [c.split()[-1] for c in said(rig, "disarm")]
    assert [] == said(rig, "hold")


def test_pod_with_unverified_results_is_held(make_rig: RigMaker) -> None:
    """What could not be verified is not wiped for silence: only the money's end acts."""
    rig = make_rig(leased())
    answers(rig)
    rig.downloads.outcomes["/workspace/results"] = ["refused"] * 10
    run = rig.run()
    assert "KEPT" == run.state
    assert 1 == len(said(rig, "hold"))


def test_orphans_that_are_preserved_have_no_lease(make_rig: RigMaker) -> None:
    """With `on_orphaned: preserve` nothing is armed and nothing is said."""
    rig = make_rig(leased(lifecycle={"on_orphaned": "preserve"}))
    rig.run()
    assert [] == said(rig, "")
    assert "lease_armed" not in rig.names()


def test_plan_without_a_lease_runs_without(make_rig: RigMaker) -> None:
    """A plan that brings no such script is carried out as it is."""
    rig = make_rig()
    assert "SUCCEEDED" == rig.run().state
    assert "lease_armed" not in rig.names()


def test_create_call_brings_the_watch_of_the_start(make_rig: RigMaker) -> None:
    """The command of the plan, the filled script in the environment, and when nobody can want the pod."""
    rig = make_rig(leased(pod={"args": "sh -c '…' sh /start.sh @@rd:run_id@@"}))
    answers(rig)
    rig.run()
    (request,) = rig.cloud.requests
    assert "sh -c '…' sh /start.sh demo-20270115T080000Z" == request.args
    assert "home='demo-20270115T080000Z'\n" == request.env[BOOT_ENV]
    dead_after = json.loads(request.env["RUNPOD_DEPLOY_META"])["dead_after"]
    # An hour of the job, its way in and out, and the minutes of the lease.
    assert EPOCH + 3600 < dead_after < EPOCH + 12 * 3600


@pytest.mark.parametrize(
    ("budget", "spares", "hours"),
    [
        ({"max_runtime_minutes": None, "cost_cap_usd": 1.0}, False, 20),
        ({"max_runtime_minutes": 60.0, "cost_cap_usd": 1.0}, True, 20),
        ({"max_runtime_minutes": 6000.0, "cost_cap_usd": 0.5}, False, 10),
    ],
)
def test_pod_counts_as_dead_no_sooner_than_its_money_can_end(
    make_rig: RigMaker, budget: dict[str, Any], spares: bool, hours: int
) -> None:
    """At the lowest price there is, the cap lasts so long; a living pod is never called left over."""
    rig = make_rig(leased(budget=budget, lease={"spares_results": spares}))
    answers(rig)
    rig.run()
    (request,) = rig.cloud.requests
    dead_after = json.loads(request.env["RUNPOD_DEPLOY_META"])["dead_after"]
    assert hours * 3600 <= dead_after - EPOCH < (hours + 8) * 3600


@pytest.mark.parametrize(
    ("parts", "end"),
    [
        ({"lease": {"spares_results": False}}, 5000.0 + 20 * 60),
        ({"lease": {"spares_results": True}}, 36_000.0 / WITH_DISK),
        ({"budget": {"cost_cap_usd": 1.0}}, 3600.0 / WITH_DISK),
        ({"lifecycle": {"on_orphaned": "preserve"}}, math.inf),
    ],
)
def test_latest_end_is_what_the_watchdog_will_do(
    make_rig: RigMaker, parts: dict[str, Any], end: float
) -> None:
    """From limit, silence and money follows the moment at which an orphaned pod is ended."""
    rig = make_rig(leased(**parts))
    answers(rig)
    rig.run()
    rig.ctx.billed_since, rig.ctx.run_ends_by = 0.0, 5000.0
    assert end == pytest.approx(lease.latest_end(rig.ctx))
