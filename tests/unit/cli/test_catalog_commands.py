"""The commands that ask the catalog, on a cloud in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.compiler.planfile import loads
from runpod_deploy.errors import AccountError, RateLimited, Unreachable
from runpod_deploy.executor.ports import GpuOffer, Volume
from support.fakes import FakeClock, FakeCloud

Call = Callable[..., tuple[int, str, str]]

L4 = GpuOffer(
    id="NVIDIA L4",
    name="L4",
    memory_gb=24,
    secure_price=0.49,
    community_price=None,
    stock={"SECURE": {"": "HIGH", "EU-RO-1": "LOW"}, "COMMUNITY": {"": "NONE"}},
    max_count={"SECURE": 9, "COMMUNITY": 1},
)
A40 = GpuOffer(
    id="NVIDIA A40",
    memory_gb=48,
    secure_price=0.44,
    community_price=0.3,
    stock={"SECURE": {"": "LOW", "US-KS-2": "LOW"}, "COMMUNITY": {"": "LOW", "US-KS-2": "LOW"}},
)
NAMELESS = GpuOffer(id="NVIDIA X", memory_gb=0, secure_price=None, community_price=None)


class Counter:
    """Stands in for the adapter: remembers what it was opened with, and hands out one fake."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, ...]] = []
        self.cloud = FakeCloud(FakeClock(), offers=[L4, NAMELESS, A40])

    def __call__(self, *arguments: str) -> FakeCloud:
        """Open."""
        self.opened.append(arguments)
        return self.cloud


@pytest.fixture
def fake(project: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    """A cloud in memory in the place of RunPod, with a key and an empty cache."""
    counter = Counter()
    monkeypatch.setattr("runpod_deploy.cli.market.RunPodCloud", counter)
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_SECRET")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    return counter


def in_order(text: str, *parts: str) -> bool:
    """Tell whether parts follow each other in a text."""
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_gpu_list_shows_every_type_by_name(fake: Counter, call: Call) -> None:
    """Names in order, whose catalog it is and how old, and nothing on stderr."""
    status, out, err = call("gpu-list")
    assert (0, "") == (status, err)
    assert in_order(
        out, "3 GPU types  runpod, read just now", "NVIDIA A40", "NVIDIA L4", "NVIDIA X"
    )
    assert fake.opened == [("https://api.runpod.io", "rpa_SECRET", "runpod")]
    assert "SECRET" not in out


def test_gpu_list_in_a_datacenter_shows_what_is_free_there(fake: Counter, call: Call) -> None:
    """Types without stock there are left out."""
    _, out, _ = call("gpu-list", "--datacenter", "US-KS-2", "--gpu-count", "2")
    assert "1 GPU types in US-KS-2" not in out
    assert "1 GPU type in US-KS-2" in out
    assert "NVIDIA A40" in out
    assert "NVIDIA L4" not in out
    assert [2] == [query.gpu_count for query in fake.cloud.asked]


def test_gpu_list_asks_only_the_cloud_that_is_named(fake: Counter, call: Call) -> None:
    """The flag of earlier releases works."""
    _, out, _ = call("gpu-list", "--cloud-type", "COMMUNITY", "--no-prices")
    assert "Secure" not in out
    assert "$" not in out
    assert [("COMMUNITY",)] == [query.clouds for query in fake.cloud.asked]


@pytest.mark.parametrize("command", ["gpu-list", "gpu-prices"])
@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("A40", ["NVIDIA A40"]),
        ("NVIDIA L4", ["NVIDIA L4"]),
        ("nvidial4", ["NVIDIA L4"]),
        ("nvidia", ["NVIDIA A40", "NVIDIA L4", "NVIDIA X"]),
    ],
)
def test_a_gpu_is_found_by_a_part_of_its_name(
    fake: Counter, call: Call, command: str, named: str, shown: list[str]
) -> None:
    """Its whole id means that one, a part all that have it; what nothing is called is told."""
    assert fake
    status, out, _ = call(command, named, "--json")
    assert (0, shown) == (status, sorted(one["id"] for one in json.loads(out)["gpus"]))
    status, out, err = call(command, "MI300")
    assert (4, "") == (status, out)
    assert "no GPU type called MI300" in err


def test_json_is_ascii(fake: Counter, call: Call) -> None:
    """No locale can spoil what a program reads."""
    fake.cloud.offers.append(replace(A40, id="NVIDIA Ω ::x"))
    out = call("gpu-list", "--json")[1]

    assert out.isascii()
    assert "NVIDIA Ω ::x" in {one["id"] for one in json.loads(out)["gpus"]}


