"""A run whose own pod was stopped meanwhile: started again, for its results or to go on, or left as it is."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Plan, PlanStorage
from runpod_deploy.errors import Conflict, ConnectFailed, Kept, RequestInvalid
from runpod_deploy.executor.ports import Bill, Pod, PodAction
from runpod_deploy.executor.run import Outcome
from runpod_deploy.executor.sweep_run import _ended, _Seen
from runpod_deploy.record.journal import JournalError
from runpod_deploy.record.ledger import Ledger
from runpod_deploy.record.run import PodRecord, Run, RunState, fold
from support.fakes import FakeJob, FakeMachine, run_virtual
from support.killing import KILLED, Killed, after, at_call, left_at
from support.plans import script, small_plan
from support.rig import Rig, RigMaker

NO_GPU = b"No devices were found\n--runpod-deploy--\n--runpod-deploy--\n"
ARMED = {r"lease\.sh arm": b"armed curl"}
POD: dict[str, Any] = {
    "name": "a",
    "gpu_id": "NVIDIA L4",
    "datacenter_id": None,
    "cloud_type": "SECURE",
}
WEEKEND = 60 * 3600.0


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is there; only a power cut could take it back."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def plan_with_disk(**changes: Any) -> Plan:
    """Return a plan whose result lies on a disk that outlives a stop, which is what ends its pod."""
    plan = small_plan()
    return replace(
        plan,
        scripts=(script("lease", "pod", path=f"{plan.home}/bin/lease.sh"), *plan.scripts),
        storage=PlanStorage(mode="ephemeral", mount="/workspace", volume_name=None, volume_gb=20),
        lifecycle=replace(plan.lifecycle, on_failure="stop", on_orphaned="stop"),
        **changes,
    )


def begun(make_rig: RigMaker, job: FakeJob | None = None, **changes: Any) -> Rig:
    """Return a run, not begun yet, with a ledger."""
    rig = make_rig(plan_with_disk(**changes), job=job)
    rig.answering(ARMED)
    rig.ctx.ledger = Ledger(rig.ctx.project_root / "ledger.jsonl")
    return rig


def stopped(rig: Rig, event: str, away: float = WEEKEND) -> Rig:
    """Kill a run after an event; its pod stops, and somebody comes back much later."""
    second = left_at(rig, event)
    for pod_id in list(rig.cloud.rented):
        rig.cloud.change(pod_id, status="EXITED", ssh=None)
        rig.cloud.rented[pod_id].machine.kill()
    second.ctx.seen_until = rig.clock.now()
    rig.clock.later(away)
    second.ctx.ledger = rig.ctx.ledger
    return second


def warned(rig: Rig) -> list[str]:
    """Return the codes of the warnings."""
    return [event["code"] for event in rig.events if event.event == "warning"]


def unverified(make_rig: RigMaker) -> Rig:
    """Return a run that succeeded, whose result could not be verified, and whose pod was stopped for it."""
    rig = begun(make_rig)
    rig.downloads.outcomes["/workspace/results"] = [OSError("no space left")]
    run = rig.run()
    assert (run.state, rig.cloud.rented["pod1"].pod.status) == (RunState.KEPT, "EXITED")
    rig.clock.later(3600.0)
    second = after(rig)
    second.ctx.ledger = rig.ctx.ledger
    return second


def test_kept_pod_is_started_for_its_results(make_rig: RigMaker) -> None:
    """Journalled, at a new port, with a new host key and a new lease: the result comes home, the pod goes."""
    rig = unverified(make_rig)
    run = rig.run()

    assert (run.state, run.cause) == (RunState.SUCCEEDED, None)
    assert (rig.cloud.made, rig.cloud.starts, rig.cloud.rented) == (1, 1, {})
    assert rig.connector.forgotten == ["pod1"]
    assert [event["port"] for event in rig.events if event.event == "pod_ready"][-1] == 30_001
    assert rig.names().count("lease_armed") == 2
    actions = [
        e.fields.get("action", e.fields.get("outcome"))
        for e in rig.events
        if e.event.startswith("pod_action")
    ]
    assert actions == ["stop", "stopped", "start", "started"]
    assert run.open_intents == {}
    assert not run.pod_resumed
    assert any("lease.sh restore" in one for one in rig.machines[-1].commands)
    assert rig.names().count("exec_start_intended") == 1


def test_rest_between_costs_its_disk_alone(make_rig: RigMaker) -> None:
    """The hour in which the pod was stopped counts as its disk, in the run and in the ledger."""
    rig = unverified(make_rig)
    rig.run()
    ledger = rig.ctx.ledger
    assert ledger is not None
    (account,) = ledger.accounts().pods.values()
    disk = 20 * 0.20 / 720

    assert [one.usd_per_hour for one in account.stretches][1] == pytest.approx(disk)
    assert rig.ctx.spent() == pytest.approx(account.usd(0.0, rig.clock.now()), abs=1e-3)
    assert rig.ctx.spent() < 2 * disk + 0.05


def test_host_without_gpus_gives_the_results(make_rig: RigMaker) -> None:
    """A host may have let its GPUs to others: that is told, and nothing needs them any more."""
    rig = unverified(make_rig)
    machine = rig.cloud.machine

    def without_gpus() -> Any:
        made = machine()
        made.probe = NO_GPU
        return made

    rig.cloud.machine = without_gpus
    assert rig.run().state is RunState.SUCCEEDED
    assert "woken-without-gpus" in warned(rig)


@pytest.mark.parametrize("why", ["refused", "stays", "no-login"])
def test_pod_that_cannot_be_had_keeps_its_results(make_rig: RigMaker, why: str) -> None:
    """Not started, or started for nobody: it is stopped, the run is as it was, and a later try succeeds."""
    rig = unverified(make_rig)
    if why == "refused":
        rig.cloud.acts.append(RequestInvalid("not enough free GPUs on the host", status=400))
    elif why == "stays":
        rig.cloud.acts.append("lie")
    else:
        rig.connector.always = ConnectFailed("nobody answers")
    run = rig.run()

    assert isinstance(rig.engine.failure, Kept)
    assert rig.engine.given_up
    assert "pod1" in str(rig.engine.failure)
    assert "resume" in (rig.engine.failure.help or "")
    assert (rig.cloud.rented["pod1"].pod.status, run.open_intents) == ("EXITED", {})
    assert run.state is RunState.KEPT

    third = after(rig)
    third.ctx.ledger = rig.ctx.ledger
    assert third.run().state is RunState.SUCCEEDED
    assert (rig.cloud.made, rig.cloud.rented) == (1, {})


def test_pod_that_breaks_after_its_start_is_at_rest(make_rig: RigMaker) -> None:
    """Nothing of a pod in ERROR runs, and the API refuses its stop: it is kept, and starts later."""
    rig = unverified(make_rig)
    act, get = rig.cloud.act, rig.cloud.get

    async def refusing(pod_id: str, action: PodAction) -> None:
        if action == "stop" and rig.cloud.rented[pod_id].pod.status == "ERROR":
            raise Conflict("not possible in the present state")
        await act(pod_id, action)

    async def breaking(pod_id: str) -> Pod | None:
        seen = await get(pod_id)
        if seen is not None and seen.status == "RUNNING":
            rig.cloud.change(pod_id, status="ERROR", ssh=None)
        return seen

    rig.cloud.act = refusing
    rig.cloud.get = breaking
    run = rig.run()

    assert isinstance(rig.engine.failure, Kept)
    assert (run.state, run.open_intents, rig.cloud.starts) == (RunState.KEPT, {}, 1)

    rig.cloud.get = get
    third = after(rig)
    third.ctx.ledger = rig.ctx.ledger
    assert third.run().state is RunState.SUCCEEDED
    assert (rig.cloud.made, rig.cloud.starts, rig.cloud.rented) == (1, 2, {})


def test_pod_is_not_started_with_money_that_is_not_there(make_rig: RigMaker) -> None:
    """What is left does not pay a minute: nothing is started, and the way to end the pod is told."""
    rig = unverified(make_rig)
    rig.ctx.plan_file = replace(
        rig.ctx.plan_file,
        plan=replace(rig.ctx.plan, budget=replace(rig.ctx.plan.budget, cost_cap_usd=0.006)),
    )
    rig.ctx.limit_usd = 0.006
    rig.run()

    assert isinstance(rig.engine.failure, Kept)
    assert "beyond" in str(rig.engine.failure)
    assert "cleanup pod1" in (rig.engine.failure.help or "")
    assert rig.cloud.starts == 0


@pytest.mark.parametrize("billed", [0.2, 9.9, None])
def test_bill_tells_what_a_pod_cost_that_nobody_saw_stop(
    make_rig: RigMaker, billed: float | None
) -> None:
    """By its lease's terms it may have cost all there is; where the bill says less, it is started."""
    plan = replace(small_plan().budget, cost_cap_usd=10.0, max_runtime_minutes=None)
    rig = begun(make_rig, budget=plan)
    second = stopped(rig, "exec_start_settled", away=400 * 3600.0)
    if billed is not None:
        second.cloud.bills = [Bill(pod_id="pod1", total_usd=1.0, gpu_usd=billed, disk_usd=0.0)]
    second.run()

    started = billed == 0.2
    assert started is not isinstance(second.engine.failure, Kept)
    assert second.cloud.starts == int(started)
    found = [event for event in second.events if event.event == "pod_found_stopped"]
    assert len(found) == 1 + started
    (pod,) = fold(second.events).pods.values()
    if started:
        assert pod.ran_sec == pytest.approx(0.2 * 3600 + 300, abs=2)


