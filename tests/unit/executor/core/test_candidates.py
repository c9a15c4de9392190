"""Which candidates are tried, how often, and which pods are refused after they were had."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.errors import (
    AccountError,
    ConnectFailed,
    ConnectionLost,
    HostUnusable,
    RateLimited,
    StockOut,
    Unavailable,
    Unreachable,
)
from runpod_deploy.executor.ports import GpuOffer, StockQuery, Volume
from runpod_deploy.executor.ring import Ring
from support.fake_pod import FakeTransport
from support.fakes import unavailable
from support.plans import A4000, L4, changed, small_plan
from support.rig import Rig, RigMaker


def sold_out(rig: Rig) -> None:
    """Leave no stock anywhere."""
    for candidate in rig.ctx.plan.candidates:
        rig.cloud.no_stock.add((candidate.gpu, candidate.datacenter, candidate.cloud))


def test_without_wait_or_attempts_one_round_is_all(make_rig: RigMaker) -> None:
    """Every candidate is asked once; then the run ends with stock-out and names each refusal."""
    rig = make_rig()
    sold_out(rig)
    run = rig.run()
    assert isinstance(rig.engine.failure, StockOut)
    assert [L4.gpu, A4000.gpu] == [request.gpu for request in rig.cloud.requests]
    assert L4.gpu in str(rig.engine.failure)
    assert A4000.gpu in str(rig.engine.failure)
    assert "FAILED" == run.state
    assert "StockOut" == run.cause


def test_attempts_are_rounds(make_rig: RigMaker) -> None:
    """`attempts: 3` asks each candidate three times."""
    rig = make_rig(changed(small_plan(), capacity={"attempts": 3}))
    sold_out(rig)
    rig.run()
    assert [L4.gpu, A4000.gpu] * 3 == [request.gpu for request in rig.cloud.requests]


def test_waiting_goes_round_until_there_is_stock(make_rig: RigMaker) -> None:
    """With `wait_minutes` the ring is walked again and again, and stock that comes is taken."""
    rig = make_rig(changed(small_plan(), capacity={"wait_minutes": 10.0}))
    sold_out(rig)

    def act(_number: int, _name: str) -> None:
        if rig.clock.monotonic() > 300:
            rig.cloud.no_stock.clear()

    rig.clock.gate.act = act
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert 300 < rig.clock.monotonic() < 360


def test_a_name_that_the_catalog_lacks_is_no_matter_of_waiting(make_rig: RigMaker) -> None:
    """The near name is told; what helps against a real shortage is told only where there is one."""
    plan = small_plan()
    wrong = Candidate(gpu="RTX4090", datacenter=None, cloud="SECURE")
    helps = []
    for candidates in ((wrong,), (wrong, L4)):
        rig = make_rig(replace(plan, candidates=candidates))
        rig.cloud.offers = [
            GpuOffer(id=L4.gpu, memory_gb=24, secure_price=0.5, community_price=None)
        ]
        sold_out(rig)
        rig.run()
        assert isinstance(rig.engine.failure, StockOut)
        helps.append(rig.engine.failure.help or "")

    assert all("no RTX4090; near it is NVIDIA GeForce RTX 4090." in one for one in helps)
    assert [False, True] == ["wait_minutes" in one for one in helps]


def test_waiting_ends(make_rig: RigMaker) -> None:
    """Once `wait_minutes` have passed no further round begins."""
    rig = make_rig(changed(small_plan(), capacity={"wait_minutes": 5.0}))
    sold_out(rig)
    rig.run()
    assert isinstance(rig.engine.failure, StockOut)
    assert 300 <= rig.clock.monotonic() < 330


@pytest.mark.parametrize(
    ("attempts", "until", "rounds"),
    [(None, None, 1), (3, None, 3), (None, 25.0, 4), (2, 25.0, 2), (9, 25.0, 4)],
)
def test_ring_rounds(attempts: int | None, until: float | None, rounds: int) -> None:
    """A ring goes round as often as attempts and time allow, ten seconds a round."""
    ring = Ring((L4, A4000), attempts, until)
    taken: list[Candidate] = []
    now = 0.0
    while True:
        candidate = ring.take()
        if candidate is not None:
            taken.append(candidate)
            continue
        if not ring.next_round(now):
            break
        now += 10.0
    assert [L4, A4000] * rounds == taken


@pytest.mark.parametrize(
    "drift",
    [
        {"gpu": "NVIDIA H100"},
        {"gpu_count": 0},
        {"gpu_count": 2},
        {"cloud": "COMMUNITY"},
        {"datacenter": "US-TX-1"},
    ],
)
def test_pod_that_is_not_what_was_asked_for_is_deleted(
    make_rig: RigMaker, drift: dict[str, Any]
) -> None:
    """GPU, count, cloud and data center are compared after create; a mismatch costs one candidate."""
    rig = make_rig()
    rig.cloud.changes.append(drift)
    run = rig.run()
    assert "SUCCEEDED" == run.state
    first, second = run.pods.values()
    assert ("gone", "gone") == (first.status, second.status)
    refused = rig.one("candidate_refused")
    assert (L4.gpu, L4.datacenter) == (refused["gpu_id"], refused["datacenter_id"])
    assert "not what was asked for" in refused["reason"]
    assert A4000.gpu == second.gpu_id


@pytest.mark.parametrize(("cost", "had"), [(1.99, True), (2.0, True), (2.01, False), (None, False)])
def test_price_of_the_pod_is_held_against_the_ceiling(
    make_rig: RigMaker, cost: float | None, had: bool
) -> None:
    """The pod's own rate decides; a rate that is not known never passes a ceiling."""
    rig = make_rig(changed(small_plan(), pod={"max_price_per_hour_usd": 2.0}))
    rig.cloud.cost = cost
    rig.cloud.offers = unavailable()
    run = rig.run()
    assert ("SUCCEEDED" if had else "FAILED") == run.state
    assert {} == rig.cloud.rented
    assert any("catalog" in warning for warning in run.warnings)


