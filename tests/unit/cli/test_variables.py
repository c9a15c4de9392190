"""Variables from the command line and from a file."""

from pathlib import Path

import pytest

from runpod_deploy.cli.variables import read_variables
from runpod_deploy.errors import InvalidInput


def test_values_may_hold_anything_behind_the_first_equals_sign() -> None:
    """Nothing is trimmed, split or converted."""
    assert {"a": "b=c d ", "e": ""} == read_variables(["a=b=c d ", "e="], None)


@pytest.mark.parametrize("pair", ["seed", "=7", " =7"])
def test_a_pair_needs_a_name_and_a_value(pair: str) -> None:
    """A slip is named with the form that was expected."""
    with pytest.raises(InvalidInput, match="expected NAME=VALUE"):
        read_variables([pair], None)


@pytest.mark.parametrize(
    "text", ["seed: 007\nrate: 1e-3\nflag: no\n", '{"seed": "007", "rate": "1e-3", "flag": "no"}']
)
def test_a_file_gives_values_as_they_are_written(tmp_path: Path, text: str) -> None:
    """YAML and JSON read alike, and a number keeps its zeros."""
    (tmp_path / "vars").write_text(text)
    expected = {"seed": "007", "rate": "1e-3", "flag": "no"}
    assert expected == read_variables([], tmp_path / "vars")


@pytest.mark.parametrize("text", ["- a\n", "a: [1, 2]\n", "a: 1\na: 2\n", "a: {b: 1}\n", "a: 'x\n"])
def test_what_is_no_mapping_of_values_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    """Lists, nested values, keys twice and broken YAML carry a position."""
    (tmp_path / "vars.yaml").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_variables([], tmp_path / "vars.yaml")
    assert caught.value.diagnostics[0].where is not None


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """The file is named as it was given."""
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_variables([], tmp_path / "none.yaml")
