"""What an account owns beside pods, against scripted answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import httpx
import pytest

from runpod_deploy.errors import CloudError, EffectUnknown
from runpod_deploy.executor.ports import Registry, Volume
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.resources import REGISTRIES, TEMPLATES, VOLUMES, Resources
from support.fakes import FakeClock, run_virtual

T = TypeVar("T")

DATA = {"id": "vol1", "name": "data", "size": 20, "dataCenter": "EU-RO-1", "type": "STANDARD"}
OTHER = {**DATA, "id": "vol0"}
BODY = {"name": "data", "size": 20, "dataCenter": "EU-RO-1"}


def answer(status: int, body: Any = None) -> httpx.Response:
    """Return an answer with a JSON body."""
    return httpx.Response(status, content=b"" if body is None else json.dumps(body).encode())


class Scripted:
    """An API whose answers are a list; keeps what was asked."""

    def __init__(self, answers: Iterable[httpx.Response]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        return self.answers.pop(0)

    def do(self, call: Callable[[Resources], Awaitable[T]]) -> T:
        """Run one call in virtual time."""

        async def whole() -> T:
            cloud = RunPodCloud(
                "https://api.example",
                "rpa_KEY",
                transport=httpx.MockTransport(self._answer),
                clock=FakeClock(),
                jitter=lambda: 1.0,
            )
            try:
                return await call(cloud.resources)
            finally:
                await cloud.close()

        return run_virtual(whole())


def listed(*rows: dict[str, Any]) -> httpx.Response:
    """Return the list of volumes."""
    return answer(200, {"networkVolumes": list(rows)})


def test_one_is_made_read_changed_and_removed() -> None:
    """Each call goes to its address, and the rows come back in our words."""
    script = Scripted(
        [
            listed(),
            answer(201, DATA),
            answer(200, DATA),
            answer(200, {**DATA, "size": 30}),
            answer(204),
            answer(200, DATA),
            answer(404),
        ]
    )

    async def life(resources: Resources) -> list[Volume | None]:
        made = await resources.create(VOLUMES, BODY)
        read = await resources.get(VOLUMES, made.id)
        grown = await resources.change(VOLUMES, made.id, {"size": 30})
        await resources.remove(VOLUMES, made.id)
        return [made, read, grown]

    made, read, grown = script.do(life)
    assert made == read
    assert made is not None
    assert ("vol1", 20, "STANDARD") == (made.id, made.size_gb, made.type)
    assert 30 == (grown.size_gb if grown else 0)
    one = "/v2/network-volumes/vol1"
    assert [
        ("GET", "/v2/network-volumes", None),
        ("POST", "/v2/network-volumes", BODY),
        ("GET", one, None),
        ("PATCH", one, {"size": 30}),
        ("DELETE", one, None),
        ("GET", one, None),
        ("GET", one, None),
    ] == script.asked


def test_what_is_not_there_is_none_and_removed_already() -> None:
    """404 is an answer, not an error."""
    assert Scripted([answer(404)]).do(lambda known: known.get(TEMPLATES, "t1")) is None
    Scripted([answer(404)]).do(lambda known: known.remove(TEMPLATES, "t1"))


def test_a_lost_answer_is_looked_up_among_what_is_new() -> None:
    """One of that name that was there before is never taken for ours; a second new one is removed."""
    second = {**DATA, "id": "vol2"}
    script = Scripted(
        [
            listed(OTHER),
            answer(502),
            listed(OTHER),
            listed(OTHER, DATA, second),
            answer(204),
            answer(404),
        ]
    )
    assert "vol1" == script.do(lambda known: known.create(VOLUMES, BODY)).id
    assert ("DELETE", "/v2/network-volumes/vol2", None) == script.asked[-2]


def test_an_effect_that_cannot_be_found_is_the_error() -> None:
    """It is not sent a second time."""
    script = Scripted([listed(OTHER), answer(502), *(listed(OTHER) for _ in range(4))])
    with pytest.raises(EffectUnknown):
        script.do(lambda known: known.create(VOLUMES, BODY))
    assert 1 == sum(1 for method, _, _ in script.asked if method == "POST")


def test_one_that_stays_after_its_removal_is_an_error() -> None:
    """204 is no proof."""
    script = Scripted([answer(204), *(answer(200, DATA) for _ in range(7))])
    with pytest.raises(CloudError, match="the network volume is still there"):
        script.do(lambda known: known.remove(VOLUMES, "vol1"))


def test_no_message_shows_a_secret_of_the_body() -> None:
    """Also when the API repeats it."""
    body = {"name": "hub", "username": "me", "password": "hunter2222"}
    script = Scripted([answer(200, {"registries": []}), answer(422, {"detail": "hunter2222!"})])
    with pytest.raises(CloudError) as caught:
        script.do(lambda known: known.create(REGISTRIES, body, secrets=("hunter2222",)))
    assert "hunter2222" not in caught.value.message


def test_an_answer_without_an_id_is_not_taken_for_one() -> None:
    """After a create it may stand for something, so it is looked for."""
    script = Scripted(
        [
            answer(200, {"registries": []}),
            answer(201, {}),
            answer(200, {"registries": [{"id": "r1", "name": "hub"}]}),
        ]
    )
    body = {"name": "hub", "username": "me", "password": "x"}
    assert Registry(id="r1", name="hub") == script.do(lambda known: known.create(REGISTRIES, body))
    with pytest.raises(CloudError, match="without describing the network volume"):
        Scripted([answer(200, {"id": "a/b"})]).do(lambda known: known.get(VOLUMES, "v"))