def offer(gpu: str, secure: float | None, community: float | None = None) -> GpuOffer:
    """Return a row of the catalog."""
    return GpuOffer(id=gpu, memory_gb=24, secure_price=secure, community_price=community)


def test_candidates_above_the_ceiling_are_never_asked_for(make_rig: RigMaker) -> None:
    """Too dear, without a price, or not in the catalog: such candidates are refused for free."""
    any_l4 = Candidate(gpu=L4.gpu, datacenter=None, cloud="COMMUNITY")
    unknown = Candidate(gpu="NVIDIA X1", datacenter=None, cloud="SECURE")
    plan = replace(small_plan(), candidates=(L4, any_l4, unknown, A4000))
    rig = make_rig(
        changed(
            plan,
            pod={"max_price_per_hour_usd": 1.0, "gpu_count": 2},
        )
    )
    rig.cloud.offers = [offer(L4.gpu, 0.6), offer(A4000.gpu, 0.5)]
    rig.machines.clear()
    rig.run()
    assert A4000.gpu == rig.cloud.requests[0].gpu
    reasons = [event["reason"] for event in rig.events if event.event == "candidate_refused"]
    assert "$1.20/h is above" in reasons[0]
    assert "no COMMUNITY price" in reasons[1]
    assert "does not know it" in reasons[2]


def test_prefer_price_orders_by_the_catalog(make_rig: RigMaker) -> None:
    """With `prefer: price` the cheapest candidate is asked first; one without a price comes last."""
    third = Candidate(gpu="NVIDIA X1", datacenter=None, cloud="SECURE")
    plan = replace(small_plan(), candidates=(third, L4, A4000))
    rig = make_rig(changed(plan, pod={"prefer": "price"}))
    rig.cloud.offers = [offer(L4.gpu, 0.9), offer(A4000.gpu, 0.2)]
    sold_out(rig)
    rig.run()
    assert [A4000.gpu, L4.gpu, third.gpu] == [request.gpu for request in rig.cloud.requests]


