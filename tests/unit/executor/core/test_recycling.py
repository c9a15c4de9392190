"""A pod that is kept for the next run: found again, held against the job, started, or let go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Plan, PlanStorage
from runpod_deploy.errors import (
    CandidateRefused,
    Conflict,
    EffectUnknown,
    RequestInvalid,
    Unavailable,
)
from runpod_deploy.executor.ports import GpuOffer
from runpod_deploy.record.kept_pods import KeptPods
from runpod_deploy.record.ledger import Ledger
from runpod_deploy.record.run import RunState
from support.fakes import FakeJob
from support.plans import A4000, L4, artifact, small_plan
from support.rig import Rig, RigMaker

STATE = ".runpod-deploy/demo.json"
NO_GPU = b"No devices were found\n--runpod-deploy--\n--runpod-deploy--\n"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def recycling_plan(**changes: Any) -> Plan:
    """Return a plan that keeps its pod for the next run."""
    plan = small_plan()
    return replace(
        plan,
        storage=PlanStorage(mode="ephemeral", mount="/workspace", volume_name=None, volume_gb=20),
        lifecycle=replace(
            plan.lifecycle, on_success="recycle", on_failure="delete", state_file=STATE
        ),
        **changes,
    )


def kept(rig: Rig) -> list[str]:
    """Return the ids of the pods that the state file holds."""
    return [one.pod_id for one in KeptPods(file=rig.ctx.project_root / STATE).read()]


def warned(rig: Rig) -> list[str]:
    """Return the codes of the warnings of a run."""
    return [event["code"] for event in rig.events if event.event == "warning"]


def first_run(make_rig: RigMaker, plan: Plan | None = None) -> Rig:
    """Return a run that came to its end and kept its pod."""
    rig = make_rig(plan or recycling_plan())
    rig.ctx.ledger = Ledger(rig.ctx.project_root / "ledger.jsonl")
    assert rig.run().state is RunState.SUCCEEDED
    return rig


def second_run(first: Rig, plan: Plan | None = None, **options: Any) -> Rig:
    """Return the next run of the job, not begun yet."""
    rig = first.next_run(plan, **options)
    rig.ctx.ledger = first.ctx.ledger
    return rig


def test_a_pod_is_stopped_and_remembered(make_rig: RigMaker) -> None:
    """A success leaves it stopped, in a file that says whose it is and which git does not see."""
    rig = first_run(make_rig)
    (entry,) = KeptPods(file=rig.ctx.project_root / STATE).read()

    assert rig.cloud.rented["pod1"].pod.status == "EXITED"
    assert (entry.pod_id, entry.binding.owner, entry.binding.job) == ("pod1", "owner123", "demo")
    assert entry.host_keys
    assert entry.claimed_by is None
    assert json.loads((rig.ctx.project_root / STATE).read_text())["pod_id"] == "pod1"
    assert "/*.json" in (rig.ctx.project_root / ".runpod-deploy/.gitignore").read_text()


def test_the_next_run_starts_it_again(make_rig: RigMaker) -> None:
    """It has the new run's key and mark, a new port, and is journalled, billed and kept again."""
    first = first_run(make_rig)
    rig = second_run(first)
    run = rig.run()

    assert run.state is RunState.SUCCEEDED
    assert run.pod_resumed
    assert (rig.cloud.made, kept(rig), warned(rig)) == (1, ["pod1"], [])
    env = rig.cloud.rented["pod1"].request.env
    assert json.loads(env["RUNPOD_DEPLOY_META"])["run"] == rig.ctx.run_id
    assert env["PUBLIC_KEY"] == rig.ctx.public_keys()
    assert rig.one("pod_ready")["port"] == 30_001
    order = ("pod_claimed", "pod_action_intended", "pod_action_settled", "pod_resumed", "pod_ready")
    assert rig.names(*order)[:5] == list(order)
    assert "command_completed" in rig.names()  # its container disk is new, so setup is done anew
    (pod,) = run.pods.values()
    assert (pod.status, pod.cost_per_hour_usd) == ("stopped", 1.0)


