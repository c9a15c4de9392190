"""A run on several nodes: what is done on each, what ends all of them, and how it is carried on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Plan, PlanCluster, PlanStaging, PlanStorage
from runpod_deploy.errors import ConnectionLost, EffectUnknown
from runpod_deploy.executor import nodes
from runpod_deploy.executor.interrupts import Request
from runpod_deploy.executor.lease import SCRIPT
from runpod_deploy.executor.ports import GpuOffer
from runpod_deploy.record.event_lines import read_events
from runpod_deploy.record.run import RunState
from support.fake_pod import FakeMachine
from support.fakes import AfterEffect, FakeJob
from support.killing import left_at
from support.plans import artifact, changed, script, small_plan
from support.rig import Rig, RigMaker


def cluster_plan(number: int = 3, *, collect: Any = "first", **changes: Any) -> Plan:
    """Return the small plan on several nodes."""
    cluster = PlanCluster(nodes=number, type="TRAINING", collect=collect)
    return replace(small_plan(), cluster=cluster, **changes)


def jobs(rig: Rig, *made: FakeJob) -> tuple[FakeJob, ...]:
    """Let each node's machine have a job of its own, by rank."""
    left = list(made)

    def machine() -> FakeMachine:
        rig.machines.append(FakeMachine(job=left.pop(0) if left else FakeJob()))
        return rig.machines[-1]

    rig.cloud.machine = machine
    return made


def journal(rig: Rig, rank: int) -> list[Any]:
    """Return the events of another node's own journal."""
    return list(read_events(rig.ctx.folder.path / "nodes" / str(rank) / "events.jsonl"))


def names(rig: Rig, rank: int) -> list[str]:
    """Return their names."""
    return [event.event for event in journal(rig, rank)]


def test_every_step_is_done_on_every_node(make_rig: RigMaker) -> None:
    """Each node is admitted, set up and runs the job; the cluster is asked for once and deleted once."""
    rig = make_rig(cluster_plan())
    made = jobs(rig, *(FakeJob(chunks=[(1.0, f"node {rank}\n".encode())]) for rank in range(3)))

    run = rig.run()

    assert RunState.SUCCEEDED is run.state
    assert [1, 1, 1] == [job.starts for job in made]
    assert 3 == rig.cloud.requests[0].nodes
    assert 1 == len(rig.cloud.requests)
    assert {} == rig.cloud.rented
    assert b"node 0\n" == rig.log()
    for rank in (1, 2):
        folder = rig.ctx.folder.path / "nodes" / str(rank)
        assert f"node {rank}\n".encode() == (folder / "run.log").read_bytes()
        assert ["node_joined", "host_key_enrolled", "admission_checked"] == names(rig, rank)[:3]
        assert {"command_completed", "exec_start_settled", "job_ended"} <= set(names(rig, rank))
        assert "pull_intended" not in names(rig, rank)
    assert all(transport.closed for transport in rig.connector.opened)


def test_every_nodes_artifacts_come_home_where_they_are_asked_for(make_rig: RigMaker) -> None:
    """With `collect: all` each node's files lie in its own folder, verified."""
    outside = artifact("logs", local_path="@@rd:project_root@@/logs/node-0")
    rig = make_rig(cluster_plan(2, collect="all"))
    rig.run()
    assert (rig.ctx.folder.path / "results" / "model.bin").exists()
    assert (rig.ctx.folder.path / "nodes" / "1" / "results" / "model.bin").exists()
    settled = [event for event in journal(rig, 1) if event.event == "pull_settled"]
    assert ["verified"] == [event["outcome"] for event in settled]
    plan = nodes._plan_for(replace(cluster_plan(collect="all"), artifacts=(outside,)), 2)
    assert "@@rd:project_root@@/logs/node-2" == plan.artifacts[0].local_path


def test_a_node_whose_results_cannot_be_had_keeps_the_cluster(make_rig: RigMaker) -> None:
    """A required artifact that one node will not give is a reason not to delete any."""
    rig = make_rig(cluster_plan(2, collect="all"))
    rig.downloads.outcomes["/workspace/results"] = ["verified", "refused", "refused", "refused"]
    run = rig.run()
    assert RunState.KEPT is run.state
    assert "pod1" in rig.cloud.rented
    assert rig.engine.failure is not None
    assert "Node 1" in str(rig.engine.failure)


