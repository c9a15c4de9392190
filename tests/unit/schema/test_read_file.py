"""A job file that cannot be read is told about, with the file that was probably meant."""

from pathlib import Path

import pytest

from runpod_deploy.errors import Diagnostic, InvalidInput
from runpod_deploy.schema.load import load


def refusal(path: Path | str) -> Diagnostic:
    """Return the one thing that is wrong with a path."""
    with pytest.raises(InvalidInput) as refused:
        load(path)
    (one,) = refused.value.diagnostics
    return one


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    """A misspelt name is answered with the job file beside it."""
    (tmp_path / "train.yaml").touch()
    (tmp_path / "trains.txt").touch()

    one = refusal(tmp_path / "trian.yaml")

    assert ("missing-file", str(tmp_path / "train.yaml")) == (one.code, one.suggestion)


def test_a_missing_folder_is_no_other_error(tmp_path: Path) -> None:
    """A path through a folder that is not there is a missing file without a near miss."""
    one = refusal(tmp_path / "nowhere" / "job.yaml")

    assert ("missing-file", None) == (one.code, one.suggestion)
    assert one.help is not None
    assert "runpod-deploy init" in one.help


def test_a_folder_names_its_only_job_file(tmp_path: Path) -> None:
    """A folder is no job file; the only one in it is suggested, of two none is."""
    (tmp_path / "a.yml").touch()
    assert f"{tmp_path}/a.yml" == refusal(tmp_path).suggestion

    (tmp_path / "b.yaml").touch()
    assert ("not-a-file", None) == (refusal(tmp_path).code, refusal(tmp_path).suggestion)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    """A name that the system refuses is a diagnostic as well."""
    assert "unreadable-file" == refusal(f"{tmp_path}/{name}").code


def test_a_file_as_a_folder(tmp_path: Path) -> None:
    """A path through a file is told in the system's words."""
    (tmp_path / "file").touch()

    one = refusal(tmp_path / "file" / "job.yaml")

    assert "unreadable-file" == one.code
    assert "Not a directory" in one.detail