def test_the_days_between_are_in_the_ledger(make_rig: RigMaker) -> None:
    """The stopped disk is the first run's, the second run pays from the start on."""
    first = first_run(make_rig)
    rig = second_run(first)
    rig.clock.later(86_400.0)
    rig.run()
    ledger = rig.ctx.ledger
    assert ledger is not None
    (account,) = ledger.accounts().pods.values()
    disk = account.stretches[1]

    assert [one.run for one in account.stretches] == [
        *[str(first.ctx.folder.path)] * 2,
        *[str(rig.ctx.folder.path)] * 2,
    ]
    assert disk.usd_per_hour == pytest.approx(20 * 0.20 / 720)
    assert (disk.end or 0.0) - disk.start >= 86_400.0
    assert rig.ctx.limit() == 10.0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda plan: {"pod": replace(plan.pod, image="runpod/base:2")}, "pod.image"),
        (lambda plan: {"pod": replace(plan.pod, container_disk_gb=30)}, "pod.container_disk_gb"),
        (lambda plan: {"pod": replace(plan.pod, ports=("22/tcp", "80/http"))}, "pod.ports"),
        (lambda plan: {"pod": replace(plan.pod, min_cuda="12.8")}, "pod.min_cuda"),
        (lambda plan: {"storage": replace(plan.storage, volume_gb=40)}, "storage.volume_gb"),
        (lambda _plan: {"candidates": (A4000,)}, "pod.gpu_order"),
        (
            lambda _plan: {"candidates": (replace(L4, datacenter="US-KS-2"),)},
            "pod.datacenters",
        ),
        (lambda _plan: {"candidates": (replace(L4, cloud="COMMUNITY"),)}, "pod.cloud_type"),
    ],
)
def test_a_pod_that_is_something_else_is_replaced(
    make_rig: RigMaker, change: Callable[[Plan], dict[str, Any]], field: str
) -> None:
    """What a create call fixed and the job now asks otherwise: told by field, deleted, rented anew."""
    first = first_run(make_rig)
    plan = replace(first.ctx.plan, **change(first.ctx.plan))
    rig = second_run(first, plan)
    run = rig.run()

    assert (run.state, rig.cloud.made) == (RunState.SUCCEEDED, 2)
    assert (list(rig.cloud.gone), kept(rig)) == (["pod1"], ["pod2"])
    assert f"{field} · wanted" in run.warnings[0]
    assert [pod.status for pod in run.pods.values()] == ["gone", "stopped"]
    assert not run.pod_resumed


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"disk": 5}, "pod.container_disk_gb · wanted 20 · there 5"),
        ({"ports": ["8888/http"]}, "pod.ports · wanted 22/tcp · there 8888/http"),
        (
            {"mounts": {"persistent": {"size": 5, "path": "/workspace"}}},
            "storage · wanted persistent: size: 20, path: /workspace",
        ),
    ],
)
def test_a_pod_that_somebody_changed_is_replaced(
    make_rig: RigMaker, raw: dict[str, Any], said: str
) -> None:
    """What the API says counts, not what the state file remembers."""
    first = first_run(make_rig)
    first.cloud.change("pod1", raw=raw)
    rig = second_run(first)

    assert said in rig.run().warnings[0]
    assert list(rig.cloud.gone) == ["pod1"]


def test_a_pod_in_use_is_left_alone(make_rig: RigMaker) -> None:
    """Somebody started it by hand: another one is rented and, since the first still waits, deleted."""
    first = first_run(make_rig)
    first.cloud.change("pod1", status="RUNNING")
    rig = second_run(first)
    rig.run()

    assert warned(rig) == ["recycle-left", "recycle-second"]
    assert (list(rig.cloud.rented), list(rig.cloud.gone)) == (["pod1"], ["pod2"])
    assert kept(rig) == ["pod1"]


def test_a_pod_of_somebody_else_is_not_touched(make_rig: RigMaker) -> None:
    """A pod without the owner's mark stays what it is, and is forgotten."""
    first = first_run(make_rig)
    rented = first.cloud.rented["pod1"]
    rented.request = replace(rented.request, env={"RUNPOD_DEPLOY_META": '{"owner": "other"}'})
    rig = second_run(first)
    rig.run()

    assert warned(rig) == ["recycle-gone"]
    assert (rented.pod.status, kept(rig)) == ("EXITED", ["pod2"])