def test_results_of_another_node_are_kept_whatever_the_first_one_failed_by(
    make_rig: RigMaker,
) -> None:
    """Unverified files of node 1 keep the cluster: with the first one done, and with its own missing."""
    rig = make_rig(cluster_plan(2, collect="all"))
    rig.downloads.outcomes["/workspace/results"] = ["missing", "refused"]
    assert RunState.KEPT is rig.run().state

    again = make_rig(cluster_plan(2, collect="all"))
    lost = ConnectionLost("cut off")
    again.downloads.outcomes["/workspace/results"] = ["verified", lost, "refused", "refused"]

    def ask(_number: int, _name: str) -> None:
        if "artifact_pull_completed" in again.names() and again.ctx.peers:
            again.clock.gate.act = None
            again.interrupts.ask(Request.CANCEL)

    again.clock.gate.act = ask
    assert RunState.KEPT is again.run().state
    assert "pod1" in again.cloud.rented


def test_a_node_that_fails_ends_the_run_on_all(make_rig: RigMaker) -> None:
    """The script of one node fails: the others are ended, the node is named, nothing is left."""
    rig = make_rig(cluster_plan())
    first, failing, third = jobs(
        rig, FakeJob(lasts=900.0), FakeJob(lasts=9.0, exit_code=3), FakeJob(lasts=900.0)
    )
    run = rig.run()
    assert (RunState.FAILED, "node_failed") == (run.state, run.cause)
    assert "Node 1 (pod pod1-1): The run ended with exit code 3." == str(rig.engine.failure)
    assert first.stopped_at is not None
    assert third.stopped_at is not None
    assert failing.stopped_at is None
    assert {} == rig.cloud.rented
    (told,) = [event for event in journal(rig, 2) if event.event == "job_ended"]
    assert "cancelled" == told["cause"]


def test_the_first_nodes_failure_ends_the_others(make_rig: RigMaker) -> None:
    """Nobody waits for nodes whose first one has failed; its own exit code is the run's."""
    rig = make_rig(cluster_plan(2))
    _, other = jobs(rig, FakeJob(lasts=5.0, exit_code=7), FakeJob(lasts=900.0))
    run = rig.run()
    assert (RunState.FAILED, "exit_code") == (run.state, run.cause)
    assert run.job_end is not None
    assert 7 == run.job_end.exit_code
    assert other.stopped_at is not None


def test_the_run_waits_for_the_slowest_node(make_rig: RigMaker) -> None:
    """The first node's end is not the run's while another one works."""
    rig = make_rig(cluster_plan(2))
    _, slow = jobs(rig, FakeJob(lasts=5.0), FakeJob(lasts=60.0))
    assert RunState.SUCCEEDED is rig.run().state
    assert slow.stopped_at is None


def test_a_node_that_is_lost_ends_the_run(make_rig: RigMaker) -> None:
    """A node that dies takes the cluster with it, and the message says which."""
    rig = make_rig(cluster_plan(2))
    first, _ = jobs(rig, FakeJob(lasts=900.0), FakeJob(lasts=900.0))

    def lose(_number: int, _name: str) -> None:
        if first.started_at is not None and rig.clock.monotonic() > first.started_at + 30:
            rig.cloud.change("pod1-1", status="EXITED", ssh=None)
            rig.machines[1].kill()
            rig.clock.gate.act = None

    rig.clock.gate.act = lose
    run = rig.run()
    assert (RunState.FAILED, "pod_killed") == (run.state, run.cause)
    assert "node 1" in str(rig.engine.failure).lower()
    assert {} == rig.cloud.rented


def test_a_node_that_is_not_what_was_asked_for_gives_the_cluster_back(make_rig: RigMaker) -> None:
    """One node without its GPU is enough: the next candidate is tried, with all nodes anew."""
    rig = make_rig(cluster_plan(2))
    made: list[FakeMachine] = []

    def machine() -> FakeMachine:
        made.append(FakeMachine())
        if len(made) == 2:
            made[-1].probe = b"\n--runpod-deploy--\n\n--runpod-deploy--\n"
        return made[-1]

    rig.cloud.machine = machine
    run = rig.run()
    assert RunState.SUCCEEDED is run.state
    assert ["NVIDIA L4", "NVIDIA RTX A4000"] == [one.gpu for one in rig.cloud.requests]
    assert {} == rig.cloud.rented
    joined = [event["pod_id"] for event in journal(rig, 1) if event.event == "node_joined"]
    assert ["pod1-1", "pod2-1"] == joined


