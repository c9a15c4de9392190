"""Pods without a GPU: what is asked for, what is held against it, and what is not looked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runpod_deploy.compiler.plan import Candidate, Plan, PlanCpu
from runpod_deploy.executor.catalog import candidate_offers, stock_query
from runpod_deploy.executor.ports import GpuOffer
from support.plans import changed, small_plan
from support.rig import RigMaker

CPU = Candidate(gpu="cpu5c", datacenter="EU-RO-1", cloud="SECURE")
ELSEWHERE = replace(CPU, datacenter="EU-SE-1")
NO_NVIDIA_SMI = (
    b"sh: nvidia-smi: not found\n--runpod-deploy--\n--runpod-deploy--\n"
    b"overlay 100000000 10 9000000 1% /\n"
)


def cpu_plan(**admission: object) -> Plan:
    """Return a plan for four vCPUs."""
    plan = replace(small_plan(), candidates=(CPU, ELSEWHERE))
    plan = changed(plan, pod={"cpu": PlanCpu(flavor="cpu5c", vcpus=4), "gpu_count": 0})
    return changed(plan, pod={"admission": replace(plan.pod.admission, gpu_count=0, **admission)})


def test_a_run_needs_no_gpu(make_rig: RigMaker) -> None:
    """Flavor and vCPUs are asked for, and an image without nvidia-smi is admitted."""
    rig = make_rig(cpu_plan())
    make = rig.cloud.machine

    def machine() -> object:
        made = make()
        made.probe = NO_NVIDIA_SMI
        return made

    rig.cloud.machine = machine
    rig.cloud.changes.append({"vcpus": 4})
    assert "SUCCEEDED" == rig.run().state
    (request,) = rig.cloud.requests
    assert ("cpu5c", 0, 4) == (request.gpu, request.gpu_count, request.vcpus)
    assert [] == rig.one("admission_checked")["problems"]


def test_another_size_than_asked_for_is_given_back(make_rig: RigMaker) -> None:
    """Two vCPUs are not four; the next place is tried."""
    rig = make_rig(cpu_plan())
    rig.cloud.changes.extend([{"vcpus": 2}, {"vcpus": 4}])
    assert "SUCCEEDED" == rig.run().state
    assert ["EU-RO-1", "EU-SE-1"] == [one.datacenter for one in rig.cloud.requests]
    assert "2 vCPUs instead of 4" in rig.one("candidate_refused")["reason"]


def test_its_disk_is_looked_at(make_rig: RigMaker) -> None:
    """What admission asks of the disk holds as for every pod."""
    rig = make_rig(cpu_plan(min_disk_gb=10_000.0))
    assert "FAILED" == rig.run().state
    reasons = [event["reason"] for event in rig.events if event.event == "candidate_refused"]
    assert all("GB of disk are free" in reason for reason in reasons)


@pytest.mark.parametrize(("price", "whole"), [(0.04, 0.16), (None, None)])
def test_its_price_is_that_of_all_vcpus(price: float | None, whole: float | None) -> None:
    """The catalog tells the price of one."""
    plan = cpu_plan()
    offer = GpuOffer(id="cpu5c", memory_gb=8, secure_price=price, community_price=None)
    first, _ = candidate_offers(plan, [offer])
    assert (price, whole) == (first.price_per_gpu_hour_usd, first.price_per_hour_usd)
    assert 4 == stock_query(plan).vcpus
