"""Pods without a run: exactly one is left of a name, whatever happens to the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest

from runpod_deploy.errors import (
    AccountError,
    EffectUnknown,
    Leaked,
    RateLimited,
    RunpodDeployError,
    StockOut,
)
from runpod_deploy.executor.ports import Pod, PodRequest
from runpod_deploy.executor.standing_pods import Wanted, stand_up
from support.fakes import AfterEffect as Lost
from support.fakes import FakeClock, FakeCloud, run_virtual

REQUEST = PodRequest(
    name="box-1",
    image="img",
    gpu="NVIDIA L4",
    gpu_count=1,
    cloud="SECURE",
    datacenter=None,
    container_disk_gb=20,
    ports=("22/tcp",),
    env={},
)
OTHER = replace(REQUEST, gpu="NVIDIA A40", cloud="COMMUNITY")
LOST = EffectUnknown("POST /v2/pods answered HTTP 502")


def new_cloud() -> FakeCloud:
    """Return a cloud where nothing is rented."""
    return FakeCloud(clock=FakeClock())


def stand(cloud: FakeCloud, *requests: PodRequest, **wanted: object) -> Pod:
    """Ask for a pod until the end."""
    wish = Wanted(**wanted)
    asked = requests or (REQUEST,)
    return run_virtual(stand_up(cloud, cloud.clock, REQUEST.name, asked, wish))


def test_a_pod_is_returned_once_it_can_be_reached() -> None:
    """RUNNING is not enough: the port for SSH must be there."""
    cloud = new_cloud()
    pod = stand(cloud)
    assert pod.ssh is not None
    assert ["pod1"] == list(cloud.rented)
    assert stand(new_cloud(), ready_within_sec=None).ssh is None


def test_refusals_go_on_and_are_all_told() -> None:
    """The next place is asked for; with none left the error lists each."""
    cloud = new_cloud()
    cloud.no_stock = {("NVIDIA L4", None, "SECURE")}
    assert "NVIDIA A40" == stand(cloud, REQUEST, OTHER).gpu
    cloud = new_cloud()
    cloud.no_stock = {("NVIDIA L4", None, "SECURE"), ("NVIDIA A40", None, "COMMUNITY")}
    with pytest.raises(StockOut, match=r"L4 · any datacenter · SECURE: .*\n.*A40 .* COMMUNITY: "):
        stand(cloud, REQUEST, OTHER)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cloud: setattr(cloud, "ready_in", None),
        lambda cloud: setattr(cloud, "cost", None),
        lambda cloud: setattr(cloud, "cost", 3.0),
    ],
    ids=["never ready", "no price", "too dear"],
)
def test_a_pod_that_will_not_do_is_given_back(spoil: Callable[[FakeCloud], None]) -> None:
    """It is confirmed gone before anything is told."""
    cloud = new_cloud()
    spoil(cloud)
    with pytest.raises(StockOut):
        stand(cloud, ceiling=2.0, ready_within_sec=60.0)
    assert ({}, 1) == (cloud.rented, len(cloud.gone))


def test_a_pod_that_cannot_be_given_back_is_told_as_leaked() -> None:
    """The loudest error, with its id."""
    cloud = new_cloud()
    cloud.cost, cloud.delete_always = 3.0, "lie"
    with pytest.raises(Leaked, match="pod1"):
        stand(cloud, ceiling=2.0)


def test_a_lost_answer_is_looked_up() -> None:
    """The pod behind it is taken, a second one is ended; where none is found, that is the error."""
    cloud = new_cloud()
    cloud.creates = deque([Lost(LOST, copies=2, visible_in=2.0)])
    assert "pod1" == stand(cloud).id
    assert (["pod1"], ["pod2"]) == (list(cloud.rented), list(cloud.gone))
    cloud = new_cloud()
    cloud.creates = deque([LOST])
    with pytest.raises(EffectUnknown, match="box-1 exists is not known"):
        stand(cloud)


def test_what_an_interrupted_call_left_is_taken_up_when_it_fits() -> None:
    """A pod of the name that does not fit, or no longer runs, is ended, and another one made."""
    cloud = new_cloud()
    first = stand(cloud)
    assert first.id == stand(cloud).id
    assert 1 == cloud.made
    assert "pod2" == stand(cloud, fits=lambda _pod: False).id
    cloud.change("pod2", status="EXITED")
    assert "pod3" == stand(cloud).id
    assert (["pod3"], ["pod1", "pod2"]) == (list(cloud.rented), list(cloud.gone))


def test_a_left_pod_that_is_no_good_does_not_stop_the_search() -> None:
    """It is given back and told with the refusals, and the places are asked as usual."""
    cloud = new_cloud()
    stand(cloud)
    cloud.cost = 9.0
    cloud.change("pod1", cost=9.0)
    cloud.no_stock = {("NVIDIA L4", None, "SECURE")}
    with pytest.raises(StockOut, match=r"pod pod1 of an earlier attempt: .*\$9/h"):
        stand(cloud, ceiling=2.0)
    assert {} == cloud.rented


def test_a_rate_limit_is_waited_out_for_some_minutes() -> None:
    """It costs no place; one that does not lift is the error."""
    cloud = new_cloud()
    cloud.creates = deque([RateLimited("slow down", retry_after=30.0)] * 3)
    assert "NVIDIA L4" == stand(cloud, REQUEST, OTHER).gpu
    cloud = new_cloud()
    cloud.creates = deque([RateLimited("slow down", retry_after=30.0)] * 30)
    with pytest.raises(RateLimited):
        stand(cloud, REQUEST, OTHER)


@pytest.mark.parametrize("error", [AccountError("no key"), RunpodDeployError("retired")])
def test_other_errors_end_the_search(error: RunpodDeployError) -> None:
    """Another place would hear the same."""
    cloud = new_cloud()
    cloud.creates = deque([error])
    with pytest.raises(type(error)):
        stand(cloud, REQUEST, OTHER)
    assert 1 == len(cloud.requests)
