"""Filter patterns as rsync reads them; the whole of it is held against rsync in the interop tests."""

import re

import pytest

from runpod_deploy.facts.filters import HYGIENE, filter_rules
from runpod_deploy.facts.wildmatch import git_regex


def dropped(patterns: list[str], path: str) -> bool | None:
    """Return what the patterns say about `path`; one that ends with `/` is a folder."""
    raw = path.encode()
    raw = raw.removesuffix(b"/") + b"\0" if raw.endswith(b"/") else raw
    return filter_rules(patterns).drops(b"/" + raw, raw.rpartition(b"/")[2])


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a", "x/a", True),
        ("a", "x/a/", True),
        ("/a", "x/a", None),
        ("/a", "a", True),
        ("a/", "a", None),
        ("a/", "x/a/", True),
        ("a/b", "x/a/b", True),
        ("/a/b", "x/a/b", None),
        ("*.pyc", "x/y.pyc", True),
        ("a/*", "a/b/c", None),
        ("a/**", "a/b/c", True),
        ("a/**", "a/", None),
        ("a/***", "a/", True),
        ("a/**/b", "a/b", None),
        ("?", "é", None),
        ("[!b-d]", "c", None),
        ("[!b-d]", "e", True),
        ("a\\b", "a\\b", True),
        ("\\[*", "[x", True),
        ("- a", "a", True),
        ("+ a", "a", False),
    ],
)
def test_patterns(pattern: str, path: str, expected: bool | None) -> None:
    """Anchors, folders, stars, sets and prefixes mean what they mean to rsync."""
    assert expected is dropped([pattern], path)


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 30 + "b", "?*" * 60 + "b", "[a]*" * 30 + "b", "**a*" * 10 + "b", "/**/a" * 30],
)
def test_a_pattern_full_of_stars_takes_no_time(pattern: str) -> None:
    """Every star is tried in one way only; with all ways, one such pattern would take for ever."""
    rules = filter_rules((pattern,))
    regex = re.compile(git_regex(pattern.encode()), re.DOTALL)

    assert rules.drops(b"/" + b"a" * 250, b"a" * 250) is None
    assert regex.fullmatch(b"a" * 250) is None
    assert regex.fullmatch(b"a/" * 120 + b"c") is None


def test_the_first_match_wins() -> None:
    """An include in front of an exclude takes back in."""
    assert False is dropped(["+ keep.pyc", "*.pyc"], "keep.pyc")
    assert True is dropped(["*.pyc", "+ keep.pyc"], "keep.pyc")


def test_a_lone_mark_forgets_what_came_before() -> None:
    """`!` clears the list."""
    assert None is dropped(["a", "!", "b"], "a")


def test_the_preset_drops_what_no_job_needs() -> None:
    """Repositories, environments and caches stay here, wherever they lie."""
    for path in ("x/.git/", ".git", "a/.venv/", "__pycache__/", "m.pyc", ".mypy_cache/"):
        assert True is dropped(list(HYGIENE), path)
    assert None is dropped(list(HYGIENE), ".gitignore")
