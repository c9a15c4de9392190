"""Create calls: the rules, the balance and the stock, in this order."""

from typing import Any

import pytest

from runpod_deploy.emulator.catalog import Cloud, load_catalog
from runpod_deploy.emulator.faults import FaultBoard, parse_fault
from runpod_deploy.emulator.placement import Placement, Placer
from runpod_deploy.emulator.pod_request import read_pod_request
from runpod_deploy.emulator.problems import BAD_IMAGE, NO_BALANCE, NO_CAPACITY, Problem
from runpod_deploy.emulator.records import Account, Volume
from runpod_deploy.emulator.stock import Stock

L4 = "NVIDIA L4"


def place(*faults: str, capacity: int = 1024, **changes: Any) -> Placement:
    """Place a pod of one L4, with changes; `None` takes a key away."""
    placer = make_placer(*faults, capacity=capacity)
    return placer.place(read_pod_request(body(**changes), {}))


def body(**changes: Any) -> dict[str, Any]:
    """Give a create body."""
    full = {"name": "a", "image": "a/b:1", "gpu": {"id": L4}} | changes
    return {key: value for key, value in full.items() if value is not None}


def make_placer(*faults: str, capacity: int = 1024) -> Placer:
    """Give a placer with one volume in EU-RO-1."""
    catalog, board = load_catalog(), FaultBoard(parse_fault(text) for text in faults)
    volume = Volume(id="vol", name="v", size=10, datacenter="EU-RO-1", type="STANDARD")
    return Placer(
        catalog=catalog,
        account=Account(volumes={"vol": volume}),
        stock=Stock(catalog, board, capacity),
        board=board,
    )


def refusal(*faults: str, **changes: Any) -> tuple[int, str]:
    """Give status and detail of a create that is refused."""
    with pytest.raises(Problem) as caught:
        place(*faults, **changes)
    return caught.value.status, caught.value.detail


def network(volume: str) -> dict[str, Any]:
    """Give mounts with a network volume."""
    return {"network": [{"volumeId": volume, "path": "/workspace"}]}


PERSISTENT = {"size": 10, "path": "/workspace"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"gpu": None}, "Exactly one of 'gpu' or 'cpu'"),
        ({"cpu": {"id": "cpu3c", "vcpuCount": 2}}, "Exactly one of 'gpu' or 'cpu'"),
        ({"mounts": {"persistent": PERSISTENT, **network("vol")}}, "mutually exclusive"),
        (
            {"gpu": {"id": L4, "minCudaVersion": "12.1", "allowedCudaVersions": ["12.8"]}},
            "mutually exclusive",
        ),
        ({"gpu": {"id": "NVIDIA L5"}}, 'GPU type "NVIDIA L5" not found'),
        ({"gpu": {"id": L4, "count": 10}}, "exceeds the maximum of 9"),
        ({"cloud": "COMMUNITY"}, "not offered in COMMUNITY"),
        ({"gpu": {"id": "NVIDIA A30"}}, "not offered in SECURE"),
        ({"dataCenterIds": ["US-XX-1"]}, 'Data center "US-XX-1" not found'),
        ({"mounts": network("none")}, 'Network volume "none" not found'),
        (
            {"mounts": network("vol"), "dataCenterIds": ["EUR-IS-2", "US-TX-3"]},
            'data center "EU-RO-1", which is not in the requested set [EUR-IS-2, US-TX-3]',
        ),
        (
            {"mounts": network("vol"), "cloud": "COMMUNITY", "gpu": {"id": "NVIDIA L40S"}},
            "only available in SECURE",
        ),
        ({"ports": ["22"]}, 'Invalid port "22"'),
        ({"ports": ["70000/tcp"]}, 'Invalid port "70000/tcp"'),
        ({"registry": "none"}, 'Registry "none" not found'),
        ({"gpu": None, "cpu": {"id": "cpu9x", "vcpuCount": 2}}, 'CPU flavor "cpu9x" not found'),
        ({"gpu": None, "cpu": {"id": "cpu3c", "vcpuCount": 6}}, "power of two"),
        (
            {
                "gpu": None,
                "cpu": {"id": "cpu3c", "vcpuCount": 2},
                "mounts": {"persistent": PERSISTENT},
            },
            "not supported on CPU pods",
        ),
        (
            {"gpu": {"id": "AMD Instinct MI300X OAM"}, "globalNetworking": True},
            "requires an NVIDIA GPU",
        ),
    ],
)
def test_rule(changes: dict[str, Any], part: str) -> None:
    """Every broken rule answers 400 and names what is wrong."""
    status, detail = refusal(**changes)
    assert 400 == status
    assert part in detail