def stocked(gpu: str, level: str, price: float = 1.0) -> GpuOffer:
    """Return a row of the catalog with so much stock in Secure Cloud, everywhere."""
    places = () if level == "NONE" else ("EU-RO-1", "EU-SE-1")
    levels = {"": level, **dict.fromkeys(places, level)}
    return GpuOffer(
        id=gpu, memory_gb=24, secure_price=price, community_price=None, stock={"SECURE": levels}
    )


def test_a_candidate_without_stock_is_passed_over(make_rig: RigMaker) -> None:
    """Where the catalog shows none, the next candidate is asked first, and the journal says why."""
    rig = make_rig()
    rig.cloud.offers = [stocked(L4.gpu, "NONE"), stocked(A4000.gpu, "LOW")]
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert [A4000.gpu] == [request.gpu for request in rig.cloud.requests]
    refused = rig.one("candidate_refused")
    assert (L4.gpu, 0) == (refused["gpu_id"], refused["status"])
    assert "the catalog shows none free" in refused["reason"]
    assert [StockQuery(gpu_count=1, clouds=("SECURE",))] == rig.cloud.asked


def test_the_catalog_alone_never_says_that_nothing_can_be_had(make_rig: RigMaker) -> None:
    """Stock is a hint: candidates that the catalog shows without are asked for last, not never."""
    rig = make_rig()
    rig.cloud.offers = [stocked(L4.gpu, "NONE"), stocked(A4000.gpu, "NONE")]
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert [L4.gpu] == [request.gpu for request in rig.cloud.requests]
    assert [] == rig.names("candidate_refused")


def test_each_round_reads_the_catalog_anew(make_rig: RigMaker) -> None:
    """While capacity is waited for, stock that comes up is seen and asked for first."""
    rig = make_rig(changed(small_plan(), capacity={"wait_minutes": 10.0}))
    sold_out(rig)
    rig.cloud.offers = [stocked(L4.gpu, "NONE"), stocked(A4000.gpu, "NONE")]

    def act(_number: int, _name: str) -> None:
        if rig.clock.monotonic() > 60:
            rig.cloud.no_stock.clear()
            rig.cloud.offers = [stocked(L4.gpu, "NONE"), stocked(A4000.gpu, "HIGH")]

    rig.clock.gate.act = act
    assert "SUCCEEDED" == rig.run().state
    assert A4000.gpu == rig.cloud.requests[-1].gpu
    assert len(rig.cloud.asked) > 5


def test_each_candidate_is_named_once_however_many_rounds_there_were(make_rig: RigMaker) -> None:
    """The message of a stock-out holds the last refusal of each candidate."""
    rig = make_rig(changed(small_plan(), capacity={"attempts": 5}))
    sold_out(rig)
    rig.run()
    assert 1 == str(rig.engine.failure).count(L4.gpu)


def test_an_api_out_of_reach_is_an_error_of_its_own(make_rig: RigMaker) -> None:
    """An address where nobody answers is not told as candidates that refused."""
    rig = make_rig()
    rig.cloud.offers = Unreachable("https://api.example could not be reached")
    run = rig.run()
    assert rig.cloud.offers is rig.engine.failure
    assert 1 == rig.engine.failure.exit_code
    assert [] == rig.cloud.requests
    assert [] == rig.names("candidate_refused")
    assert "Unreachable" == run.cause


def test_an_api_that_goes_out_of_reach_while_asking_is_an_error_of_its_own(
    make_rig: RigMaker,
) -> None:
    """The create call is repeated, and then the run ends with what really happened."""
    gone = Unreachable("https://api.example could not be reached")
    rig = make_rig()
    rig.cloud.creates.extend([gone] * 3)
    rig.run()
    assert gone is rig.engine.failure
    assert [L4.gpu] * 3 == [request.gpu for request in rig.cloud.requests]


