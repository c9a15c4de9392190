"""`validate --live`: whether a job could run now, on a cloud and a registry in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from runpod_deploy.compiler.image_name import ImageReference
from runpod_deploy.errors import Unreachable
from runpod_deploy.executor.ports import GpuOffer, Volume
from runpod_deploy.executor.registry import ImageAnswer
from support.fakes import FakeClock, FakeCloud

Call = Callable[..., tuple[int, str, str]]


class World:
    """A cloud and a registry."""

    def __init__(self) -> None:
        self.cloud = FakeCloud(FakeClock(), offers=[offer("NVIDIA L4", "HIGH")])
        self.found: Literal["there", "missing", "login", "unknown"] = "there"
        self.asked: list[ImageReference] = []

    async def ask(self, image: ImageReference) -> ImageAnswer:
        """Answer for an image."""
        self.asked.append(image)
        return ImageAnswer(
            found=self.found, registry=image.registry, why=f"{image.registry} answered HTTP 404"
        )


def offer(gpu: str, level: str, price: float | None = 0.49) -> GpuOffer:
    """Return a row of the catalog."""
    return GpuOffer(
        id=gpu,
        memory_gb=24,
        secure_price=price,
        community_price=None,
        stock={"SECURE": {"": level}},
    )


@pytest.fixture
def world(project: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A cloud and a registry in memory, and a key."""
    made = World()
    monkeypatch.setattr("runpod_deploy.cli.market.RunPodCloud", lambda *_: made.cloud)
    monkeypatch.setattr("runpod_deploy.cli.live_checks.ask_registry", made.ask)
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRET")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    return made


def change(project: Path, old: str, new: str) -> None:
    """Change the job file."""
    text = (project / "job.yaml").read_text()
    assert old in text
    (project / "job.yaml").write_text(text.replace(old, new))


def test_without_live_nobody_is_asked(world: World, call: Call) -> None:
    """The network is asked only when told to."""
    assert 0 == call("validate", "job.yaml")[0]
    assert ([], []) == (world.cloud.asked, world.asked)


def test_a_job_that_could_run_now_is_ok(world: World, call: Call) -> None:
    """Stock and image are there: nothing is said, not even with --strict."""
    status, out, err = call("validate", "job.yaml", "--live", "--strict")
    assert (0, "job.yaml: ok\n", "") == (status, out, err)
    assert ["runpod/pytorch"] == [image.repository for image in world.asked]


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        ("missing", 4, "image-missing"),
        ("login", 0, "image-not-public"),
        ("unknown", 0, "image-unchecked"),
    ],
)
def test_an_image_that_is_not_there_is_an_error(
    world: World, call: Call, found: Literal["missing", "login", "unknown"], status: int, code: str
) -> None:
    """Only a registry that says so makes it one; the line of the image is shown."""
    world.found = found
    ended, out, _ = call("validate", "job.yaml", "--live", "--format", "json")
    (told,) = json.loads(out)["files"][0]["diagnostics"]
    assert (status, code, 6) == (ended, told["code"], told["line"])


def test_a_login_that_the_job_has_is_no_warning(world: World, call: Call, project: Path) -> None:
    """With `pod.registry_auth` a private image is as it should be: a note remains."""
    world.found = "login"
    change(project, "pod:\n", "pod:\n  registry_auth: cred\n")
    status, _, err = call("validate", "job.yaml", "--live", "--strict")
    assert 0 == status
    assert "image-unchecked" in err


def test_each_image_is_asked_for_once(world: World, call: Call, project: Path) -> None:
    """Many job files with one image are one question."""
    (project / "other.yaml").write_text((project / "job.yaml").read_text())
    assert 0 == call("validate", "job.yaml", "other.yaml", "--live")[0]
    assert 1 == len(world.asked)
    assert 1 == len(world.cloud.asked)


def test_no_stock_is_a_warning(world: World, call: Call) -> None:
    """What is gone now may be there later: --strict decides."""
    world.cloud.offers = [offer("NVIDIA L4", "NONE")]
    status, _, err = call("validate", "job.yaml", "--live")
    assert 0 == status
    assert "nothing-to-be-had" in err
    assert "the catalog shows none free" in " ".join(err.split())
    assert 4 == call("validate", "job.yaml", "--live", "--strict")[0]


