"""Payloads of trees that were planned before: used while nothing changed, and not once more."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runpod_deploy.compiler.payload_files import PayloadFiles, sums_of
from runpod_deploy.facts import digest_cache, known_tree
from runpod_deploy.facts import payload as payload_module
from runpod_deploy.facts.payload import Payload, find_payload
from runpod_deploy.facts.plan_job import plan_job
from runpod_deploy.facts.walk import Walk, walk
from runpod_deploy.schema.load import load

JOB = """\
schema_version: 3
name: small
pod: {image: "runpod/base:1.0.2-ubuntu2204", gpu_order: [NVIDIA L4]}
staging: [{label: code, source: src, destination: /root/src}]
run: {body: "true"}
"""
EXCLUDES = ("*.pyc", "secret/")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a source in a repository; an hour has passed since, and few files are enough."""
    real = digest_cache.now_ns
    monkeypatch.setattr(payload_module, "now_ns", lambda: real() + 3600 * 10**9)
    monkeypatch.setattr(known_tree, "_FEWEST_FILES", 1)
    source = tmp_path / "repo" / "src"
    for path in ("a.py", "b/c.txt", "b/d/e.txt", "x.pyc", "secret/key", "requirements.txt"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(path)
    (source / "b" / "up").symlink_to("../a.py")
    (source / "b" / ".gitignore").write_text("*.log\n.gitignore\n")
    (source / "b" / "run.log").write_text("")
    (source.parent / ".gitignore").write_text("*.tmp\n")
    (source / "x.tmp").write_text("")
    (source / "id_rsa").write_text("/home/somebody/keys")
    return source


def planned(
    source: Path, *, use_cache: bool = True, excludes: tuple[str, ...] = EXCLUDES
) -> Payload:
    """Return what would travel."""
    return find_payload(
        source,
        excludes,
        ignore_top=source.parent,
        gitignore=True,
        use_cache=use_cache,
        environ={"XDG_CACHE_HOME": str(source.parent.parent / "cache")},
        look=True,
    )


def kept(source: Path) -> list[Path]:
    """Return the files in which trees are kept."""
    return sorted((source.parent.parent / "cache" / "runpod-deploy" / "trees").glob("*"))


def next_tick(folder: Path) -> None:
    """Return when a change of a file gets another time than those before."""
    probe = folder.parent.parent / "probe"
    probe.write_text("")
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.write_text("")


def no_walk(*_: object, **__: object) -> None:
    """Stand for a walk that must not be done."""
    raise AssertionError("the tree was walked again")


def test_an_unchanged_tree_is_neither_walked_nor_read(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second plan has the same files, sums, warnings and requirements, from what is kept."""
    first = planned(tree)
    monkeypatch.setattr(payload_module, "walk", no_walk)
    monkeypatch.setattr(payload_module, "seal", no_walk)

    second = planned(tree)

    assert first == second
    assert sums_of(tuple(first.entries)) == second.entries.sums
    assert list(first.entries) == list(second.entries)
    assert ("requirements.txt",) == second.requirements
    assert ("id_rsa",) == second.entries.sums.secret_named
    assert ["id_rsa"] == [path for path, _ in second.flagged]


def _new_folder(source: Path) -> None:
    (source / "n").mkdir()
    (source / "n" / "f").write_text("")


def _same_size(source: Path) -> None:
    before = (source / "a.py").stat()
    (source / "a.py").write_text("b.py")
    os.utime(source / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced_by_link(source: Path) -> None:
    (source / "a.py").unlink()
    (source / "a.py").symlink_to("requirements.txt")


def _swapped(source: Path) -> None:
    (source / "b" / "c.txt").rename(source / "t")
    (source / "a.py").rename(source / "b" / "c.txt")
    (source / "t").rename(source / "a.py")


def _folder_for_file(source: Path) -> None:
    (source / "a.py").unlink()
    (source / "a.py").mkdir()
    (source / "a.py" / "f").write_text("")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte, size and mtime as before": _same_size,
    "the executable bit": lambda source: (source / "a.py").chmod(0o755),
    "a new file": lambda source: (source / "b" / "d" / "new").write_text(""),
    "a new folder": _new_folder,
    "a file less": lambda source: (source / "b" / "d" / "e.txt").unlink(),
    "another name": lambda source: (source / "a.py").rename(source / "A.py"),
    "two files swapped": _swapped,
    "a link for a file": _replaced_by_link,
    "a folder for a file": _folder_for_file,
    "an excluded file's name": lambda source: (source / "x.pyc").rename(source / "x.py"),
    "an ignore file that travels not": lambda source: (source / "b" / ".gitignore").write_text(
        ".gitignore\n"
    ),
    "the ignore file above": lambda source: (source.parent / ".gitignore").write_text(""),
    "an ignore file where none was": lambda source: (
        source / "b" / "d" / ".runpodignore"
    ).write_text("*.txt\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_seen(change: Callable[[Path], object], tree: Path) -> None:
    """After any change of what travels, the payload is that of a plan without a memory."""
    before = planned(tree)
    next_tick(tree)
    change(tree)

    after = planned(tree)

    assert before.entries != after.entries
    assert planned(tree, use_cache=False) == after
    assert after == planned(tree)


def test_other_patterns_are_another_payload(tree: Path) -> None:
    """What is kept for one choice of files is not taken for another."""
    planned(tree)

    assert planned(tree, use_cache=False, excludes=()) == planned(tree, excludes=())


def test_a_link_that_comes_to_leave_is_an_obstacle(tree: Path) -> None:
    """Where a link leads is asked each time: a folder that is not staged may decide it."""
    (tree / "secret" / "way").symlink_to("../b")
    (tree / "out").symlink_to("secret/way/c.txt")
    assert {} == planned(tree).obstacles
    (tree / "secret" / "way").unlink()
    (tree / "secret" / "way").symlink_to("../..")

    assert ["link-leaves-source"] == list(planned(tree).obstacles)


def test_a_young_file_keeps_the_tree_from_being_kept(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change in the same tick of the clock would not show, so nothing is remembered."""
    monkeypatch.setattr(payload_module, "now_ns", digest_cache.now_ns)

    planned(tree)

    assert [] == kept(tree)


def test_a_change_while_the_tree_is_read_keeps_it_from_being_kept(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the walk saw must be what was read."""

    def walk_then_change(*args: Any, **options: Any) -> Walk:
        walked = walk(*args, **options)
        next_tick(tree)
        (tree / "a.py").write_text("later")
        return walked

    monkeypatch.setattr(payload_module, "walk", walk_then_change)

    planned(tree)

    assert [] == kept(tree)


def test_a_damaged_memory_is_none(tree: Path) -> None:
    """A kept file that is cut, changed in one bit or of another kind is not believed."""
    first = planned(tree)
    (file,) = kept(tree)
    whole = file.read_bytes()
    for damaged in (
        b"",
        whole[:-1],
        whole[:200],
        whole.replace(b'"count": ', b'"count": 1', 1),
        whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:],
        b"runpod-deploy tree 0\n" + whole[21:],
    ):
        file.write_bytes(damaged)
        assert first == planned(tree)
        assert whole == file.read_bytes()


def test_apply_never_asks_the_memory(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the cache each file is read, whatever is kept."""
    planned(tree)
    monkeypatch.setattr(payload_module, "recall", no_walk)

    planned(tree, use_cache=False)


def test_a_tree_with_an_obstacle_is_not_kept(tree: Path) -> None:
    """What stands in the way is told each time."""
    os.mkfifo(tree / "pipe")
    planned(tree)

    assert [] == kept(tree)
    assert {"special-file": ("pipe",)} == planned(tree).obstacles


def test_a_plan_of_an_unchanged_tree_needs_no_list_of_its_files(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lint and the plan itself do with what is kept beside the list, which takes most of the time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tree.parent.parent / "cache"))
    job = tree.parent / "job.yaml"
    job.write_text(JOB)

    def plan() -> str:
        return plan_job(load(job), plan_id="0" * 32)[0].plan_hash

    first = plan()
    monkeypatch.setattr(PayloadFiles, "entries", property(no_walk))

    assert first == plan()


def test_what_was_not_written_for_a_month_is_forgotten(tree: Path) -> None:
    """Trees that nobody plans any more do not fill the disk; those of this month stay."""
    folder = tree.parent.parent / "cache" / "runpod-deploy" / "trees"
    folder.mkdir(parents=True)
    for name, days in (("gone.json", 31), ("recent.json", 29)):
        (folder / name).write_text("")
        then = digest_cache.now_ns() - days * 24 * 3600 * 10**9
        os.utime(folder / name, ns=(then, then))

    planned(tree)

    names = [file.name for file in kept(tree)]
    assert ("gone.json" in names, "recent.json" in names, len(names)) == (False, True, 2)