@pytest.mark.parametrize(
    "event",
    ["pod_create_intended", "pod_ready", "admission_checked", "command_completed", "job_ended"],
)
def test_a_killed_run_is_carried_on_with_all_its_nodes(make_rig: RigMaker, event: str) -> None:
    """Wherever the executor is killed, one cluster is made, each job begun once, and all ends well."""
    rig = make_rig(cluster_plan(2, collect="all"))
    made = jobs(rig, FakeJob(lasts=30.0), FakeJob(lasts=40.0))
    second = left_at(rig, event)
    run = second.run()
    assert RunState.SUCCEEDED is run.state
    assert [True, True] == [job.started_at is not None for job in made]
    assert 1 == len([one for one in run.pods.values() if one.pod_id])
    assert {} == second.cloud.rented
    for rank in (1,):
        ends = [one for one in journal(second, rank) if one.event == "job_ended"]
        assert 1 == len(ends)


def test_a_killed_run_that_lost_a_node_ends(make_rig: RigMaker) -> None:
    """Carried on without one of its nodes, the run fails, and the cluster is deleted."""
    rig = make_rig(cluster_plan(2))
    jobs(rig, FakeJob(lasts=900.0), FakeJob(lasts=900.0))
    second = left_at(rig, "exec_start_settled")
    second.cloud.change("pod1-1", status="EXITED", ssh=None)
    second.machines[1].kill()
    run = second.run()
    assert (RunState.FAILED, "pod_killed") == (run.state, run.cause)
    assert {} == second.cloud.rented


@pytest.mark.parametrize("event", ["command_completed", "exec_start_settled"])
@pytest.mark.parametrize("returns", [False, True])
def test_a_node_that_is_not_listed_is_looked_for_and_never_done_without(
    make_rig: RigMaker, event: str, *, returns: bool
) -> None:
    """Carried on, a run waits for a node that one listing lacks; it fails rather than go on alone."""
    rig = make_rig(cluster_plan(2))
    made = jobs(rig, FakeJob(lasts=60.0), FakeJob(lasts=60.0))
    second = left_at(rig, event)
    hidden = second.cloud.rented.pop("pod1-1")
    ends = second.clock.monotonic() + 8.0

    def show(_number: int, _name: str) -> None:
        if returns and second.clock.monotonic() > ends:
            second.cloud.rented["pod1-1"] = hidden
            second.clock.gate.act = None

    second.clock.gate.act = show
    run = second.run()
    assert (("SUCCEEDED", None) if returns else ("FAILED", "pod_killed")) == (run.state, run.cause)
    begun = returns or event == "exec_start_settled"
    assert begun == (made[0].started_at is not None)
    assert 1 == len(second.cloud.requests)
    assert {} == second.cloud.rented


def test_a_run_is_left_alone_once_every_node_has_begun(make_rig: RigMaker) -> None:
    """A terminal that goes while a node's script has not begun ends the run; later it goes on alone."""
    told: list[tuple[bool, int]] = []

    def watch(_number: int, _name: str) -> None:
        begun = sum(job.started_at is not None for job in made)
        told.append((rig.interrupts.can_detach, begun))

    rig = make_rig(cluster_plan(2))
    made = jobs(rig, FakeJob(lasts=60.0), FakeJob(lasts=60.0))
    rig.clock.gate.act = watch
    assert RunState.SUCCEEDED is rig.run().state
    assert {2} == {begun for can, begun in told if can}
    assert 1 in {begun for _, begun in told}