def test_an_api_out_of_reach_is_waited_for_as_long_as_capacity_is(make_rig: RigMaker) -> None:
    """Within `capacity.wait_minutes` a network that is away for a while does not end the run."""
    rig = make_rig(changed(small_plan(), capacity={"wait_minutes": 10.0}))
    rig.cloud.offers = Unreachable("https://api.example could not be reached")

    def act(_number: int, _name: str) -> None:
        if rig.clock.monotonic() > 120:
            rig.cloud.offers = []

    rig.clock.gate.act = act
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert 1 == sum("tried again" in warning for warning in run.warnings)


def test_waiting_for_an_api_out_of_reach_ends(make_rig: RigMaker) -> None:
    """Once `capacity.wait_minutes` are over, an API that is still away ends the run."""
    rig = make_rig(changed(small_plan(), capacity={"wait_minutes": 5.0}))
    rig.cloud.offers = Unreachable("https://api.example could not be reached")
    rig.run()
    assert rig.cloud.offers is rig.engine.failure
    assert 300 <= rig.clock.monotonic() < 330


def test_an_api_that_fails_for_every_candidate_is_not_a_stock_out(make_rig: RigMaker) -> None:
    """When no candidate was refused and every call failed, the run says that and not `no stock`."""
    rig = make_rig()
    rig.cloud.creates.extend([unavailable()] * 6)
    rig.run()
    assert isinstance(rig.engine.failure, Unavailable)
    assert 1 == rig.engine.failure.exit_code
    assert "failed for every candidate" in str(rig.engine.failure)
    assert A4000.gpu in str(rig.engine.failure)


def test_a_rate_limit_is_waited_out_however_often_it_comes(make_rig: RigMaker) -> None:
    """Five answers of 429 cost time, and no candidate: the next one would hear the same."""
    rig = make_rig()
    rig.cloud.creates.extend([RateLimited("429", status=429, retry_after=30.0)] * 5)
    assert "SUCCEEDED" == rig.run().state
    assert {L4.gpu} == {request.gpu for request in rig.cloud.requests}
    assert rig.clock.monotonic() > 150


def test_a_rate_limit_that_never_lifts_ends_the_run(make_rig: RigMaker) -> None:
    """After ten minutes of 429 a candidate is given up, and in the end the limit is what is told."""
    rig = make_rig(replace(small_plan(), candidates=(L4,)))
    rig.cloud.creates.extend([RateLimited("429", status=429, retry_after=60.0)] * 20)
    rig.run()
    assert isinstance(rig.engine.failure, Unavailable)
    assert "429" in str(rig.engine.failure)


def test_refused_key_at_the_catalog_ends_the_run(make_rig: RigMaker) -> None:
    """A catalog that refuses the key is not taken for one without prices."""
    rig = make_rig(changed(small_plan(), pod={"max_price_per_hour_usd": 2.0}))
    rig.cloud.offers = AccountError("401")
    rig.run()
    assert rig.cloud.offers is rig.engine.failure
    assert [] == rig.cloud.requests


def test_unknown_price_without_ceiling_is_a_warning(make_rig: RigMaker) -> None:
    """Without a ceiling a pod whose price is not known is used, and that is said."""
    rig = make_rig()
    rig.cloud.cost = None
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert any("no price" in warning for warning in run.warnings)


def test_pod_that_never_gets_a_port_gives_way_to_the_next(make_rig: RigMaker) -> None:
    """A host that is not ready in time is deleted and the next candidate tried."""
    rig = make_rig()
    rig.cloud.ready_in = None

    def act(_number: int, _name: str) -> None:
        if rig.cloud.made == 1 and rig.clock.monotonic() > 200:
            rig.cloud.ready_in = 1.0

    rig.clock.gate.act = act
    run = rig.run()
    assert ["gone", "gone"] == [pod.status for pod in run.pods.values()]
    assert "no SSH port within 300 s" in rig.one("candidate_refused")["reason"]
    assert "SUCCEEDED" == run.state


