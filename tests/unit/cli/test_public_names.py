"""What `import runpod_deploy` offers."""

import ast
from pathlib import Path

import pytest

import runpod_deploy


def test_every_public_name_is_there() -> None:
    """The lazy table and `__all__` name the same things, and each can be had."""
    assert set(runpod_deploy.__all__) == set(runpod_deploy._HOMES)
    assert sorted(runpod_deploy.__all__) == runpod_deploy.__all__
    for name in runpod_deploy.__all__:
        assert name == getattr(runpod_deploy, name).__name__


def test_types_and_runtime_agree() -> None:
    """What type checkers are told is what is loaded."""
    tree = ast.parse(Path(runpod_deploy.__file__).read_text())
    told = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module and node.module.startswith("runpod_deploy.")
    }
    assert runpod_deploy._HOMES == told


def test_other_names_are_not_there() -> None:
    """A name that is not public raises as for any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        runpod_deploy.nothing  # noqa: B018 - the access is the test


def test_dir_lists_the_public_names() -> None:
    """Completion in a shell finds the six names before they are loaded."""
    assert set(runpod_deploy.__all__) <= set(dir(runpod_deploy))