def test_the_price_of_a_cluster_is_settled_once_its_nodes_are_there(make_rig: RigMaker) -> None:
    """Found without a price it is not given back for that; it is judged, and written down, when ready."""
    ceiling = changed(cluster_plan(2), pod={"max_price_per_hour_usd": 5.0})

    def run(price: float) -> tuple[Any, list[Any], Rig]:
        rig = make_rig(ceiling)
        rig.cloud.offers = [
            GpuOffer(id="NVIDIA L4", memory_gb=24, secure_price=2.0, community_price=None)
        ]
        rig.cloud.changes.append({"cost": None})
        lost = AfterEffect(EffectUnknown("502", status=502), visible_in=1.0)
        rig.cloud.creates.append(lost)

        def tell(_number: int, name: str) -> None:
            if name == "get" and "pod1" in rig.cloud.rented:
                rig.cloud.change("pod1", cost=price)

        rig.clock.gate.act = tell
        done = rig.run()
        return done, [one for one in rig.events if one.event == "pod_create_settled"], rig

    done, settled, _ = run(4.0)
    assert RunState.SUCCEEDED is done.state
    assert [None, 4.0] == [one["cost_per_hour_usd"] for one in settled]
    assert 4.0 == done.pods[settled[0]["op_id"]].cost_per_hour_usd
    _, settled, rig = run(9.0)
    refused = [one["reason"] for one in rig.events if one.event == "candidate_refused"]
    assert any("$9/h" in str(text) for text in refused), refused


def test_files_on_a_shared_volume_are_sent_once() -> None:
    """What lies on the volume of all nodes is the first one's to send; the rest goes to each."""
    entries = tuple(
        PlanStaging(
            label=label,
            source=".",
            destination=destination,
            excludes=(),
            gitignore=True,
            delete=False,
            tree_sha256="sha256:0",
            files=0,
            bytes=0,
        )
        for label, destination in (("shared", "/workspace/a"), ("own", "/root/a"))
    )
    volume = PlanStorage(mode="network_volume", mount="/workspace", volume_name="v", volume_gb=None)
    plan = cluster_plan(staging=entries, storage=volume)
    assert ["own"] == [one.label for one in nodes._plan_for(plan, 1).staging]
    disk = replace(volume, mode="ephemeral", volume_name=None, volume_gb=10)
    plan = replace(plan, storage=disk)
    assert ["shared", "own"] == [one.label for one in nodes._plan_for(plan, 1).staging]


def test_only_the_first_nodes_silence_ends_the_cluster(make_rig: RigMaker) -> None:
    """Before its script begins each other node is told to hold: then the end of the money acts alone."""
    plan = cluster_plan(2)
    rig = make_rig(
        replace(plan, scripts=(*plan.scripts[:-1], script(SCRIPT, "pod"), plan.scripts[-1]))
    )
    rig.answering({"lease.sh arm": b"armed curl\n"})
    rig.run()
    held = [[one for one in machine.commands if "lease.sh hold" in one] for machine in rig.machines]
    assert [0, 1] == [len(commands) for commands in held]
    order = [
        one.split()[1].rpartition("/")[2] + " " + one.split()[2]
        for one in rig.machines[1].commands
        if "lease.sh hold" in one or "supervisor.sh start" in one
    ]
    assert ["lease.sh hold", "supervisor.sh start"] == order


def test_the_money_is_that_of_all_nodes(make_rig: RigMaker) -> None:
    """A node's own deadline is by the cluster's price, and cost is counted once."""
    rig = make_rig(cluster_plan(2))
    rig.cloud.cost = 8.0
    made = jobs(rig, FakeJob(), FakeJob())
    rig.run()
    limits = [job.limit for job in made]
    assert limits[0][1] == limits[1][1]
    assert abs(limits[0][0] - limits[1][0]) <= 1
    assert rig.ctx.spent() < 8.0


@pytest.mark.parametrize("lost", [0, 1])
def test_results_of_a_lost_node_keep_nothing(make_rig: RigMaker, lost: int) -> None:
    """What lay on the lost node alone is no reason to go on paying; the other's results come home."""
    rig = make_rig(cluster_plan(2, collect="all"))
    first, _ = jobs(rig, FakeJob(lasts=900.0), FakeJob(lasts=900.0))

    def lose(_number: int, _name: str) -> None:
        if first.started_at is not None and rig.clock.monotonic() > first.started_at + 30:
            rig.cloud.change(f"pod1-{lost}", status="EXITED", ssh=None)
            rig.machines[lost].kill()
            rig.clock.gate.act = None

    rig.clock.gate.act = lose
    run = rig.run()
    assert (RunState.FAILED, "pod_killed") == (run.state, run.cause)
    assert {} == rig.cloud.rented
    kept = rig.ctx.folder.path / ("results" if lost else "nodes/1/results") / "model.bin"
    assert kept.exists()