def test_pod_that_was_deleted_meanwhile_is_told(make_rig: RigMaker) -> None:
    """Nothing is started where nothing is; the run fails by it and leaves nothing."""
    rig = unverified(make_rig)
    rig.cloud.vanish("pod1")
    run = rig.run()

    assert (run.state, run.cause, rig.cloud.starts) == (RunState.FAILED, "pod_gone", 0)
    assert [pod.status for pod in run.pods.values()] == ["gone"]


def test_pod_found_stopped_by_one_that_is_killed_is_still_let_go(make_rig: RigMaker) -> None:
    """A failed run is ended, its pod is found at rest, and the executor dies: the next one deletes it."""
    rig = begun(make_rig, job=FakeJob(exit_code=3))
    lifecycle = replace(rig.ctx.plan.lifecycle, on_failure="delete")
    rig.ctx.plan_file = replace(rig.ctx.plan_file, plan=replace(rig.ctx.plan, lifecycle=lifecycle))
    second = stopped(rig, "pull_intended")
    third = left_at(second, "pod_found_stopped")
    third.ctx.ledger = rig.ctx.ledger
    run = third.run()

    assert (run.state, run.cause, run.open_intents) == (RunState.FAILED, "exit_code", {})
    assert (third.cloud.rented, third.cloud.made) == ({}, 1)


