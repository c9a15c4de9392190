"""Where a pod is had, and what happens where none is."""

import socket

import pytest

from support.command import Bench

pytestmark = pytest.mark.emulated

RUN = ("run", "--cloud", "emulator", "job.yaml")
TWO = {"gpu_order": ["NVIDIA L4", "NVIDIA RTX A5000"], "datacenters": ["EU-RO-1"]}


def named(bench: Bench, name: str) -> list[dict[str, object]]:
    """Return the events of one name."""
    return [event for event in bench.events() if event["event"] == name]


def test_second_candidate_is_taken_when_the_first_is_out_of_stock(bench: Bench) -> None:
    """The ring goes on after a refusal, and the events say why."""
    bench.emulator("stock-out:gpu=NVIDIA L4,hidden=1")
    bench.job(pod=TWO)

    status, output = bench.run(*RUN)

    assert status == 0, output
    refused = named(bench, "candidate_refused")
    assert [event["gpu_id"] for event in refused] == ["NVIDIA L4"]
    assert "instances available" in str(refused[0]["reason"])
    assert bench.manifest()["gpu_id"] == "NVIDIA RTX A5000"


def test_candidate_that_the_catalog_shows_without_stock_is_not_asked_for(bench: Bench) -> None:
    """Where the catalog says so beforehand, no create call is spent on it."""
    bench.emulator("stock-out:gpu=NVIDIA L4")
    bench.job(pod=TWO)

    status, output = bench.run(*RUN)

    assert status == 0, output
    refused = named(bench, "candidate_refused")
    assert [event["gpu_id"] for event in refused] == ["NVIDIA L4"]
    assert "the catalog shows none free" in str(refused[0]["reason"])
    asked = [event["gpu_id"] for event in named(bench, "pod_create_intended")]
    assert asked == ["NVIDIA RTX A5000"]


def test_cheapest_candidate_is_taken_where_price_is_preferred(bench: Bench) -> None:
    """`prefer: price` asks the catalog at apply; the file's order decides between equals only."""
    bench.emulator()
    bench.job(pod={**TWO, "prefer": "price"})

    status, output = bench.run(*RUN)

    assert status == 0, output
    assert bench.manifest()["gpu_id"] == "NVIDIA RTX A5000"
    assert named(bench, "candidate_refused") == []


def test_unknown_price_fails_the_ceiling(bench: Bench) -> None:
    """A GPU without a price in the catalog is not asked for while a ceiling stands."""
    bench.emulator()
    bench.job(pod={"gpu_order": ["NVIDIA A30", "NVIDIA L4"], "max_price_per_hour_usd": 1})

    status, output = bench.run(*RUN)

    assert status == 0, output
    assert [str(event["reason"]) for event in named(bench, "candidate_refused")] == [
        "no SECURE price is known, and max_price_per_hour_usd is 1"
    ]
    assert bench.manifest()["gpu_id"] == "NVIDIA L4"


def test_api_out_of_reach_is_told_as_that(bench: Bench) -> None:
    """An address where nobody answers ends with exit status 1 and no word about candidates."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    bench.extra |= {"RUNPOD_API_URL": f"http://127.0.0.1:{port}", "RUNPOD_API_KEY": "rpa_x"}
    bench.job(pod=TWO)

    status, output = bench.run("run", "job.yaml")

    assert status == 1, output
    assert f"http://127.0.0.1:{port} could not be reached" in output
    assert "RUNPOD_API_URL" in output
    assert "candidate could be had" not in output
    assert named(bench, "candidate_refused") == []
    assert bench.manifest()["cause"] == "Unreachable"


def test_everything_out_of_stock_lists_each_refusal(bench: Bench) -> None:
    """Exit status 3, one line per candidate, nothing left."""
    bench.emulator("stock-out")
    bench.job(pod={**TWO, "datacenters": ["EU-RO-1", "US-KS-2"]})

    status, output = bench.run(*RUN)

    assert status == 3, output
    for gpu in TWO["gpu_order"]:
        for place in ("EU-RO-1", "US-KS-2"):
            assert f"{gpu} · {place} · SECURE" in output
    assert bench.pods() == []
    assert bench.manifest()["failed"] is True


def test_pod_behind_a_lost_answer_is_adopted(bench: Bench) -> None:
    """A create that answered 500 after it made the pod leads to that pod, not to a second one."""
    bench.emulator("create-5xx-after:times=1")
    bench.job()

    status, output = bench.run(*RUN)

    assert status == 0, output
    assert len(bench.history()["pods"]) == 1
    assert [event["outcome"] for event in named(bench, "pod_create_settled")] == ["adopted"]
    assert bench.pods() == []


def test_create_that_failed_without_effect_is_tried_again(bench: Bench) -> None:
    """A 500 that made no pod is asked again for the same candidate under a new name."""
    bench.emulator("create-5xx-before:times=1")
    bench.job()

    status, output = bench.run(*RUN)

    assert status == 0, output
    assert len(bench.history()["pods"]) == 1
    names = [event["name"] for event in named(bench, "pod_create_intended")]
    assert len(set(names)) == 2


def test_price_above_the_ceiling_is_released(bench: Bench) -> None:
    """A pod that costs more than the plan allows is given back before anything else is paid for."""
    bench.emulator("wrong-price:factor=3,gpu=NVIDIA L4")
    bench.job(pod={**TWO, "max_price_per_hour_usd": 0.6})

    status, output = bench.run(*RUN)

    assert status == 0, output
    assert bench.manifest()["gpu_id"] == "NVIDIA RTX A5000"
    assert len(bench.history()["pods"]) == 2
    assert bench.pods() == []


def test_too_low_a_balance_stops_at_once(bench: Bench) -> None:
    """No candidate can help an empty account: exit status 5."""
    bench.emulator("balance-too-low")
    bench.job(pod=TWO)

    status, output = bench.run(*RUN)

    assert status == 5, output
    assert "balance" in output


def test_delete_that_fails_at_first_is_repeated(bench: Bench) -> None:
    """A delete answered with an error is asked again until the pod is gone."""
    bench.emulator("delete-fails:times=2")
    bench.job()

    status, output = bench.run(*RUN)

    assert status == 0, output
    assert bench.pods() == []