def test_a_pod_that_is_gone_is_forgotten(make_rig: RigMaker) -> None:
    """Reaped meanwhile: its account is closed, and a new one is kept."""
    first = first_run(make_rig)
    first.cloud.vanish("pod1")
    rig = second_run(first)
    rig.run()
    ledger = rig.ctx.ledger
    assert ledger is not None

    assert (warned(rig), kept(rig)) == (["recycle-gone"], ["pod2"])
    assert [one.open for one in ledger.accounts().pods.values()] == [False, True]


def full_host(rig: Rig) -> None:
    """The start is refused."""
    rig.cloud.acts.append(CandidateRefused("There are not enough free GPUs", status=400))


def deaf_api(rig: Rig) -> None:
    """The environment cannot be set."""
    rig.cloud.set_envs.append(RequestInvalid("no", status=422))


def wrong_state(rig: Rig) -> None:
    """The start is not possible now."""
    rig.cloud.acts.append(Conflict("no", status=409))


def never_starts(rig: Rig) -> None:
    """The start is granted and has no effect."""
    rig.cloud.acts.append("lie")


def lost_start(rig: Rig) -> None:
    """The start is lost on its way."""
    rig.cloud.acts.append(EffectUnknown("502", status=502))


@pytest.mark.parametrize("trouble", [full_host, deaf_api, wrong_state, never_starts, lost_start])
def test_a_pod_that_does_not_start_is_replaced(
    make_rig: RigMaker, trouble: Callable[[Rig], None]
) -> None:
    """Its host let the GPUs to others: it is deleted, and its candidate asked for as any other."""
    first = first_run(make_rig)
    rig = second_run(first)
    trouble(rig)
    run = rig.run()

    assert (run.state, warned(rig)) == (RunState.SUCCEEDED, ["recycle-drift"])
    assert (list(rig.cloud.gone), kept(rig)) == (["pod1"], ["pod2"])
    assert "candidate_refused" not in rig.names()
    assert [pod.status for pod in run.pods.values()] == ["gone", "stopped"]


def test_a_pod_that_another_machine_starts_is_left_alone(make_rig: RigMaker) -> None:
    """With a copy of the state file two machines may ask at once: whose mark it bears has it."""
    first = first_run(make_rig)
    rig = second_run(first)
    rented = rig.cloud.rented["pod1"]

    def other_machine(_number: int, name: str) -> None:
        if name == "act-start" and rented.pod.status == "EXITED":
            env = {**rented.request.env, "RUNPOD_DEPLOY_META": '{"owner": "owner123", "run": "x"}'}
            rented.request = replace(rented.request, env=env)
            rig.cloud.change("pod1", status="RUNNING")
            rig.cloud.acts.append(Conflict("running", status=409))

    rig.clock.gate.act = other_machine
    run = rig.run()

    assert (run.state, warned(rig)) == (RunState.SUCCEEDED, ["recycle-left", "recycle-second"])
    assert (list(rig.cloud.rented), kept(rig)) == (["pod1"], ["pod1"])
    assert rented.pod.status == "RUNNING"


@pytest.mark.parametrize("admission", [True, False])
def test_a_pod_without_gpus_is_replaced(make_rig: RigMaker, admission: bool) -> None:
    """GPUs are counted after a start, also where `pod.admission` is off."""
    plan = recycling_plan()
    pod = replace(plan.pod, admission=replace(plan.pod.admission, enabled=admission))
    first = first_run(make_rig, replace(plan, pod=pod))
    rig = second_run(first)
    machine = rig.cloud.machine
    probes = [NO_GPU]

    def without_gpus() -> Any:
        made = machine()
        made.probe = probes.pop() if probes else made.probe
        return made

    rig.cloud.machine = without_gpus
    run = rig.run()

    assert (run.state, warned(rig)) == (RunState.SUCCEEDED, ["recycle-unfit"])
    assert (list(rig.cloud.gone), kept(rig)) == (["pod1"], ["pod2"])
    assert "candidate_refused" not in rig.names()