def test_an_unknown_price_under_a_ceiling_is_a_warning(
    world: World, call: Call, project: Path
) -> None:
    """The ceiling would keep the only candidate out."""
    world.cloud.offers = [offer("NVIDIA L4", "HIGH", price=None)]
    change(project, "pod:\n", "pod:\n  max_price_per_hour_usd: 1\n")
    err = call("validate", "job.yaml", "--live")[2]
    assert "nothing-to-be-had" in err
    assert "no SECURE price is known" in " ".join(err.split())


def test_a_gpu_outside_of_the_catalog_is_a_warning(world: World, call: Call, project: Path) -> None:
    """The live catalog knows better than the list that came with the release."""
    change(project, "[NVIDIA L4]", "[NVIDIA L4, NVIDIA L5]")
    status, out, _ = call("validate", "job.yaml", "--live", "--format", "json")
    found = [one["code"] for one in json.loads(out)["files"][0]["diagnostics"]]
    assert 0 == status
    assert "gpu-not-listed" in found
    assert world.cloud.asked


def test_a_network_volume_must_be_there(world: World, call: Call, project: Path) -> None:
    """A volume that the account does not have ends every run, so it is an error."""
    change(project, "budget:", "storage: {mode: network_volume, volume_name: data}\nbudget:")
    status, _, err = call("validate", "job.yaml", "--live")
    assert 4 == status
    assert "no such network volume" in err
    world.cloud.known_volumes = [Volume(id="v", name="data", datacenter="EU-RO-1", size_gb=9)]
    assert "no such network volume" not in call("validate", "job.yaml", "--live")[2]


def test_what_is_switched_off_is_not_told(world: World, call: Call, project: Path) -> None:
    """`lint.ignore` holds for what the cloud says too, and knows the codes."""
    world.cloud.offers = [offer("NVIDIA L4", "NONE")]
    world.found = "unknown"
    ignore = "lint: {ignore: [nothing-to-be-had, image-unchecked]}\nbudget:"
    change(project, "budget:", ignore)
    status, _, err = call("validate", "job.yaml", "--live", "--strict")
    assert (0, "") == (status, err)


def test_a_wrong_file_is_not_asked_about(world: World, call: Call, project: Path) -> None:
    """What cannot be planned has nothing to look up; the other files are looked at all the same."""
    (project / "wrong.yaml").write_text("schema_version: 3\n")
    status, out, _ = call("validate", "wrong.yaml", "job.yaml", "--live")
    assert 4 == status
    assert "job.yaml: ok" in out
    assert 1 == len(world.asked)


def test_an_api_out_of_reach_is_no_fault_of_the_file(world: World, call: Call) -> None:
    """The command fails as what it is: exit status 1."""
    world.cloud.offers = Unreachable("https://api.example could not be reached")
    status, _, err = call("validate", "job.yaml", "--live")
    assert 1 == status
    assert "could not be reached" in err


def test_a_key_is_needed_only_for_live(
    world: World, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key the emulator is named."""
    monkeypatch.delenv("RUNPOD_API_KEY")
    status, _, err = call("validate", "job.yaml", "--live")
    assert 5 == status
    assert "--cloud emulator" in err
    assert world.cloud.asked == []


@pytest.mark.parametrize("flags", [("--refresh",), ("--cloud", "emulator")])
def test_flags_of_live_need_it(world: World, call: Call, flags: tuple[str, ...]) -> None:
    """A flag that would do nothing is refused."""
    status, _, err = call("validate", "job.yaml", *flags)
    assert 4 == status
    assert "--live" in err
    assert world.cloud.asked == []


@pytest.mark.parametrize("flag", ["--check-availability", "--check-image-registry"])
def test_flags_of_earlier_releases_name_live(world: World, call: Call, flag: str) -> None:
    """Whoever used the old flags learns the new one."""
    status, _, err = call("validate", "job.yaml", flag)
    assert 4 == status
    assert "--live" in err
    assert world.cloud.asked == []
