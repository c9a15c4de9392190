"""What of a source travels."""

import os
import socket
from pathlib import Path

import pytest

from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.walk import Walk, walk


def grown(root: Path, *paths: str) -> Path:
    """Make empty files below `root` and return it."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def paths(walked: Walk) -> list[str]:
    """Return the paths that were found, in their order."""
    return [found.path for found in walked.found]


def test_odd_names_travel_sorted_by_their_bytes(tmp_path: Path) -> None:
    """Spaces, newlines, backslashes and characters outside of ASCII are names like any other."""
    names = ["Z", "a b", "a\nb", "a\\b", "é", "e\u0301", "\uffee", "\U0001f600", "-n", "a/b", "a.b"]
    grown(tmp_path, *[name for name in names if name != "a/b"], "a/b")

    found = paths(walk(tmp_path, filter_rules([]), None))

    assert sorted(names, key=lambda name: name.encode()) == found


def test_empty_folders_are_not_carried(tmp_path: Path) -> None:
    """A folder travels as far as there are files in it, as in git."""
    (tmp_path / "empty" / "deep").mkdir(parents=True)

    assert [] == walk(grown(tmp_path), filter_rules([]), None).found


def test_a_file_as_source(tmp_path: Path) -> None:
    """A source that is a file has the empty path, and no filter drops it."""
    grown(tmp_path, "x.log")

    assert [""] == paths(walk(tmp_path / "x.log", filter_rules(["*"]), tmp_path))


def test_links_that_stay_inside_travel_as_links(tmp_path: Path) -> None:
    """Links to files and folders are kept as written, also when they point to nothing yet."""
    grown(tmp_path, "d/file")
    (tmp_path / "link").symlink_to("d/./file")
    (tmp_path / "d" / "up").symlink_to("../d")
    (tmp_path / "nothing").symlink_to("later")

    walked = walk(tmp_path, filter_rules([]), None)

    assert {"d/file": None, "d/up": "../d", "link": "d/./file", "nothing": "later"} == {
        found.path: found.target for found in walked.found
    }
    assert {} == walked.obstacles


def test_links_that_leave_are_named(tmp_path: Path) -> None:
    """A link that would lead elsewhere on the pod is an obstacle, absolute ones too."""
    source = grown(tmp_path / "source", "a/b/c/file", "x")
    (source / "out").symlink_to("../y")
    (source / "abs").symlink_to(source / "x")
    (source / "jump").symlink_to("a/b/c")
    (source / "sly").symlink_to("jump/../../../../x")
    (source / "back").symlink_to("../source/x")

    walked = walk(source, filter_rules([]), None)

    assert {"out", "abs", "sly", "back"} == {
        shown.partition(" → ")[0] for shown in walked.obstacles["link-leaves-source"]
    }


def test_an_excluded_obstacle_is_none(tmp_path: Path) -> None:
    """What is excluded need not be able to travel."""
    (tmp_path / "out").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")

    assert {} == walk(tmp_path, filter_rules(["out", "pipe"]), None).obstacles


def test_pipes_and_sockets_are_obstacles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only files and links travel."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        walked = walk(tmp_path, filter_rules([]), None)

    assert ["pipe", "sock"] == sorted(walked.obstacles["special-file"])


def test_names_that_are_not_utf8_are_obstacles(tmp_path: Path) -> None:
    """A plan is UTF-8 text; the name is shown with its bytes."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_bytes(b"")

    assert ["caf\\xe9"] == walk(tmp_path, filter_rules([]), None).obstacles["name-not-utf8"]


def test_ignore_files_of_all_levels(tmp_path: Path) -> None:
    """Files above and below the source count, the deeper ones more."""
    grown(tmp_path, "src/a.log", "src/keep.log", "src/deep/b.log", "src/deep/c.log", "src/x.py")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "src" / ".gitignore").write_text("!keep.log\n")
    (tmp_path / "src" / "deep" / ".gitignore").write_text("!/c.log\n")

    found = paths(walk(tmp_path / "src", filter_rules([]), tmp_path))

    assert [".gitignore", "deep/.gitignore", "deep/c.log", "keep.log", "x.py"] == found


def test_a_named_source_is_never_dropped(tmp_path: Path) -> None:
    """The source and the folders above it may be ignored: the job named it."""
    grown(tmp_path, "build/out/a")
    (tmp_path / ".gitignore").write_text("build/\nout\n")

    assert ["a"] == paths(walk(tmp_path / "build" / "out", filter_rules([]), tmp_path))


def test_ignore_files_can_be_left_out(tmp_path: Path) -> None:
    """Without a topmost folder no ignore file counts."""
    grown(tmp_path, "a.log")
    (tmp_path / ".gitignore").write_text("*.log\n")

    assert [".gitignore", "a.log"] == paths(walk(tmp_path, filter_rules([]), None))


def test_runpodignore_goes_before_every_gitignore(tmp_path: Path) -> None:
    """What `.runpodignore` says holds against deeper `.gitignore` files, both ways."""
    grown(tmp_path, "data/a", "notes/b", "x.py")
    (tmp_path / ".gitignore").write_text("data/\n")
    (tmp_path / "data" / ".gitignore").write_text("*\n")
    (tmp_path / "notes" / ".gitignore").write_text("!b\n")
    (tmp_path / ".runpodignore").write_text("!data/\n!data/**\n/notes/b\n")

    found = paths(walk(tmp_path, filter_rules([]), tmp_path))

    assert ["data/.gitignore", "data/a", "notes/.gitignore", "x.py"] == [
        path for path in found if path not in (".gitignore", ".runpodignore")
    ]


def test_runpodignore_counts_without_gitignore(tmp_path: Path) -> None:
    """A staging that does not follow `.gitignore` still follows `.runpodignore`, also from above."""
    grown(tmp_path, "src/a.log", "src/b.ckpt")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / ".runpodignore").write_text("*.ckpt\n")

    found = paths(walk(tmp_path / "src", filter_rules([]), tmp_path, gitignore=False))

    assert ["a.log"] == found


def test_an_include_goes_before_ignore_files(tmp_path: Path) -> None:
    """`+ data/` in the job takes in what `.gitignore` leaves out."""
    grown(tmp_path, "data/a")
    (tmp_path / ".gitignore").write_text("data/\n")

    found = paths(walk(tmp_path, filter_rules(["+ data/"]), tmp_path))

    assert [".gitignore", "data/a"] == found
