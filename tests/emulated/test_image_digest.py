"""A tag that moves between plan and apply, as whole commands against a registry over real TLS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runpod_deploy.emulator import client
from support.command import Bench
from support.registry import Registry

IMAGE = "team/train:1"
FIRST, SECOND = f"sha256:{'a1' * 32}", f"sha256:{'b2' * 32}"
APPLY = ("apply", "plan.json", "--yes")


@pytest.fixture
def registry(bench: Bench) -> Iterator[Registry]:
    """A registry with one image; the emulator stands in for RunPod, by its address and key."""
    made = Registry(bench.root)
    made.tags[IMAGE] = FIRST
    bench.emulator()
    info = client.find(bench.env)
    assert info is not None
    bench.extra |= made.environ
    bench.extra |= {"RUNPOD_API_URL": info.url, "RUNPOD_API_KEY": info.api_key}
    bench.job(pod={"image": f"registry.test/{IMAGE}"}, run={"body": "echo ran\n"})
    yield made
    made.close()


def described(bench: Bench) -> dict[str, Any]:
    """Return the pod of the newest run as the API described it."""
    pod: dict[str, Any] = json.loads((bench.last_run() / "pod_describe_start.json").read_text())
    return pod


def test_a_moved_tag_is_refused_before_anything_is_created(
    bench: Bench, registry: Registry
) -> None:
    """The plan shows the digest; another one is a row of the refusal, and no pod was there."""
    status, output = bench.run("plan", "job.yaml", "--live", "-o", "plan.json")
    assert 0 == status, output
    saved = json.loads((bench.project / "plan.json").read_text())
    assert FIRST == saved["observed"]["image"]["digest"]
    assert FIRST not in json.dumps(saved["plan"])
    assert FIRST in output.replace("\n", "").replace(" ", "")

    registry.tags[IMAGE] = SECOND
    status, output = bench.run(*APPLY)

    assert 6 == status, output
    row = [line.strip() for line in output.splitlines() if FIRST in line or SECOND in line]
    assert [f"planned  {FIRST}", f"now      {SECOND}"] == row
    assert "image.digest  (refuse)" in output
    assert "--allow image" in output
    assert [] == bench.history()["pods"]

    status, output = bench.run(*APPLY, "--allow", "image")
    assert 0 == status, output
    drifts = [one for one in bench.events() if one["event"] == "plan_drift"]
    assert ("image.digest", FIRST, SECOND, "allowed") in {
        (one["field"], one["planned"], one["now"], one["verdict"]) for one in drifts
    }
    assert f"registry.test/{IMAGE}" == described(bench)["image"]


def test_an_image_that_is_gone_is_refused_and_one_that_stayed_runs(
    bench: Bench, registry: Registry
) -> None:
    """What was known and is not any more is no image that was reviewed; back again, it runs."""
    assert 0 == bench.run("plan", "job.yaml", "--live", "-o", "plan.json")[0]
    del registry.tags[IMAGE]

    status, output = bench.run(*APPLY)

    assert 6 == status, output
    assert "not known: registry.test answered HTTP 404" in output
    registry.tags[IMAGE] = FIRST
    assert 0 == bench.run(*APPLY)[0]
    assert f"registry.test/{IMAGE}@{FIRST}" == described(bench)["image"]


def test_a_registry_that_does_not_say_is_told(bench: Bench, registry: Registry) -> None:
    """The plan is made all the same, and a note says what is not known and why. Offline, nobody is asked."""
    assert 0 == bench.run("plan", "job.yaml", "-o", "offline.json")[0]
    assert [] == registry.asked
    del registry.tags[IMAGE]

    status, output = bench.run("plan", "job.yaml", "--live", "-o", "plan.json")

    assert 0 == status
    assert "the digest of the image is not known: registry.test answered HTTP 404" in output
    assert json.loads((bench.project / "plan.json").read_text())["observed"]["image"] is None
