"""The client against scripted answers: what is sent, what is repeated, what is understood."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import pytest

from runpod_deploy._version import __version__
from runpod_deploy.errors import (
    AccountError,
    CandidateRefused,
    CloudError,
    EffectUnknown,
    InvalidInput,
    RateLimited,
    RequestInvalid,
    RunpodDeployError,
    Unavailable,
    Unreachable,
)
from runpod_deploy.executor.ports import Cloud, Endpoint, PodRequest, StockQuery
from runpod_deploy.executor.runpod.api import Api
from runpod_deploy.executor.runpod.cloud import RunPodCloud

T = TypeVar("T")

KEY = "rpa_SECRETSECRET"
BASE = "https://api.example"
REQUEST = PodRequest(
    name="rd-a",
    image="img",
    gpu="NVIDIA L4",
    gpu_count=1,
    cloud="SECURE",
    datacenter=None,
    container_disk_gb=20,
    ports=("22/tcp",),
    env={"TOKEN": "env-secret-value"},
)
POD = {
    "id": "p1",
    "name": "rd-a",
    "status": "RUNNING",
    "image": "img",
    "gpu": {"id": "NVIDIA L4", "count": 1},
    "cloud": "SECURE",
    "dataCenterId": "EU-RO-1",
    "cost": 0.49,
    "ssh": {"direct": {"host": "10.0.0.1", "port": 3022, "username": "root"}, "proxy": None},
    "env": {"TOKEN": "env-secret-value"},
    "somethingNew": [1],
}


class FakeClock:
    """A clock that waits by turning its hand."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the time on the hand."""
        return self.time

    def monotonic(self) -> float:
        """Return the same time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Turn the hand and note by how much."""
        self.slept.append(seconds)
        self.time += seconds


Answer = httpx.Response | Exception


def answer(status: int, body: Any = None, **headers: str) -> httpx.Response:
    """Return an answer with a JSON body; header names are written with underscores."""
    content = b"" if body is None else json.dumps(body).encode()
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=content, headers=renamed)


class Scripted:
    """A cloud whose answers are a list; keeps the requests."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.clock = FakeClock()
        self.cloud = RunPodCloud(
            BASE,
            KEY,
            "runpod",
            transport=httpx.MockTransport(self._answer),
            clock=self.clock,
            jitter=lambda: 1.0,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def do(self, call: Callable[[RunPodCloud], Awaitable[T]]) -> T:
        """Run one call against the script and close the client."""

        async def body() -> T:
            try:
                return await call(self.cloud)
            finally:
                await self.cloud.close()

        return asyncio.run(body())


def test_the_client_is_the_port() -> None:
    """The class has what the executor's port asks for."""
    cloud: Cloud = RunPodCloud(BASE, KEY, "emulator")
    assert cloud.label == "emulator"


def test_a_create_is_one_post_with_our_headers() -> None:
    """Key, client name and body go out once; the pod comes back in our words."""
    script = Scripted([answer(201, POD)])
    pod = script.do(lambda cloud: cloud.create(REQUEST))
    (sent,) = script.requests
    assert (sent.method, str(sent.url)) == ("POST", f"{BASE}/v2/pods")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["user-agent"] == f"runpod-deploy/{__version__}"
    assert json.loads(sent.content)["gpu"] == {"id": "NVIDIA L4", "count": 1}
    assert (pod.id, pod.name, pod.status, pod.cost) == ("p1", "rd-a", "RUNNING", 0.49)
    assert (pod.gpu, pod.gpu_count, pod.datacenter) == ("NVIDIA L4", 1, "EU-RO-1")
    assert pod.ssh == Endpoint(host="10.0.0.1", port=3022)
    assert pod.raw == POD


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(400, {"detail": "no instances"}), CandidateRefused),
        (answer(429, {"detail": "slow down"}, retry_after="3"), RateLimited),
        (answer(500, {"detail": "oops"}), EffectUnknown),
        (answer(201, {}), EffectUnknown),
        (answer(201), EffectUnknown),
        (httpx.Response(201, content=b"<html>"), EffectUnknown),
        (httpx.ReadTimeout("t"), EffectUnknown),
        (httpx.ReadError("t"), EffectUnknown),
        (httpx.WriteError("t"), EffectUnknown),
        (httpx.RemoteProtocolError("t"), EffectUnknown),
        (httpx.ConnectError("t"), Unreachable),
        (httpx.ConnectTimeout("t"), Unreachable),
        (httpx.PoolTimeout("t"), Unavailable),
    ],
)
def test_a_create_is_never_sent_twice(given: Answer, expected: type[CloudError]) -> None:
    """Whatever comes back, the caller decides: a second POST could be a second bill."""
    script = Scripted([given])
    with pytest.raises(CloudError) as caught:
        script.do(lambda cloud: cloud.create(REQUEST))
    assert type(caught.value) is expected
    assert len(script.requests) == 1
    assert script.clock.slept == []


