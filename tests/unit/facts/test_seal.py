"""Digests of files, and the memory of them."""

import hashlib
import os
from pathlib import Path

import pytest

from runpod_deploy.facts import digest, digest_cache
from runpod_deploy.facts.digest_cache import MAGIC, Key, Known, cache_file, read_cache, write_cache
from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.scan import LOOKED_AT, SECRET, USER_PATH
from runpod_deploy.facts.seal import Sealed, seal
from runpod_deploy.facts.walk import walk

OLD_NS = 10**18
KEY: Key = (1, 2, 3, OLD_NS, OLD_NS)


def sealed(source: Path, cache: Path, *, use_cache: bool = True) -> dict[str, str]:
    """Return path to digest of everything below `source`."""
    found = walk(source, filter_rules([]), None).found
    files = seal(source, found, use_cache=use_cache, environ={"XDG_CACHE_HOME": str(cache)})
    assert () == files.unread
    return {entry.path: entry.sha256 for entry in files.entries}


def aged(root: Path, count: int) -> Path:
    """Make `count` files that were last changed long ago."""
    root.mkdir()
    for number in range(count):
        (root / f"{number:03}").write_text(str(number))
        os.utime(root / f"{number:03}", ns=(OLD_NS, OLD_NS))
    return root


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour have passed since the files were made: their ctime cannot be set."""
    real = digest_cache.now_ns
    monkeypatch.setattr("runpod_deploy.facts.seal.now_ns", lambda: real() + 3600 * 10**9)


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20 + 7])
def test_digests_are_sha256(size: int, tmp_path: Path) -> None:
    """Files of every size around the size of one read have their digest."""
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)

    expected = {"f": hashlib.sha256(content).hexdigest()}
    assert expected == sealed(tmp_path, tmp_path.parent / "cache", use_cache=False)


def test_threads_give_the_same_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the work is cut up, each file has its own digest."""
    source = aged(tmp_path / "s", 50)
    alone = sealed(source, tmp_path, use_cache=False)
    monkeypatch.setattr(digest, "_THREADS_FROM_MEAN_BYTES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)

    assert alone == sealed(source, tmp_path, use_cache=False)


def test_entries_tell_links_and_the_executable_bit(tmp_path: Path) -> None:
    """The bit is the owner's, and links are digested by their target."""
    (tmp_path / "x").write_text("#!")
    (tmp_path / "x").chmod(0o744)
    (tmp_path / "y").write_text("")
    (tmp_path / "y").chmod(0o677)
    (tmp_path / "z").symlink_to("x")
    found = walk(tmp_path, filter_rules([]), None).found

    entries = seal(tmp_path, found, use_cache=False, environ={}).entries

    assert [True, False, False] == [entry.exec for entry in entries]
    assert (1, hashlib.sha256(b"x").hexdigest()) == (entries[2].size, entries[2].sha256)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """A file that is gone when it should be read is told, not left out silently."""
    (tmp_path / "a").write_text("a")
    found = walk(tmp_path, filter_rules([]), None).found
    (tmp_path / "a").unlink()

    expected = Sealed(entries=(), unread=("a",), steady=False)
    assert expected == seal(tmp_path, found, use_cache=False, environ={})


def test_a_file_that_changed_after_the_walk_is_read_as_it_is(tmp_path: Path) -> None:
    """Size and digest are of the same content."""
    (tmp_path / "a").write_text("a")
    found = walk(tmp_path, filter_rules([]), None).found
    (tmp_path / "a").write_text("longer")

    (entry,) = seal(tmp_path, found, use_cache=False, environ={}).entries

    assert (6, hashlib.sha256(b"longer").hexdigest()) == (entry.size, entry.sha256)


@pytest.mark.usefixtures("later")
def test_known_digests_are_not_read_again(tmp_path: Path) -> None:
    """A second look at an unchanged tree takes the digests from the cache."""
    source = aged(tmp_path / "s", 200)
    first = sealed(source, tmp_path)
    file = cache_file(str(source), {"XDG_CACHE_HOME": str(tmp_path)})
    forged = dict.fromkeys(read_cache(file), (b"\x01" * 32, 0))
    write_cache(file, forged.items(), 2**62)

    assert {"01" * 32} == set(sealed(source, tmp_path).values())
    assert first == sealed(source, tmp_path, use_cache=False)


@pytest.mark.usefixtures("later")
def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """One byte, at the same size and mtime, is seen: the ctime cannot be set back."""
    source = aged(tmp_path / "s", 200)
    before = sealed(source, tmp_path)
    (source / "007").write_text("8")
    os.utime(source / "007", ns=(OLD_NS, OLD_NS))

    after = sealed(source, tmp_path)

    assert {"007"} == {path for path in before if before[path] != after[path]}


def test_young_files_get_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in the same tick of the clock as the reading would not show."""
    began = digest_cache.now_ns()
    monkeypatch.setattr("runpod_deploy.facts.seal.now_ns", lambda: began)
    source = aged(tmp_path / "s", 200)
    sealed(source, tmp_path)

    assert {} == read_cache(cache_file(str(source), {"XDG_CACHE_HOME": str(tmp_path)}))


@pytest.mark.usefixtures("later")
def test_small_trees_have_no_cache(tmp_path: Path) -> None:
    """What is read faster than a cache leaves nothing behind."""
    sealed(aged(tmp_path / "s", 3), tmp_path / "cache")

    assert not (tmp_path / "cache").exists()


def test_cache_round_trip(tmp_path: Path) -> None:
    """What is written is read; also negative and far time stamps."""
    records: dict[Key, Known] = {
        KEY: (b"a" * 32, 0),
        (2**64 - 1, 0, 0, -1, 2): (b"b" * 32, LOOKED_AT | SECRET),
    }
    write_cache(tmp_path / "deep" / "c", records.items(), 2**62)

    assert records == read_cache(tmp_path / "deep" / "c")
    assert ["c"] == [file.name for file in (tmp_path / "deep").iterdir()]


@pytest.mark.parametrize("damage", ["", "short", "flip", "magic", "append", "folder"])
def test_a_damaged_cache_is_no_cache(damage: str, tmp_path: Path) -> None:
    """Whatever is wrong with the file, nothing in it is believed."""
    file = tmp_path / "c"
    write_cache(file, [(KEY, (b"a" * 32, 0))], 2**62)
    content = file.read_bytes()
    damaged = {
        "": b"",
        "short": content[:-1],
        "flip": content[: len(MAGIC)] + b"\xff" + content[len(MAGIC) + 1 :],
        "magic": b"X" + content[1:],
        "append": content + b"x" * 73,
    }
    file.unlink()
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(damaged[damage])

    assert {} == read_cache(file)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    """Planning does not fail for want of a cache."""
    (tmp_path / "file").write_text("")

    write_cache(tmp_path / "file" / "c", [(KEY, (b"a" * 32, 0))], 2**62)
    write_cache(tmp_path / "c", [((2**64, 0, 0, 0, 0), (b"", 0))], 2**62)

    assert ["file"] == [file.name for file in tmp_path.iterdir()]


def test_where_the_cache_lies() -> None:
    """A relative XDG_CACHE_HOME is ignored, as the specification says."""
    absolute = cache_file("/a", {"XDG_CACHE_HOME": "/c"})

    assert absolute.is_relative_to("/c/runpod-deploy/digests")
    assert cache_file("/b", {"XDG_CACHE_HOME": "/c"}) != absolute
    assert cache_file("/a", {"XDG_CACHE_HOME": "c"}).is_relative_to(Path.home() / ".cache")


TOKEN = "ghp_" + "a" * 36


def flagged(source: Path, cache: Path) -> dict[str, int]:
    """Return what is seen in the files of `source` that is worth a warning."""
    found = walk(source, filter_rules([]), None).found
    environ = {"XDG_CACHE_HOME": str(cache)}
    return dict(seal(source, found, use_cache=True, environ=environ, look=True).flagged)


def test_files_are_looked_into_while_they_are_read(tmp_path: Path) -> None:
    """Keys and home folders are seen in text files; binary ones and plain code are not flagged."""
    (tmp_path / "a.py").write_text(f"x = '{TOKEN}'")
    (tmp_path / "b.py").write_text("open('/Users/jo/data.csv')")
    (tmp_path / "c.bin").write_bytes(b"\0" + TOKEN.encode())
    (tmp_path / "d.py").write_text("see https://example.org/home/jo/ and /homework/x")

    seen = flagged(tmp_path, tmp_path)

    assert {"a.py": LOOKED_AT | SECRET, "b.py": LOOKED_AT | USER_PATH} == seen


@pytest.mark.usefixtures("later")
def test_what_was_seen_is_remembered(tmp_path: Path) -> None:
    """A second look at an unchanged tree warns of the same; a cache without a look is filled."""
    source = aged(tmp_path / "s", 200)
    (source / "007").write_text(TOKEN)
    os.utime(source / "007", ns=(OLD_NS, OLD_NS))
    sealed(source, tmp_path)

    assert {"007": LOOKED_AT | SECRET} == flagged(source, tmp_path) == flagged(source, tmp_path)
    assert 200 == len(sealed(source, tmp_path))
    assert {"007": LOOKED_AT | SECRET} == flagged(source, tmp_path)