def test_job_that_ended_with_nobody_there_is_told_as_it_ended(make_rig: RigMaker) -> None:
    """Stopped by its lease after the job, days ago: the run ends as an undisturbed one, and pays no days."""
    rig = begun(make_rig)
    second = stopped(rig, "exec_start_settled")
    run = second.run()

    assert (run.state, run.cause) == (RunState.SUCCEEDED, None)
    assert second.log() == b"hello\n"
    assert second.job.starts == 1
    found = second.one("pod_found_stopped")
    assert "pod_found_stopped" in second.names()
    assert (found["pod_id"], second.cloud.starts, second.cloud.rented) == ("pod1", 1, {})
    assert second.ctx.spent() < 10.0


def test_job_whose_end_is_lost_is_never_a_success(make_rig: RigMaker) -> None:
    """Without its exit code the outcome is unknown; the results are brought home, the job not begun again."""
    rig = begun(make_rig)
    second = stopped(rig, "exec_start_intended")
    wiped = FakeJob()
    second.cloud.machine = lambda: FakeMachine(job=wiped, replies=dict(ARMED))
    run = second.run()

    assert run.state is RunState.UNKNOWN
    assert (wiped.starts, run.open_intents) == (0, {})
    assert "artifact_pull_completed" in second.names()


@pytest.mark.parametrize("host", ["good", "no-gpus", "refused"])
def test_pod_that_was_stopped_before_its_job_goes_on(make_rig: RigMaker, host: str) -> None:
    """On its disk anew from the login on; a host that has nothing left is given up for another one."""
    rig = begun(make_rig)
    second = stopped(rig, "command_completed")
    machine, probes = second.cloud.machine, [NO_GPU]

    def first_without_gpus() -> Any:
        made = machine()
        made.probe = probes.pop() if probes else made.probe
        return made

    if host == "no-gpus":
        second.cloud.machine = first_without_gpus
    elif host == "refused":
        second.cloud.acts.append(Conflict("no", status=409))
        second.cloud.act_always = "lie"
    run = second.run()

    assert run.state is RunState.SUCCEEDED
    assert (second.cloud.made, second.cloud.rented) == (1 if host == "good" else 2, {})
    assert second.names().count("command_completed") == 2
    assert second.cloud.most == 1