def test_rules_come_before_balance_and_stock() -> None:
    """With everything wrong at once the rule is told, then the balance, then the stock."""
    faults = ("stock-out", "balance-too-low")
    assert "maximum" in refusal(*faults, gpu={"id": L4, "count": 99})[1]
    assert (402, NO_BALANCE) == refusal(*faults)
    assert (400, NO_CAPACITY) == refusal("stock-out")


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ({"id": L4}, "12.8"),
        ({"id": L4, "minCudaVersion": "12.5"}, "12.8"),
        ({"id": L4, "minCudaVersion": "12.9"}, "13.0"),
        ({"id": L4, "allowedCudaVersions": ["12.4"]}, "12.4"),
        ({"id": "AMD Instinct MI300X OAM"}, None),
    ],
)
def test_host_cuda(gpu: dict[str, Any], expected: str | None) -> None:
    """A host is found whose CUDA version the request admits, versions compared as numbers."""
    assert expected == place(gpu=gpu).cuda


@pytest.mark.parametrize(
    "gpu",
    [
        {"id": L4, "allowedCudaVersions": ["12.7"]},
        {"id": L4, "minCudaVersion": "13.11"},
        {"id": "AMD Instinct MI300X OAM", "minCudaVersion": "12.1"},
    ],
)
def test_no_host_with_that_cuda(gpu: dict[str, Any]) -> None:
    """A CUDA constraint that no host meets reads as want of capacity."""
    assert (400, NO_CAPACITY) == refusal(gpu=gpu)


def test_stock_out_by_place() -> None:
    """A stock-out of one data center leaves the others."""
    fault = "stock-out:datacenter=US-TX-3"
    assert (400, NO_CAPACITY) == refusal(fault, dataCenterIds=["US-TX-3"])
    assert "EU-RO-1" == place(fault, dataCenterIds=["US-TX-3", "EU-RO-1"]).datacenter


def test_stock_out_times_count_refused_creates() -> None:
    """A stock-out of two times refuses two creates, wherever they look."""
    placer = make_placer("stock-out:times=2")
    request = read_pod_request(body(), {})
    for _ in range(2):
        with pytest.raises(Problem):
            placer.place(request)
    assert placer.place(request).price == 0.49


def test_stock_out_skips_creates() -> None:
    """A stock-out with skip=1 lets one create pass, whatever the number of places it looks at."""
    placer = make_placer("stock-out:skip=1")
    request = read_pod_request(body(), {})
    assert placer.place(request).price == 0.49
    with pytest.raises(Problem):
        placer.place(request)


def test_requested_order_is_not_kept() -> None:
    """Of several places with equal stock the order of the request does not decide."""
    one = place(dataCenterIds=["US-TX-3", "EU-RO-1"]).datacenter
    assert one == place(dataCenterIds=["EU-RO-1", "US-TX-3"]).datacenter


def test_volume_decides_the_place() -> None:
    """A pod with a network volume goes where the volume is."""
    assert "EU-RO-1" == place(mounts=network("vol")).datacenter


def test_global_networking_needs_its_place() -> None:
    """Global networking in a place without it is want of capacity."""
    assert (400, NO_CAPACITY) == refusal(globalNetworking=True, dataCenterIds=["AP-JP-1"])
    assert "US-TX-3" == place(globalNetworking=True, dataCenterIds=["US-TX-3"]).datacenter


def test_price_is_for_all_gpus() -> None:
    """A pod costs its GPUs' list price times their number; a fault changes that."""
    assert pytest.approx(0.98) == place(gpu={"id": L4, "count": 2}).price
    assert pytest.approx(1.47) == place("wrong-price:factor=3").price


