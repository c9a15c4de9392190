"""The kept catalog: young answers stand in for a question, and nothing else ever does."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runpod_deploy.errors import Unreachable
from runpod_deploy.executor.catalog_cache import (
    FORGOTTEN_AFTER_SEC,
    LARGEST_BYTES,
    CatalogCache,
    Reading,
    cache_folder,
)
from runpod_deploy.executor.ports import GpuOffer, StockQuery
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from support.fakes import FakeClock, FakeCloud

URL = "https://api.example"
NOW = float(round(time.time()))  # the age of files is that of the system
L4 = GpuOffer(
    id="NVIDIA L4",
    name="L4",
    memory_gb=24,
    secure_price=0.49,
    community_price=None,
    stock={"SECURE": {"": "HIGH", "EU-RO-1": "LOW"}},
    max_count={"SECURE": 9},
)


class Desk:
    """A cache with a clock that is set and a cloud that counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.cloud = FakeCloud(FakeClock(), offers=[L4])

    def read(
        self, query: StockQuery | None = None, *, url: str = URL, max_age_sec: float = 60.0
    ) -> Reading:
        """Read the catalog of an address."""
        cache = CatalogCache(self.folder, url, lambda: self.now)
        question = query or StockQuery()
        return asyncio.run(cache.read(self.cloud, question, max_age_sec=max_age_sec))

    @property
    def asked(self) -> int:
        """How often the cloud was asked."""
        return len(self.cloud.asked)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A cache in a folder that is not there yet."""
    return Desk(tmp_path / "cache" / "catalog")


def test_a_young_answer_is_used_again(desk: Desk) -> None:
    """Within its time the cloud is not asked, and the reading says when it was."""
    assert desk.read() == Reading(offers=(L4,), read_at=NOW, kept=False)
    desk.now += 59
    assert desk.read() == Reading(offers=(L4,), read_at=NOW, kept=True)
    assert desk.asked == 1


def test_an_old_answer_is_asked_for_again(desk: Desk) -> None:
    """Once it is too old, the cloud is asked and the new answer is kept."""
    desk.read()
    desk.now += 60
    assert not desk.read().kept
    desk.now += 1
    assert desk.read().read_at == NOW + 60
    assert desk.asked == 2


def test_no_age_always_asks(desk: Desk) -> None:
    """`--refresh` is an age of 0, and what it brings is kept for the others."""
    desk.read()
    assert not desk.read(max_age_sec=0.0).kept
    assert desk.read().kept
    assert desk.asked == 2


def test_an_answer_from_the_future_is_not_used(desk: Desk) -> None:
    """A clock that went back does not make an answer young for ever."""
    desk.read()
    desk.now -= 3600
    assert not desk.read().kept


def test_an_emulator_never_speaks_for_runpod(desk: Desk) -> None:
    """Each address has answers of its own; a slash or `/v2` at its end is the same address."""
    desk.read()
    assert not desk.read(url="http://127.0.0.1:4242").kept
    assert not desk.read(url="http://127.0.0.1:4243").kept
    assert desk.read(url=f"{URL}/v2").kept
    assert desk.read(url=f"{URL}/").kept


def test_a_file_moved_to_another_address_is_not_believed(desk: Desk) -> None:
    """The content names the address too, so a copied file is as good as none."""
    desk.read()
    (ours,) = desk.folder.iterdir()
    content = ours.read_bytes()
    desk.read(url="http://127.0.0.1:4242")
    (other,) = set(desk.folder.iterdir()) - {ours}
    other.write_bytes(content)
    assert not desk.read(url="http://127.0.0.1:4242").kept


def test_every_question_has_its_own_answer(desk: Desk) -> None:
    """Count, clouds and CUDA floor change the stock, so they are part of the key."""
    desk.read()
    for query in (
        StockQuery(gpu_count=2),
        StockQuery(clouds=("SECURE",)),
        StockQuery(min_cuda="12.8"),
    ):
        assert not desk.read(query).kept
    assert desk.read().kept


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _without(key: str) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(
        {name: value for name, value in json.loads(content).items() if name != key}
    ).encode()


def _with(key: str, value: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps({**json.loads(content), key: value}).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _content: b"",
        lambda _content: b"null",
        lambda _content: b"\xff\xfe\x00",
        lambda _content: b"[" * 200_000,
        lambda content: content + b" " * LARGEST_BYTES,
        _cut,
        _without("offers"),
        _without("read_at"),
        _with("format", "runpod-deploy.catalog/2"),
        _with("surprise", 1),
        _with("read_at", float("nan")),
        _with("read_at", "now"),
        _with("offers", [{"id": 7}]),
        _with("offers", {}),
    ],
)
def test_a_spoilt_file_is_as_good_as_none(desk: Desk, spoil: Callable[[bytes], bytes]) -> None:
    """Whatever lies there, the cloud is asked and the file mended."""
    desk.read()
    (file,) = desk.folder.iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    assert not desk.read().kept
    assert desk.read().kept


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    """A file in the way costs the cache and not the command."""
    (tmp_path / "cache").write_text("in the way")
    desk = Desk(tmp_path / "cache" / "catalog")
    assert not desk.read().kept
    assert not desk.read().kept


def test_a_failed_question_does_not_bring_back_an_old_answer(desk: Desk) -> None:
    """Old stock told as new would be worse than an error."""
    desk.read()
    desk.now += 3600
    desk.cloud.offers = Unreachable("nobody")
    with pytest.raises(Unreachable):
        desk.read()


def test_neither_key_nor_account_is_kept(desk: Desk) -> None:
    """The file is for its owner alone, and holds nothing that is not public."""
    key = "rpa_VERYSECRET"
    cloud = RunPodCloud(URL, key)
    asyncio.run(cloud.close())
    desk.read()
    (file,) = desk.folder.iterdir()
    assert key.encode() not in file.read_bytes()
    assert set(json.loads(file.read_bytes())) == {
        "format",
        "api_url",
        "query",
        "read_at",
        "offers",
    }
    assert file.stat().st_mode & 0o777 == 0o600


def test_answers_that_nobody_asks_for_are_dropped(desk: Desk) -> None:
    """Each emulator has an address of its own; yesterday's files do not pile up."""
    desk.read()
    (old,) = desk.folder.iterdir()
    os.utime(old, (NOW - FORGOTTEN_AFTER_SEC - 1,) * 2)
    desk.read(url="http://127.0.0.1:4242")
    assert not old.exists()


def test_the_cache_lies_where_caches_lie() -> None:
    """`XDG_CACHE_HOME` says where, if it is absolute, else `~/.cache`."""
    assert cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/runpod-deploy/catalog")
    for environ in ({"HOME": "/h"}, {"HOME": "/h", "XDG_CACHE_HOME": "c"}):
        assert cache_folder(environ) == Path("/h/.cache/runpod-deploy/catalog")