def test_killed_while_it_is_started_again(make_rig: RigMaker) -> None:
    """Wherever whoever starts it dies, the next one ends the run as if nobody had died."""
    for moment in range(1, 100, 3):
        rig = unverified(make_rig)
        at_call(rig, moment)
        with contextlib.suppress(Killed, JournalError):
            rig.run()
        if KILLED not in rig.listener.messages:
            break
        third = after(rig)
        third.ctx.ledger = rig.ctx.ledger
        run = third.run()
        where = f"{moment}: {third.names()}"

        assert (run.state, rig.cloud.made, rig.cloud.rented) == (RunState.SUCCEEDED, 1, {}), where
        assert (run.open_intents, run.leaked) == ({}, ()), where
    assert moment > 20


def test_stop_by_the_terms_of_the_lease(make_rig: RigMaker) -> None:
    """Found stopped, a pod has cost what it may have by its silence, and not the days since."""
    terms = replace(small_plan().lease, silence_minutes=15.0, while_running="stop")
    rig = begun(make_rig, lease=terms)
    second = stopped(rig, "exec_start_settled")
    second.run()
    (pod,) = fold(second.events).pods.values()

    assert 15 * 60 <= pod.ran_sec <= 16 * 60
    assert WEEKEND - 16 * 60 <= pod.rested_sec <= WEEKEND


def test_pod_that_is_gone_before_its_job_is_followed_by_another(make_rig: RigMaker) -> None:
    """Its lease deleted it, hours ago: all is done anew on the next one, and the hours cost nothing."""
    rig = begun(make_rig)
    second = left_at(rig, "command_completed")
    second.ctx.ledger = rig.ctx.ledger
    second.ctx.seen_until = rig.clock.now()
    rig.cloud.vanish("pod1")
    rig.clock.later(WEEKEND)
    run = second.run()

    assert (run.state, second.cloud.made, second.cloud.most) == (RunState.SUCCEEDED, 2, 1)
    assert second.names().count("command_completed") == 2
    assert [pod.status for pod in run.pods.values()] == ["gone", "gone"]
    assert second.ctx.spent() < 1.0


def test_start_of_a_job_on_a_pod_that_is_gone_is_settled(make_rig: RigMaker) -> None:
    """Whether it began cannot be asked any more: that is written down, and no other pod runs it."""
    rig = begun(make_rig)
    second = left_at(rig, "exec_start_intended")
    rig.cloud.vanish("pod1")
    run = second.run()

    assert (run.state, run.cause, run.open_intents) == (RunState.FAILED, "pod_killed", {})
    assert second.cloud.made == 1
    assert second.one("exec_start_settled")["outcome"] == "unknown"


def test_start_of_a_job_is_settled_when_money_ends_the_wait_for_its_pod(make_rig: RigMaker) -> None:
    """The cap is reached while nobody answers: the end leaves no effect open."""
    rig = begun(make_rig)
    second = left_at(rig, "exec_start_intended")

    async def nobody_answers(*_arguments: object, **_options: object) -> Any:
        await second.clock.sleep(WEEKEND)

    second.connector.connect = nobody_answers
    second.ctx.plan_file = replace(
        second.ctx.plan_file,
        plan=replace(second.ctx.plan, budget=replace(second.ctx.plan.budget, cost_cap_usd=0.01)),
    )
    run = second.run()

    assert (run.state, run.cause, run.open_intents) == (RunState.FAILED, "cost_cap", {})
    assert second.one("exec_start_settled")["outcome"] == "unknown"


def test_run_of_a_sweep_whose_pod_does_not_start_is_kept() -> None:
    """Its pod is stopped and told of, which is no leak; the sweep goes on without it."""

    async def cannot() -> Outcome:
        raise Kept("Pod pod1 is stopped and does not start.")

    seen = _Seen(run=Run(pods={"a": PodRecord(**POD, status="stopped", pod_id="pod1")}))
    end = run_virtual(_ended(cannot(), seen, plan_with_disk()))

    assert (end.state, end.cause) == (RunState.KEPT, "Kept")
