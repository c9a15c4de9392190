"""Which names and links may be used."""

import pytest

from runpod_deploy.executor.sync.names import link_leaves, unsafe


@pytest.mark.parametrize(
    "path",
    ["a", "a/b", "-rf", " ", "a\nb", "...", "..a", "a..", "~", "$(x)", "ünï", "\\", "a\x1b[0m"],
)
def test_any_name_inside_is_safe(path: str) -> None:
    """Odd names are names; only leaving the folder is not possible."""
    assert unsafe(path) is None


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a", "..", "../a", "a/..", "a/../b", "a//b", "a/", "./a", "a/./b", "a\0b", "\udcff"],
)
def test_a_name_that_leads_elsewhere_is_not(path: str) -> None:
    """Absolute, upward, empty and undecodable names are refused."""
    assert unsafe(path) is not None


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "b"),
        ("a", "b/c"),
        ("a", "./b"),
        ("a/b", "../c"),
        ("a/b/c", "../../d"),
        ("a", "."),
        ("a", "dangling"),
        ("a/b", "..//c/./d"),
    ],
)
def test_a_link_that_stays_inside_is_kept(path: str, target: str) -> None:
    """A relative target below the artifact is fine, there or not."""
    assert link_leaves(path, target) is None


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", ""),
        ("a", "/etc/passwd"),
        ("a", ".."),
        ("a", "../b"),
        ("a/b", "../../c"),
        ("a", "b/../.."),
        ("a", "b/../c"),
        ("a/b/c", "../x/../../../y"),
    ],
)
def test_a_link_that_could_leave_is_refused(path: str, target: str) -> None:
    """Going up after going down could go up from wherever another link leads."""
    assert link_leaves(path, target) is not None
