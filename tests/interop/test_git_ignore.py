"""Our reading of `.gitignore` against git's own, over generated trees."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.walk import walk

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]

NAMES = ("a", "b", "ab", "a.b", "foo", "bar", "x.py", "x.pyc", "a b", "é", "[x]", "#c", "!n", "e ")
LINES = (
    *("a", "/a", "a/", "/a/", "a/b", "/a/b", "a/b/", "*", "/*", "*/", "*/*", "**", "/**", "a/**"),
    *("/a/**", "**/a", "**/a/", "a/**/b", "/a/**/b", "**b", "a**", "*.py", "*.py?", "*.pyc", "?"),
    *(
        "??",
        "[ab]",
        "[!ab]",
        "[^a]*",
        "[a-c]*",
        "[z-a]",
        "[[:alpha:]]*",
        "[]a]",
        "[a",
        "a***",
        "***",
    ),
    *(
        "foo/bar",
        "foo/*",
        "*/bar",
        "!foo/bar",
        "!*/",
        "!*.py",
        "!a",
        "!/a",
        "!foo",
        "!x.pyc",
        "!**/b",
    ),
    *(
        "a b",
        "a\\ b",
        "e ",
        "e\\ ",
        "\\#c",
        "#c",
        "\\!n",
        "!n",
        "!!n",
        "",
        " ",
        "/",
        "//",
        "a//",
        "!",
    ),
    *(
        "é",
        "[é]",
        "\\[x\\]",
        "a\\b",
        "a\\",
        "**/",
        "*/**",
        "a/***/b",
        "a/***",
        "x.py\r",
        "foo/**/",
        "/**/b",
    ),
)


def grow(root: Path, rng: random.Random, depth: int = 0) -> None:
    """Make a random tree below `root`, with ignore files in some of its folders."""
    if depth == 0 or rng.random() < 0.3:
        lines = rng.sample(LINES, rng.randint(1, 5))
        (root / ".gitignore").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    for name in rng.sample(NAMES, rng.randint(2, 6)):
        if depth < 3 and rng.random() < 0.5:
            (root / name).mkdir()
            grow(root / name, rng, depth + 1)
        else:
            (root / name).write_bytes(b"")


def seen_by_git(repository: Path, under: str) -> set[str]:
    """Return the untracked files that git does not ignore."""
    told = subprocess.run(
        [
            "git",
            "-c",
            "core.excludesFile=",
            "ls-files",
            "-o",
            "--exclude-per-directory=.gitignore",
            "-z",
            "--",
            under,
        ],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    return {name for name in told.stdout.decode().split("\0") if name}


@pytest.mark.parametrize("seed", range(60))
def test_the_same_files_are_seen_as_by_git(seed: int, tmp_path: Path) -> None:
    """For random trees with nested ignore files, our walk finds what git lists."""
    rng = random.Random(seed)
    subprocess.run(["git", "init", "-q", tmp_path], check=True, capture_output=True)
    grow(tmp_path, rng)

    ours = {found.path for found in walk(tmp_path, filter_rules([".git"]), tmp_path).found}

    assert seen_by_git(tmp_path, ".") == ours


@pytest.mark.parametrize("seed", range(20))
def test_ignore_files_above_the_source_count(seed: int, tmp_path: Path) -> None:
    """A source deep in the repository is seen as git sees it, unless git ignores the source itself."""
    rng = random.Random(seed)
    subprocess.run(["git", "init", "-q", tmp_path], check=True, capture_output=True)
    source = tmp_path / "q" / "r"
    source.mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("q/r/a\n*.py\n!x.py\n/q/*/b/\n", encoding="utf-8")
    (tmp_path / "q" / ".gitignore").write_text("/r/foo\n!a\nx.pyc\n", encoding="utf-8")
    grow(source, rng)

    ours = {f"q/r/{found.path}" for found in walk(source, filter_rules([]), tmp_path).found}

    assert seen_by_git(tmp_path, "q/r") == ours