@pytest.mark.parametrize("status", ["ERROR", "EXITED", "TERMINATED"])
def test_pod_that_fails_while_it_starts_gives_way(make_rig: RigMaker, status: str) -> None:
    """A pod that dies before it is ready costs one candidate, at once and not at the deadline."""
    rig = make_rig()

    def act(_number: int, name: str) -> None:
        if name == "sleep" and rig.cloud.made == 1 and "pod1" in rig.cloud.rented:
            rig.cloud.change("pod1", status=status)

    rig.clock.gate.act = act
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert status in rig.one("candidate_refused")["reason"]
    assert rig.clock.monotonic() < 60


def test_pod_that_vanishes_while_it_starts_gives_way(make_rig: RigMaker) -> None:
    """A pod that the API no longer knows costs one candidate."""
    rig = make_rig()

    def act(_number: int, name: str) -> None:
        if name == "sleep" and rig.cloud.made == 1:
            rig.cloud.vanish("pod1")

    rig.clock.gate.act = act
    assert "SUCCEEDED" == rig.run().state
    assert "vanished" in rig.one("candidate_refused")["reason"]


def test_one_failed_look_is_no_verdict(make_rig: RigMaker) -> None:
    """Reads that fail while a pod starts are asked again."""
    rig = make_rig()
    rig.cloud.gets.extend([unavailable()] * 3)
    assert "SUCCEEDED" == rig.run().state
    assert 1 == rig.cloud.made


def test_connection_that_breaks_after_the_login_costs_no_pod(make_rig: RigMaker) -> None:
    """The scripts are laid on the same pod over a new connection, as often as there is time."""
    cut = ConnectionLost("the connection is broken")
    rig = make_rig()

    def break_it(transport: FakeTransport) -> None:
        if len(rig.connector.opened) < 4:
            transport.machine.replies["tar -xpf"] = [cut]

    rig.connector.on_connect = break_it
    assert "SUCCEEDED" == rig.run().state
    assert (4, 1) == (len(rig.connector.opened), len(rig.cloud.requests))


def test_pod_whose_connections_all_break_gives_way(make_rig: RigMaker) -> None:
    """When the time for the login is over, the next candidate is taken."""
    rig = make_rig()

    def break_it(transport: FakeTransport) -> None:
        if len(rig.cloud.requests) == 1:
            transport.machine.replies["tar -xpf"] = [ConnectionLost("the connection is broken")]

    rig.connector.on_connect = break_it
    assert "SUCCEEDED" == rig.run().state
    assert [L4.gpu, A4000.gpu] == [request.gpu for request in rig.cloud.requests]


def test_pod_whose_ssh_never_answers_gives_way(make_rig: RigMaker) -> None:
    """A pod with a port behind which nobody answers is deleted in time, and the next one tried."""
    rig = make_rig()
    rig.connector.always = ConnectFailed("connection refused")

    def act(_number: int, _name: str) -> None:
        if rig.cloud.made > 1:
            rig.connector.always = None

    rig.clock.gate.act = act
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert ["gone", "gone"] == [pod.status for pod in run.pods.values()]
    assert 300 < rig.clock.monotonic() < 340


def test_pod_whose_commands_hang_gives_way(make_rig: RigMaker) -> None:
    """An SSH server that accepts a login and then runs nothing is no login; its connections are closed."""
    rig = make_rig()

    def act(_number: int, _name: str) -> None:
        if len(rig.machines) == 1:
            rig.machines[0].hangs.add("^true$")

    rig.clock.gate.act = act
    assert "SUCCEEDED" == rig.run().state
    assert 2 == rig.cloud.made
    assert all(transport.closed for transport in rig.connector.opened)


PROBES = {
    "no GPU": (b"sh: nvidia-smi: not found\n--runpod-deploy--\n--runpod-deploy--\n", "no GPU"),
    "too few": (b"", "no GPU"),
    "not numbers": (b"NVIDIA L4, 1.2.3, 5.7\n--runpod-deploy--\n--runpod-deploy--\n", "no GPU"),
    "two cards": (b"NVIDIA L4, 23034, 570.1\nNVIDIA L4, 23034, 570.1\n", "shows 2 GPUs"),
}


