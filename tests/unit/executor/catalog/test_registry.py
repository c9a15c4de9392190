"""Whether an image exists, as its registry says; no credential is ever sent."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from runpod_deploy.compiler.image_name import ImageReference, parse_image
from runpod_deploy.executor.registry import ImageAnswer, ask_registry

DIGEST = "sha256:" + "ab" * 32
CHALLENGE = 'Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull"'


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("ubuntu", ("docker.io", "library/ubuntu", "latest")),
        ("ubuntu:22.04", ("docker.io", "library/ubuntu", "22.04")),
        ("runpod/pytorch:1.0.7-cu1281", ("docker.io", "runpod/pytorch", "1.0.7-cu1281")),
        ("docker.io/runpod/base:1", ("docker.io", "runpod/base", "1")),
        ("ghcr.io/a/b/c", ("ghcr.io", "a/b/c", "latest")),
        ("localhost/a:1", ("localhost", "a", "1")),
        ("reg.example:5000/a_b/c-d:T.1", ("reg.example:5000", "a_b/c-d", "T.1")),
        (f"a/b:1@{DIGEST}", ("docker.io", "a/b", DIGEST)),
    ],
)
def test_an_image_is_read_as_docker_reads_it(image: str, parts: tuple[str, str, str]) -> None:
    """Registry, repository and tag or digest; Docker Hub and `latest` where nothing is said."""
    registry, repository, reference = parts
    assert parse_image(image) == ImageReference(
        registry=registry, repository=repository, reference=reference
    )


@pytest.mark.parametrize(
    "image",
    [
        "",
        "UPPER/case",
        "a b",
        "a:",
        "a:tag:tag",
        "a@sha256:12",
        "https://ghcr.io/a/b",
        "a//b",
        "-a",
    ],
)
def test_what_is_no_image_is_none(image: str) -> None:
    """A name that Docker refuses is not asked about."""
    assert parse_image(image) is None


class Registry:
    """Answers what it is given, one for each request."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def ask(self, image: str = "ghcr.io/a/b:1") -> ImageAnswer:
        """Ask for an image."""
        reference = parse_image(image)
        assert reference is not None
        return asyncio.run(ask_registry(reference, transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


def asks_for_token() -> httpx.Response:
    """Return the answer that asks for the token that everybody gets."""
    return httpx.Response(401, headers={"WWW-Authenticate": CHALLENGE})


def test_an_image_that_is_there_tells_its_digest() -> None:
    """One HEAD of the manifest is enough."""
    registry = Registry(httpx.Response(200, headers={"Docker-Content-Digest": DIGEST}))
    answer = registry.ask()
    assert (answer.found, answer.digest) == ("there", DIGEST)
    (request,) = registry.requests
    assert (request.method, str(request.url)) == ("HEAD", "https://ghcr.io/v2/a/b/manifests/1")
    assert "authorization" not in request.headers


def test_docker_hub_has_another_name() -> None:
    """Images without a registry are asked for where Docker Hub answers."""
    registry = Registry(httpx.Response(404))
    assert registry.ask("ubuntu:nope").found == "missing"
    assert registry.requests[0].url.host == "registry-1.docker.io"


def test_the_token_for_everybody_is_fetched() -> None:
    """A public image behind a token needs no account."""
    registry = Registry(
        asks_for_token(), httpx.Response(200, json={"token": "t0k"}), httpx.Response(200)
    )
    assert registry.ask().found == "there"
    asked = registry.requests[1].url
    assert (asked.host, dict(asked.params)) == (
        "auth.example",
        {"service": "r", "scope": "repository:a/b:pull"},
    )
    assert registry.requests[2].headers["authorization"] == "Bearer t0k"


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([httpx.Response(403)], "login"),
        ([httpx.Response(401)], "login"),
        ([httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="x"'})], "login"),
        (
            [
                httpx.Response(
                    401, headers={"WWW-Authenticate": 'Bearer realm="http://auth.example"'}
                )
            ],
            "login",
        ),
        ([asks_for_token(), httpx.Response(500)], "login"),
        ([asks_for_token(), httpx.Response(200, content=b"[" * 99_999)], "login"),
        ([asks_for_token(), httpx.Response(200, content=b"[" * 9_999)], "login"),
        ([asks_for_token(), httpx.Response(200, json=["t"])], "login"),
        ([asks_for_token(), httpx.Response(200, json={"token": "a\nb"})], "login"),
        (
            [asks_for_token(), httpx.Response(200, json={"token": "t"}), httpx.Response(401)],
            "login",
        ),
        ([httpx.Response(429)], "unknown"),
        ([httpx.Response(301, headers={"Location": "https://elsewhere.example"})], "unknown"),
        ([httpx.Response(502)], "unknown"),
        ([httpx.ConnectError("no")], "unknown"),
        ([httpx.ReadTimeout("slow")], "unknown"),
        ([asks_for_token(), httpx.ConnectError("no")], "unknown"),
    ],
)
def test_only_a_404_means_that_it_is_not_there(
    answers: list[httpx.Response | Exception], found: str
) -> None:
    """Whatever else is answered or breaks says nothing about the image, and nothing is raised."""
    registry = Registry(*answers)
    assert registry.ask().found == found
    assert registry.answers == []


def test_a_digest_that_is_none_is_left_out() -> None:
    """What a registry calls a digest is believed only if it is one."""
    registry = Registry(httpx.Response(200, headers={"Docker-Content-Digest": "latest"}))
    assert registry.ask().digest is None


@pytest.mark.parametrize("image", ["localhost:5000/a", "127.0.0.1:5000/a"])
def test_this_machine_is_not_asked(image: str) -> None:
    """RunPod could not pull from it, and a job file does not get to knock here."""
    registry = Registry()
    answer = registry.ask(image)
    assert (answer.found, registry.requests) == ("unknown", [])