def test_cpu_pod() -> None:
    """A CPU pod costs its flavor's price times its vCPUs."""
    assert pytest.approx(0.14) == place(gpu=None, cpu={"id": "cpu5c", "vcpuCount": 4}).price


@pytest.mark.parametrize("image", ["a/UPPER", "a b", "", "x:tag:tag", "x@sha256:12"])
def test_image_reference(image: str) -> None:
    """What is no image reference answers 422 with the recorded words."""
    assert (422, BAD_IMAGE) == refusal(image=image)


TEMPLATE: dict[str, Any] = {
    "id": "t",
    "image": "a/template:1",
    "args": "sleep 1",
    "disk": 33,
    "ports": ["22/tcp"],
    "env": {"A": "1", "B": "2"},
    "registry": None,
    "mounts": {"persistent": PERSISTENT},
    "startSsh": True,
    "startJupyter": False,
    "allowedCudaVersions": ["12.4"],
    "serverless": False,
}


def test_template_is_applied() -> None:
    """A template gives what the body leaves out; env is merged per key."""
    create = body(image=None, templateId="t", env={"B": "3"}, disk=20)
    request = read_pod_request(create, {"t": TEMPLATE})
    assert ("a/template:1", 20, "sleep 1") == (request.image, request.disk, request.args)
    assert {"A": "1", "B": "3"} == request.env
    assert ("12.4",) == request.allowed_cuda
    assert {"persistent": PERSISTENT} == request.mounts


def test_own_cuda_replaces_the_templates() -> None:
    """One CUDA field in the body replaces the template's constraint."""
    create = body(templateId="t", gpu={"id": L4, "minCudaVersion": "12.5"})
    request = read_pod_request(create, {"t": TEMPLATE})
    assert ((), "12.5") == (request.allowed_cuda, request.min_cuda)


def test_serverless_template_is_refused() -> None:
    """A serverless template answers 422, an unknown one 404."""
    templates = {"t": TEMPLATE | {"serverless": True}}
    for name, status in (("t", 422), ("u", 404)):
        with pytest.raises(Problem) as caught:
            read_pod_request(body(templateId=name), templates)
        assert status == caught.value.status


def test_stock_is_held_and_released() -> None:
    """GPUs that are rented are not free, and are again when they are given back."""
    catalog = load_catalog()
    stock = Stock(catalog, FaultBoard(), capacity=4)
    cloud: Cloud = "SECURE"
    stock.hold(L4, "US-TX-3", cloud, 3)
    assert 1 == stock.free(catalog.gpus[L4], "US-TX-3", cloud)
    assert "NONE" == stock.level(catalog.gpus[L4], "US-TX-3", cloud, 2)
    stock.release(L4, "US-TX-3", cloud, 3)
    assert 4 == stock.free(catalog.gpus[L4], "US-TX-3", cloud)


def test_hidden_stock_out_stays_on_show() -> None:
    """A hidden stock-out leaves the catalog as it is and refuses the create."""
    catalog = load_catalog()
    stock = Stock(catalog, FaultBoard([parse_fault("stock-out:hidden=1")]), capacity=1024)
    assert "HIGH" == stock.level(catalog.gpus[L4], "US-TX-3", "SECURE", 1)
    assert 0 == stock.free(catalog.gpus[L4], "US-TX-3", "SECURE")


def test_stock_limit() -> None:
    """A limit leaves that many."""
    catalog = load_catalog()
    stock = Stock(catalog, FaultBoard([parse_fault("stock-limit:free=2")]), capacity=1024)
    levels = [stock.level(catalog.gpus[L4], "US-TX-3", "SECURE", count) for count in (2, 3)]
    assert ["LOW", "NONE"] == levels


def test_unknown_price_is_not_offered() -> None:
    """Where no price is known the catalog says 0.0 and the cloud's flag is false."""
    for gpu in load_catalog().gpus.values():
        for cloud in ("SECURE", "COMMUNITY"):
            assert gpu.offered(cloud) == (gpu.price[cloud] > 0)