def test_a_read_is_repeated_until_it_succeeds() -> None:
    """A read survives a limit, a server error and a broken connection; waits double."""
    script = Scripted(
        [
            answer(429, {"detail": "x"}, retry_after="4"),
            answer(500),
            httpx.ReadError("t"),
            answer(200, POD),
        ]
    )
    pod = script.do(lambda cloud: cloud.get("p1"))
    assert pod is not None
    assert pod.id == "p1"
    assert script.clock.slept == [4.5, 1.0, 2.0]


def test_a_read_gives_up_after_five_calls() -> None:
    """Repeating is bounded, and the last error is told."""
    script = Scripted([answer(500)] * 9)
    with pytest.raises(Unavailable):
        script.do(lambda cloud: cloud.get("p1"))
    assert len(script.requests) == 5


def test_a_wait_that_is_too_long_is_left_to_the_caller() -> None:
    """A limit that lifts only after the bound is raised at once, with its wait."""
    script = Scripted([answer(429, {"detail": "x"}, retry_after="3000")])
    with pytest.raises(RateLimited) as caught:
        script.do(lambda cloud: cloud.volumes())
    assert caught.value.retry_after == 3000.0
    assert script.clock.slept == []


def test_a_missing_pod_is_none() -> None:
    """404 on a pod says that it is gone."""
    assert Scripted([answer(404, {"detail": "pod not found"})]).do(lambda c: c.get("p1")) is None


def test_a_rejected_key_is_not_repeated() -> None:
    """401 is final, and the key is not in the message."""
    script = Scripted([answer(401, {"detail": f"bad key {KEY}"})])
    with pytest.raises(AccountError) as caught:
        script.do(lambda cloud: cloud.get("p1"))
    assert len(script.requests) == 1
    assert KEY not in str(caught.value)
    assert "bad key ***" in str(caught.value)


@pytest.mark.parametrize("answers", [[answer(204)], [answer(404)], [answer(500), answer(404)]])
def test_a_delete_ends_when_the_pod_is_gone(answers: list[Answer]) -> None:
    """204 and 404 both mean gone; a server error is asked again."""
    script = Scripted(answers)
    script.do(lambda cloud: cloud.delete("p1"))
    assert [(r.method, r.url.path) for r in script.requests] == [("DELETE", "/v2/pods/p1")] * len(
        answers
    )


def test_an_action_is_sent_once() -> None:
    """An action goes to its own path with its name in the body and is not repeated."""
    script = Scripted([answer(500)])
    with pytest.raises(EffectUnknown):
        script.do(lambda cloud: cloud.act("p/1", "stop"))
    (sent,) = script.requests
    assert sent.url.raw_path == b"/v2/pods/p%2F1/action"
    assert json.loads(sent.content) == {"action": "stop"}


def test_an_environment_is_replaced_whole_and_may_be_sent_again() -> None:
    """The PATCH names nothing but `env`, is repeated after a server error, and shows no value of it."""
    script = Scripted([answer(500), answer(200, POD)])
    assert script.do(lambda cloud: cloud.set_env("p1", {"A": "env-secret-value"})).id == "p1"
    assert [(r.method, r.url.path) for r in script.requests] == [("PATCH", "/v2/pods/p1")] * 2
    assert json.loads(script.requests[0].content) == {"env": {"A": "env-secret-value"}}

    refused = Scripted([answer(422, {"detail": "no env-secret-value"})])
    with pytest.raises(RequestInvalid) as caught:
        refused.do(lambda cloud: cloud.set_env("p1", {"A": "env-secret-value"}))
    assert "env-secret-value" not in str(caught.value)