def test_gpu_prices_begin_with_the_cheapest(fake: Counter, call: Call) -> None:
    """The better of both clouds decides; a price that is not known comes last, as that."""
    _, out, _ = call("gpu-prices")
    assert in_order(out, "NVIDIA A40", "NVIDIA L4", "NVIDIA X")
    assert out.splitlines()[-1].split() == ["NVIDIA", "X", "?", "unknown", "unknown"]
    _, out, _ = call("gpu-prices", "--json")
    rows = json.loads(out)["gpus"]
    assert rows[0]["price_per_gpu_hour_usd"] == {"secure": 0.44, "community": 0.3}
    assert rows[2]["price_per_gpu_hour_usd"] == {"secure": None, "community": None}
    assert "stock" not in rows[0]
    assert 1 == len(fake.cloud.asked)


def test_the_age_of_a_kept_answer_is_shown(
    fake: Counter, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept answer is used for a minute, its age is on screen, and `--refresh` asks anew."""
    now = 1_800_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    call("gpu-list")
    now += 42
    assert "read 42 s ago" in call("gpu-list")[1]
    assert json.loads(call("gpu-list", "--json")[1])["kept"] is True
    assert 1 == len(fake.cloud.asked)
    assert "read just now" in call("gpu-list", "--refresh")[1]
    assert "read just now" in call("gpu-list", "--no-price-cache")[1]
    assert 3 == len(fake.cloud.asked)
    now += 61
    assert "read just now" in call("gpu-list")[1]


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5", "99999", "²"])
def test_a_count_that_is_none_is_refused(fake: Counter, call: Call, count: str) -> None:
    """Usage errors are found before anybody is asked."""
    status, _, err = call("gpu-list", "--gpu-count", count)
    assert 4 == status
    assert "--gpu-count" in err
    assert fake.cloud.asked == []


@pytest.mark.parametrize("command", ["gpu-list", "gpu-prices"])
def test_spot_is_told_about(fake: Counter, call: Call, command: str) -> None:
    """The flag of earlier releases names why it is gone."""
    status, _, err = call(command, "--spot")
    assert 4 == status
    assert "no spot pods any more" in err
    assert fake.opened == []


def test_inventory_shows_the_candidates_of_a_job(fake: Counter, call: Call) -> None:
    """With stock the exit status is 0."""
    status, out, _ = call("gpu-inventory", "job.yaml")
    assert 0 == status
    assert in_order(out, "small  1 GPU a pod; runpod, read just now", "1  NVIDIA L4", "high")
    assert 1 == len(fake.cloud.asked)


def test_inventory_without_stock_ends_with_3(fake: Counter, call: Call) -> None:
    """Scripts wait on the status; people are told what to do."""
    fake.cloud.offers = [
        GpuOffer(
            id=L4.id,
            memory_gb=24,
            secure_price=0.49,
            community_price=None,
            stock={"SECURE": {"": "NONE"}},
        )
    ]
    status, out, err = call("gpu-inventory", "-c", "job.yaml")
    assert 3 == status
    assert "none" in out
    assert "wait_minutes" in err
    status, out, _ = call("gpu-inventory", "job.yaml", "--json")
    document = json.loads(out)
    assert (3, False) == (status, document["available"])
    assert document["candidates"][0]["passed_over"] == "out_of_stock"


def test_stock_that_is_not_known_is_no_stock_out(fake: Counter, call: Call) -> None:
    """Where the catalog says nothing, a try may succeed."""
    fake.cloud.offers = [NAMELESS]
    status, out, _ = call("gpu-inventory", "job.yaml")
    assert 0 == status
    assert "unknown  ?" in out


def test_estimate_adds_up(fake: Counter, call: Call) -> None:
    """A rate, the longest run and the cap, as text and as data."""
    status, out, _ = call("estimate", "job.yaml")
    assert 0 == status
    assert in_order(out, "small  runpod", "first choice", "$0.49/h", "5 min", "$0.25, reached")
    status, out, _ = call("estimate", "job.yaml", "--json")
    document = json.loads(out)
    assert document["estimate"]["compute_per_hour_usd"] == 0.49
    assert document["catalog"]["candidates"][0]["stock"] == "HIGH"
    assert document["plan_hash"].startswith("sha256:")
    assert fake.cloud.asked


def test_estimate_takes_the_usual_length_from_earlier_runs(
    fake: Counter, call: Call, project: Path
) -> None:
    """The manifests of the project say how long the job takes."""
    folder = project / "artifacts" / "runpod" / "20260301T120000Z"
    folder.mkdir(parents=True)
    manifest = {"job_name": "small", "failed": False, "gpu_id": L4.id, "wall_time_sec": 1800}
    (folder / "runpod_deploy_pull_manifest.json").write_text(json.dumps(manifest))
    out = call("estimate", "job.yaml")[1]
    assert "$0.25 in 30m 00s, the median of 1 run on this GPU" in out
    assert fake.cloud.asked


def test_estimate_without_a_candidate_ends_with_3(fake: Counter, call: Call, project: Path) -> None:
    """An unknown price fails a ceiling, and the reason is told."""
    text = (project / "job.yaml").read_text()
    (project / "job.yaml").write_text(
        text.replace("[NVIDIA L4]", "[NVIDIA X]\n  max_price_per_hour_usd: 3")
    )
    status, out, _ = call("estimate", "job.yaml")
    assert 3 == status
    assert "no SECURE price is known" in out
    assert fake.cloud.asked


def test_plan_asks_nobody_unless_told_to(fake: Counter, call: Call) -> None:
    """Offline is the default, and the plan says what it does not know."""
    for flags in ((), ("--offline",)):
        status, out, _ = call("plan", "job.yaml", *flags)
        assert 0 == status
        assert "prices and stock not looked up: --live asks for them" in out
    assert fake.opened == []


def test_a_live_plan_has_the_same_hash(fake: Counter, call: Call, project: Path) -> None:
    """Prices stand beside the plan: saved, read back, shown, and never hashed."""
    call("plan", "job.yaml", "-o", "offline.json")
    status, out, _ = call("plan", "job.yaml", "--live", "-o", "live.json")
    assert 0 == status
    assert in_order(out, "prices and stock: runpod, read just now", "Estimate", "first choice")
    offline = loads((project / "offline.json").read_bytes(), "offline.json")
    live = loads((project / "live.json").read_bytes(), "live.json")
    assert offline.plan_hash == live.plan_hash
    assert offline.observed.catalog is None
    assert live.observed.catalog is not None
    assert live.observed.catalog.candidates[0].price_per_hour_usd == 0.49
    assert "SECRET" not in (project / "live.json").read_text()
    assert "Estimate" in call("plan", "live.json")[1]
    assert 1 == len(fake.cloud.asked)


@pytest.mark.parametrize("flags", [("--refresh",), ("--cloud", "runpod")])
def test_flags_of_a_live_plan_need_it(fake: Counter, call: Call, flags: tuple[str, ...]) -> None:
    """A flag that would do nothing is refused rather than ignored."""
    status, _, err = call("plan", "job.yaml", *flags)
    assert 4 == status
    assert "--live" in err
    assert fake.opened == []


def test_a_saved_plan_is_not_asked_about(fake: Counter, call: Call) -> None:
    """A saved plan is shown as it is; what it would cost now is `estimate`'s to say."""
    call("plan", "job.yaml", "-o", "plan.json")
    status, _, err = call("plan", "plan.json", "--live")
    assert 4 == status
    assert "runpod-deploy estimate plan.json" in err
    assert 0 == call("estimate", "plan.json")[0]
    assert fake.cloud.asked


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unreachable("https://api.example could not be reached"), 1),
        (AccountError("the API does not accept the key"), 5),
        (RateLimited("429", status=429), 1),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("gpu-list",),
        ("gpu-prices",),
        ("gpu-inventory", "job.yaml"),
        ("estimate", "job.yaml"),
        ("plan", "job.yaml", "--live"),
    ],
)
def test_errors_are_told_as_what_they_are(
    fake: Counter, call: Call, error: Any, status: int, command: tuple[str, ...]
) -> None:
    """The status says whose fault it is, and nothing stale is shown in its place."""
    fake.cloud.offers = error
    ended, out, err = call(*command)
    assert (status, "") == (ended, out)
    assert str(error) in err


@pytest.mark.parametrize("command", [("gpu-list",), ("estimate", "job.yaml")])
def test_without_a_key_the_emulator_is_named(
    project: Path, call: Call, command: tuple[str, ...]
) -> None:
    """Whoever has no account learns how to go on without one."""
    assert project.exists()
    status, _, err = call(*command)
    assert 5 == status
    assert "--cloud emulator" in err


def test_a_network_volume_is_looked_up(fake: Counter, call: Call, project: Path) -> None:
    """The account's volumes are asked for when the job has one, and are not kept."""
    fake.cloud.known_volumes = [Volume(id="v", name="data", datacenter="EU-RO-1", size_gb=100)]
    text = (project / "job.yaml").read_text()
    storage = "storage: {mode: network_volume, volume_name: data}\nbudget:"
    (project / "job.yaml").write_text(text.replace("budget:", storage))
    status, out, err = call("estimate", "job.yaml")
    assert 0 == status, err
    assert "stock low" in out
    assert "$7.00 a month" in out
    assert "data" not in "".join(
        file.read_text() for file in (project / "cache").rglob("*.json")
    ).replace('"datacenter', "")
