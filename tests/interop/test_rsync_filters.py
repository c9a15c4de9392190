"""Our reading of filter patterns against rsync's own, over generated trees."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.walk import walk

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync"),
]

NAMES = (
    "a",
    "b",
    "ab",
    "a.b",
    "foo",
    "bar",
    "x.py",
    "x.pyc",
    "a b",
    "é",
    "[x]",
    "a*",
    "-d",
    "a\\b",
)
PATTERNS = (
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
        "[[:digit:]a]",
        "[]a]",
        "[a",
    ),
    *("a/***", "/a/***", "foo***", "a/*/b", "a/?", "a/*", "foo/bar", "/foo/bar/", "*o/b*", "a b"),
    *(
        "\\[x\\]",
        "[[]x]",
        "a\\*",
        "a\\b",
        "a\\\\b",
        "é",
        "?é",
        "[é]",
        "a//",
        "//a",
        "/",
        "./a",
        "a/.",
    ),
    *("+ a", "- a", "+ */", "+ *.py", "- *", "+ /a/***", "+ foo/**", "- foo", "+ x.py", "!", "***"),
    *(
        "*/a",
        "/a?b",
        "/a[!x]b",
        "/*/a",
        "/**/a",
        "a/b/**",
        "**/a/**",
        "**/",
        "*/**",
        "[[:nope:]]",
        "[[:alpha]",
        "[a-",
    ),
)


def grow(root: Path, rng: random.Random, depth: int = 0) -> None:
    """Make a random tree below `root`."""
    for name in rng.sample(NAMES, rng.randint(2, 6)):
        if depth < 3 and rng.random() < 0.5:
            (root / name).mkdir()
            grow(root / name, rng, depth + 1)
        else:
            (root / name).write_bytes(b"")


def sent_by_rsync(source: Path, target: Path, patterns: list[str]) -> set[str]:
    """Return the files that rsync would send."""
    excludes = [f"--exclude={pattern}" for pattern in patterns]
    told = subprocess.run(
        ["rsync", "-rn", "--out-format=%n", "-8", *excludes, f"{source}/", f"{target}/"],
        check=True,
        capture_output=True,
    )
    names = [line.decode() for line in told.stdout.split(b"\n") if line]
    # rsync writes a backslash that could be taken for an escape as its octal number.
    plain = [name.replace("\\#134", "\\") for name in names]
    return {name for name in plain if not name.endswith("/")}


@pytest.mark.parametrize("part", range(30))
def test_the_same_files_travel_as_with_rsync(part: int, tmp_path: Path) -> None:
    """For three hundred random trees and lists of patterns, our walk finds what rsync would send."""
    target = tmp_path / "target"
    target.mkdir()
    for seed in range(10 * part, 10 * part + 10):
        rng = random.Random(seed)
        source = tmp_path / f"source{seed}"
        source.mkdir()
        grow(source, rng)
        patterns = rng.sample(PATTERNS, rng.randint(1, 5))
        ours = {found.path for found in walk(source, filter_rules(patterns), None).found}

        assert sent_by_rsync(source, target, patterns) == ours, (seed, patterns)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_alone(pattern: str, tmp_path: Path) -> None:
    """Each pattern by itself drops what rsync drops."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    for seed in range(2):
        folder = source / f"t{seed}"
        folder.mkdir()
        grow(folder, random.Random(seed))
    grow(source, random.Random(7), 1)
    ours = {found.path for found in walk(source, filter_rules([pattern]), None).found}

    assert sent_by_rsync(source, target, [pattern]) == ours