def test_a_pod_above_the_ceiling_is_given_up(make_rig: RigMaker) -> None:
    """What it costs now is held against the ceiling, as for a pod that is made."""
    plan = recycling_plan()
    pod = replace(plan.pod, max_price_per_hour_usd=1.5)
    rig = second_run(first_run(make_rig), replace(plan, pod=pod))
    rig.cloud.start_changes = {"cost": 2.0}
    rig.cloud.offers = [
        GpuOffer(id=one.gpu, memory_gb=24, secure_price=1.0, community_price=None)
        for one in plan.candidates
    ]
    rig.run()

    assert (warned(rig), list(rig.cloud.gone)) == (["recycle-unfit"], ["pod1"])


def test_two_runs_at_once_never_share_a_pod(make_rig: RigMaker) -> None:
    """The second of two runs finds it taken and rents its own; in the end one is kept."""
    first = first_run(make_rig)
    rig, other = second_run(first), first.ctx.folder.path.with_name("another")
    other.mkdir()
    store = KeptPods(file=rig.ctx.project_root / STATE)
    (entry,) = store.read()
    taken = store.claim(entry.binding, str(other), lambda _run: False)
    rig.run()

    assert taken is not None
    assert taken.pod_id == "pod1"
    assert (rig.cloud.made, rig.cloud.rented["pod1"].pod.status) == (2, "EXITED")
    assert kept(rig) == ["pod1", "pod2"]


@pytest.mark.parametrize("change", ["job", "file", "owner", "api", "cloud"])
def test_a_pod_is_not_found_by_others(make_rig: RigMaker, change: str) -> None:
    """Another job, owner or account does not find it, and leaves it where it is."""
    first = first_run(make_rig)
    plan = first.ctx.plan
    job = {"job": {"name": "other"}, "file": {"file": "b.yaml"}}.get(change, {})
    rig = second_run(first, replace(plan, job=replace(plan.job, **job)))
    if change == "owner":
        rig.ctx.owner = "somebody"
    elif change == "api":
        rig.ctx.api_url = "http://127.0.0.1:2"
    elif change == "cloud":
        rig.cloud.label = "runpod"
    rig.run()

    assert (rig.cloud.made, rig.cloud.rented["pod1"].pod.status) == (2, "EXITED")
    # The pods of an emulator that has another address by now are gone with it.
    assert kept(rig) == (["pod2"] if change == "api" else ["pod1", "pod2"])


def test_a_failure_lets_the_pod_go(make_rig: RigMaker) -> None:
    """A run that fails on a kept pod ends it as `on_failure` says, and no run finds it."""
    first = first_run(make_rig)
    rig = second_run(first, job=FakeJob(exit_code=3))

    assert rig.run().state is RunState.FAILED
    assert (list(rig.cloud.gone), kept(rig)) == (["pod1"], [])


def test_a_pod_that_cannot_be_remembered_is_deleted(make_rig: RigMaker) -> None:
    """A state file that is something else is left alone, and no pod is left nobody knows of."""
    rig = make_rig(recycling_plan())
    (rig.ctx.project_root / ".runpod-deploy").mkdir()
    (rig.ctx.project_root / STATE).write_text('{"name": "package"}')
    rig.run()

    assert warned(rig) == ["recycle-unread", "recycle-unwritten"]
    assert list(rig.cloud.gone) == ["pod1"]
    assert (rig.ctx.project_root / STATE).read_text() == '{"name": "package"}'


def test_a_refused_look_rents_another(make_rig: RigMaker) -> None:
    """A pod that cannot be asked for waits on: nothing is concluded from silence."""
    first = first_run(make_rig)
    rig = second_run(first)
    rig.cloud.gets.append(Unavailable("502", status=502))
    rig.run()

    assert warned(rig) == ["recycle-left", "recycle-second"]
    assert kept(rig) == ["pod1"]


def test_a_result_on_a_kept_pod_is_pulled(make_rig: RigMaker) -> None:
    """Results of the second run are verified before its pod is stopped again."""
    first = first_run(make_rig)
    rig = second_run(first, replace(first.ctx.plan, artifacts=(artifact(), artifact("more"))))
    run = rig.run()

    assert [one.status for one in run.artifacts.values()] == ["success", "success"]