def test_find_reads_every_page_and_wants_the_exact_name() -> None:
    """The cursor is followed; names that only begin the same do not count."""
    pages = [
        answer(
            200,
            {
                "pods": [POD, {**POD, "id": "p2", "name": "rd-a2"}],
                "pagination": {"nextCursor": "c1", "hasNextPage": True},
            },
        ),
        answer(200, {"pods": [{**POD, "id": "p3"}], "pagination": {"nextCursor": None}}),
    ]
    script = Scripted(pages)
    pods = script.do(lambda cloud: cloud.find("rd-a"))
    assert [pod.id for pod in pods] == ["p1", "p3"]
    assert [str(r.url.query, "ascii") for r in script.requests] == ["", "cursor=c1"]


def test_a_cursor_that_comes_back_ends_the_list() -> None:
    """A server that hands out the same cursor for ever does not hold us for ever."""
    page = {"pods": [POD], "pagination": {"nextCursor": "c1"}}
    script = Scripted([answer(200, page), answer(200, page)])
    assert len(script.do(lambda cloud: cloud.find("rd-a"))) == 2


@pytest.mark.parametrize("body", [None, {}, [], {"pods": None}, {"items": []}])
def test_an_answer_without_the_list_is_not_an_empty_list(body: Any) -> None:
    """Nothing found must mean nothing there, since a pod may be running unseen."""
    with pytest.raises(CloudError):
        Scripted([answer(200, body)]).do(lambda cloud: cloud.find("rd-a"))


@pytest.mark.parametrize(
    ("change", "attribute", "expected"),
    [
        ({"cost": 0}, "cost", None),
        ({"cost": None}, "cost", None),
        ({"cost": "dear"}, "cost", None),
        ({"status": "HIBERNATING"}, "status", "UNKNOWN"),
        ({"status": None}, "status", "UNKNOWN"),
        ({"ssh": None}, "ssh", None),
        ({"ssh": {"direct": None, "proxy": {"host": "h", "port": 22}}}, "ssh", None),
        ({"ssh": {"direct": {"host": "h", "port": 70000}}}, "ssh", None),
        ({"ssh": {"direct": {"host": "h", "port": 22}}}, "ssh", Endpoint(host="h", port=22)),
        ({"gpu": None}, "gpu", None),
        ({"dataCenterId": None}, "datacenter", None),
    ],
)
def test_what_the_api_does_not_know_is_unknown(
    change: dict[str, Any], attribute: str, expected: object
) -> None:
    """Zero, null and shapes of another version become unknown and never an exception."""
    pod = Scripted([answer(200, POD | change)]).do(lambda cloud: cloud.get("p1"))
    assert expected == getattr(pod, attribute)


@pytest.mark.parametrize("id_", ["a b", "p1; rm -rf ~", "../p1", "p\n1", "-x", "é", "p" * 65])
def test_what_is_no_id_is_never_one(id_: str) -> None:
    """An id that could mean more in a command line or a path is not taken; nor is the pod passed over."""
    created = Scripted([answer(201, {**POD, "id": id_})])
    with pytest.raises(EffectUnknown, match="no id"):
        created.do(lambda cloud: cloud.create(REQUEST))
    listed = Scripted([answer(200, {"pods": [{**POD, "id": id_}]})])
    with pytest.raises(CloudError, match="no id"):
        listed.do(lambda cloud: cloud.find("rd-a"))


@pytest.mark.parametrize("place", ["../../etc", "EU RO", "EU;id", ".."])
def test_places_and_gpus_that_cannot_be_are_unknown(place: str) -> None:
    """They are filled into local paths, so one that leads elsewhere counts as not told."""
    row = {**POD, "dataCenterId": place, "gpu": {"id": f"{place}/x", "count": 1}}
    pod = Scripted([answer(200, row)]).do(lambda cloud: cloud.get("p1"))
    assert pod is not None
    assert (None, None) == (pod.datacenter, pod.gpu)


def test_a_pod_of_only_an_id_is_a_pod() -> None:
    """Missing fields are tolerated."""
    pod = Scripted([answer(200, {"id": "p1"})]).do(lambda cloud: cloud.get("p1"))
    assert pod is not None
    assert (pod.id, pod.status, pod.ssh, pod.cost) == ("p1", "UNKNOWN", None, None)