@pytest.mark.parametrize("name", PROBES)
def test_host_whose_hardware_is_not_admitted_gives_way(make_rig: RigMaker, name: str) -> None:
    """What nvidia-smi shows must be what is paid for; the next candidate is tried otherwise."""
    probe, reason = PROBES[name]
    rig = make_rig()

    def act(_number: int, _name: str) -> None:
        if len(rig.machines) == 1:
            rig.machines[0].probe = probe

    rig.clock.gate.act = act
    run = rig.run()
    assert "SUCCEEDED" == run.state
    assert reason in rig.one("candidate_refused")["reason"]
    assert "gone" == next(iter(run.pods.values())).status


def test_host_whose_nvidia_smi_hangs_gives_way(make_rig: RigMaker) -> None:
    """A probe without an end is what a broken GPU looks like: the next host is tried."""
    rig = make_rig()

    def act(_number: int, _name: str) -> None:
        if len(rig.machines) == 1:
            rig.machines[0].hangs.add("nvidia-smi")

    rig.clock.gate.act = act
    assert "SUCCEEDED" == rig.run().state
    assert "hangs" in rig.one("candidate_refused")["reason"]


def test_last_host_unusable_is_a_stock_out_without_a_pod(make_rig: RigMaker) -> None:
    """When the only candidate's host will not do, the run ends and nothing is left running."""
    rig = make_rig(replace(small_plan(), candidates=(L4,)))
    rig.cloud.changes.append({"gpu_count": 0})
    run = rig.run()
    assert isinstance(rig.engine.failure, StockOut)
    assert not isinstance(rig.engine.failure, HostUnusable)
    assert {} == rig.cloud.rented
    assert "gone" == next(iter(run.pods.values())).status


def test_bad_host_that_cannot_be_deleted_is_leaked(make_rig: RigMaker) -> None:
    """A run that succeeds on its second host is LEAKED when the first could not be confirmed gone."""
    rig = make_rig()
    rig.cloud.changes.append({"gpu_count": 0})
    rig.cloud.deletes.extend(["lie"] * 40)
    run = rig.run()
    assert "LEAKED" == run.state
    assert ["pod1"] == [pod.pod_id for pod in run.leaked]
    assert any("pod1" in message for message in rig.listener.messages)


def test_network_volume_decides_the_datacenter(make_rig: RigMaker) -> None:
    """The pod is asked for where its volume is, and drift is not held against a place that was not named."""
    plan = replace(small_plan(), candidates=(replace(L4, datacenter="@volume"),))
    plan = changed(
        plan, storage={"mode": "network_volume", "mount": "/workspace", "volume_name": "data"}
    )
    rig = make_rig(plan)
    rig.cloud.known_volumes = [Volume(id="v1", name="data", datacenter="EU-NL-1", size_gb=10)]
    assert "SUCCEEDED" == rig.run().state
    (request,) = rig.cloud.requests
    assert ("EU-NL-1", "v1", "/workspace", None) == (
        request.datacenter,
        request.network_volume_id,
        request.mount,
        request.persistent_gb,
    )


@pytest.mark.parametrize(("count", "cause"), [(0, "volume_missing"), (2, "volume_ambiguous")])
def test_network_volume_must_be_one(make_rig: RigMaker, count: int, cause: str) -> None:
    """A volume that is not there, or a name that two have, ends the run before a pod is asked for."""
    plan = changed(
        small_plan(),
        storage={"mode": "network_volume", "mount": "/workspace", "volume_name": "data"},
    )
    rig = make_rig(plan)
    rig.cloud.known_volumes = [
        Volume(id=f"v{number}", name="data", datacenter="EU-NL-1", size_gb=10)
        for number in range(count)
    ]
    run = rig.run()
    assert cause == run.cause
    assert [] == rig.cloud.requests
