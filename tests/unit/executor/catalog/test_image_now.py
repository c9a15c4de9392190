"""Whether a registry is asked for a plan's image, and what its answer means."""

import asyncio
from dataclasses import replace
from typing import Literal

import pytest

from runpod_deploy.compiler.freshness import ImageNow
from runpod_deploy.compiler.image_name import ImageReference
from runpod_deploy.compiler.observed import ObservedImage
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.executor.image_now import image_now, image_of, image_to_pull
from runpod_deploy.executor.registry import ImageAnswer
from support.plans import plan_file

DIGEST = "sha256:" + "ab" * 32


class Registry:
    """Answers as it is told and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ImageReference] = []
        self.found: Literal["there", "missing", "login", "unknown"] = "there"

    async def ask(self, image: ImageReference) -> ImageAnswer:
        """Answer for an image."""
        self.asked.append(image)
        return ImageAnswer(found=self.found, registry="r", digest=DIGEST, why="r answered")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry in memory."""
    made = Registry()
    monkeypatch.setattr("runpod_deploy.executor.registry.ask_registry", made.ask)
    return made


def plan(image: str | None) -> Plan:
    """Return a plan with that image."""
    made = plan_file().plan
    return replace(made, pod=replace(made.pod, image=image))


def test_the_digest_of_a_tag_is_looked_up(registry: Registry) -> None:
    """What the tag points at now is the answer."""
    found = asyncio.run(image_of(plan("runpod/base:1"), "runpod"))

    assert ImageNow(digest=DIGEST, why="r answered") == found
    assert ["1"] == [image.reference for image in registry.asked]


@pytest.mark.parametrize("found", ["missing", "login", "unknown"])
def test_what_is_not_shown_is_not_known(
    registry: Registry, found: Literal["missing", "login", "unknown"]
) -> None:
    """Only an image that is there has a digest, whatever else was said."""
    registry.found = found
    answer = asyncio.run(image_of(plan("runpod/base:1"), "runpod"))
    assert ImageNow(digest=None, why="r answered") == answer


@pytest.mark.parametrize(
    ("image", "cloud"),
    [
        (None, "runpod"),
        (f"runpod/base:1@{DIGEST}", "runpod"),
        ("No Image", "runpod"),
        ("runpod/base:1", "emulator"),
    ],
    ids=["template", "pinned", "no-name", "emulator"],
)
def test_nobody_is_asked_for_nothing(registry: Registry, image: str | None, cloud: str) -> None:
    """A template, a digest and the emulator have nothing that could be moved."""
    assert asyncio.run(image_of(plan(image), cloud)) is None
    assert [] == registry.asked


def test_a_plan_that_shows_no_digest_asks_nobody(registry: Registry) -> None:
    """A plan that was made offline is applied without the registry."""
    saved = plan_file()
    assert asyncio.run(image_now(saved, "runpod")) is None
    assert [] == registry.asked

    seen = replace(saved.observed, image=ObservedImage(digest=DIGEST, read_at="x"))
    assert asyncio.run(image_now(replace(saved, observed=seen), "runpod")) is not None


def test_the_reviewed_image_is_the_one_that_is_pulled() -> None:
    """A digest that is known stands behind the tag; without one the name is as it was written."""
    made = replace(plan_file(), plan=plan("runpod/base:1"))
    seen = ObservedImage(digest=DIGEST, read_at="2026-05-14T02:12:00Z")
    known = replace(made, observed=replace(made.observed, image=seen))

    assert "runpod/base:1" == image_to_pull(made)
    assert f"runpod/base:1@{DIGEST}" == image_to_pull(known)
    assert image_to_pull(replace(known, plan=plan(None))) is None