def test_the_catalog_gives_price_and_stock_of_each_cloud() -> None:
    """Each cloud is asked; 0 is an unknown price, and centers without stock are absent."""
    row = {
        "id": "NVIDIA L4",
        "name": "L4",
        "memory": 24,
        "price": {"secure": 0.49, "community": 0.0},
        "maxCount": {"secure": 9, "community": None},
    }
    secure = {
        "availability": "HIGH",
        "dataCenters": [
            {"id": "EU-RO-1", "availability": "HIGH"},
            {"id": "US-TX-3", "availability": "NONE"},
            {"id": "US-KS-2", "availability": "Low"},
        ],
    }
    script = Scripted(
        [
            answer(200, {"gpus": [{**row, **secure}, "no row", {"name": "no id"}]}),
            answer(200, {"gpus": [{**row, "availability": "NONE"}]}),
        ]
    )
    query = StockQuery(gpu_count=2, min_cuda="12.8")
    (offer,) = script.do(lambda cloud: cloud.catalog(query))
    assert (offer.name, offer.memory_gb, offer.max_count) == ("L4", 24, {"SECURE": 9})
    assert (offer.price("SECURE"), offer.price("COMMUNITY")) == (0.49, None)
    assert offer.stock == {
        "SECURE": {"": "HIGH", "EU-RO-1": "HIGH", "US-KS-2": "LOW"},
        "COMMUNITY": {"": "NONE"},
    }
    assert [dict(request.url.params) for request in script.requests] == [
        {
            "include": "AVAILABILITY",
            "product": "POD",
            "count": "2",
            "minCudaVersion": "12.8",
            "cloud": cloud,
        }
        for cloud in ("SECURE", "COMMUNITY")
    ]


def test_the_catalog_of_processors_is_read_for_a_number_of_vcpus() -> None:
    """Prices are for one vCPU, memory is the pod's; what cannot have so many is not there."""
    row = {
        "id": "cpu5c",
        "name": "Compute-Optimized",
        "group": "Gen 5",
        "vcpu": {"min": 2, "max": 8},
        "ramGbPerVcpu": 2.5,
        "price": {"securePerVcpu": 0.04, "serverlessPerVcpu": 0.03},
        "availability": "HIGH",
        "dataCenters": [{"id": "EU-RO-1", "availability": "LOW"}],
    }
    small = {**row, "id": "cpu3c", "vcpu": {"min": 2, "max": 2}}
    script = Scripted([answer(200, {"cpus": [row, small, {"id": 7}, None]})])
    (offer,) = script.do(lambda cloud: cloud.catalog(StockQuery(gpu_count=0, vcpus=4)))
    assert (offer.id, offer.memory_gb) == ("cpu5c", 10)
    assert (offer.price("SECURE"), offer.price("COMMUNITY")) == (0.04, None)
    assert offer.stock == {"SECURE": {"": "HIGH", "EU-RO-1": "LOW"}}
    (request,) = script.requests
    assert request.url.path == "/v2/catalog/cpus"
    assert dict(request.url.params) == {
        "include": "AVAILABILITY",
        "product": "POD",
        "vcpuCount": "4",
    }


def test_a_pod_without_a_gpu_is_told_by_its_flavor() -> None:
    """Where a GPU would stand, with a count of none."""
    cpu = {"id": "cpu5c", "vcpuCount": 4, "memory": 8}
    script = Scripted([answer(200, {"id": "p1", "cpu": cpu, "cost": 0.16})])
    pod = script.do(lambda cloud: cloud.get("p1"))
    assert pod is not None
    assert (pod.gpu, pod.gpu_count, pod.vcpus, pod.cost) == ("cpu5c", 0, 4, 0.16)


@pytest.mark.parametrize(
    ("said", "levels"),
    [
        ({}, None),
        ({"availability": None}, None),
        ({"availability": "SOME"}, None),
        ({"dataCenters": []}, {"": "NONE"}),
        ({"dataCenters": [{"id": "A", "availability": "LOW"}]}, {"A": "LOW", "": "LOW"}),
        ({"availability": "MEDIUM", "dataCenters": {"A": 1}}, {"": "MEDIUM"}),
    ],
)
def test_stock_that_is_not_told_is_not_known(
    said: dict[str, Any], levels: dict[str, str] | None
) -> None:
    """A row without a level says nothing about stock, which is another thing than none."""
    script = Scripted([answer(200, {"gpus": [{"id": "NVIDIA L4", **said}]})])
    (offer,) = script.do(lambda cloud: cloud.catalog(StockQuery(clouds=("SECURE",))))
    assert offer.stock == ({} if levels is None else {"SECURE": levels})


def test_volumes_come_in_our_words() -> None:
    """The network volumes are read from their own envelope."""
    row = {"id": "v", "name": "data", "size": 100, "dataCenter": "EU-RO-1", "type": "STANDARD"}
    (volume,) = Scripted([answer(200, {"networkVolumes": [row]})]).do(lambda c: c.volumes())
    assert (volume.id, volume.name, volume.size_gb, volume.datacenter) == (
        "v",
        "data",
        100,
        "EU-RO-1",
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://api.runpod.io",
        "http://localhost.evil.example",
        "http://192.168.0.1",
        "ftp://api.runpod.io",
        "api.runpod.io",
        "",
        "https://",
        "https://user:pass@api.runpod.io",
        "https://api.runpod.io?x=1",
        "https://api.runpod.io:port",
        "http://[::1",
    ],
)
def test_the_key_goes_only_where_it_may(url: str) -> None:
    """Plain http to another machine, and what is no plain URL, is refused without echoing it."""
    with pytest.raises(InvalidInput) as caught:
        RunPodCloud(url, KEY, "runpod")
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v2/pods"),
        ("http://localhost:80/v2/", "http://localhost/v2/pods"),
        ("http://[::1]:9", "http://[::1]:9/v2/pods"),
        ("https://api.runpod.io/v2", "https://api.runpod.io/v2/pods"),
        (" https://proxy.example/runpod/ ", "https://proxy.example/runpod/v2/pods"),
    ],
)
def test_the_base_may_be_this_machine_or_https(url: str, expected: str) -> None:
    """Loopback may be plain http; a trailing slash or `/v2` does no harm."""
    asked = []

    def answering(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return answer(200, {"pods": []})

    async def body() -> None:
        cloud = RunPodCloud(url, KEY, "runpod", transport=httpx.MockTransport(answering))
        await cloud.find("x")
        await cloud.close()

    asyncio.run(body())
    assert asked == [expected]


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nbreak", "schlüssel"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(key: str) -> None:
    """A broken key is found before it is sent, and is not repeated to the screen."""
    with pytest.raises(AccountError) as caught:
        RunPodCloud(BASE, key, "runpod")
    assert not key.strip() or key not in str(caught.value)


def test_neither_key_nor_env_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Messages, reprs and the logs of the HTTP library hold neither the key nor the env."""
    caplog.set_level(logging.DEBUG)
    body = {"detail": f"refused env-secret-value {KEY}"}
    script = Scripted([answer(422, body), answer(201, POD)])
    with pytest.raises(RunpodDeployError) as caught:
        asyncio.run(script.cloud.create(REQUEST))
    pod = script.do(lambda cloud: cloud.create(replace(REQUEST, name="b")))
    shown = " ".join(
        [str(caught.value), repr(caught.value), repr(script.cloud), repr(pod), caplog.text]
    )
    assert KEY not in shown
    assert "env-secret-value" not in shown


def test_closing_twice_is_harmless() -> None:
    """`close` is idempotent."""

    async def body() -> None:
        cloud = RunPodCloud(BASE, KEY, "runpod")
        await cloud.close()
        await cloud.close()

    asyncio.run(body())


def test_a_redirect_is_not_followed() -> None:
    """The key does not travel to another place because an answer says so."""
    script = Scripted([httpx.Response(302, headers={"location": "http://evil.example/"})])
    with pytest.raises(CloudError):
        script.do(lambda cloud: cloud.get("p1"))
    assert len(script.requests) == 1


def test_an_answer_nested_without_end_is_an_answer_that_cannot_be_read() -> None:
    """It is told like any other answer that is not JSON, a created pod's as one whose effect is open."""

    async def body() -> None:
        deep = httpx.MockTransport(lambda _request: httpx.Response(200, content=b"[" * 200_000))
        api = Api(BASE, KEY, transport=deep)
        with pytest.raises(CloudError, match="not JSON"):
            await api.send("GET", "/v2/pods")
        with pytest.raises(EffectUnknown, match="not JSON"):
            await api.send("POST", "/v2/pods")
        await api.close()

    asyncio.run(body())
