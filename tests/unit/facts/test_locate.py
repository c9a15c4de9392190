"""Where the project of a saved plan is found again."""

from pathlib import Path

import pytest

from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.locate import find_project_root

JOB = "jobs/job.yaml"


def project(root: Path) -> Path:
    """Make a project at `root` and return it."""
    (root / "jobs").mkdir(parents=True)
    (root / JOB).write_text("")
    return root


def test_what_the_user_says_is_all_that_is_tried(tmp_path: Path) -> None:
    """`--project` is believed, and nothing else is tried when it is wrong."""
    root = project(tmp_path / "p")

    assert root == find_project_root(JOB, explicit=root, cwd=tmp_path, git_prefix=None)
    with pytest.raises(InvalidInput, match=r"jobs/job\.yaml"):
        find_project_root(JOB, explicit=tmp_path, cwd=root, git_prefix=None)


def test_a_folder_above_the_working_folder(tmp_path: Path) -> None:
    """From anywhere inside of the project it is found."""
    root = project(tmp_path / "p")
    (root / "a" / "b").mkdir(parents=True)

    assert root == find_project_root(JOB, explicit=None, cwd=root / "a" / "b", git_prefix=None)


def test_the_repository_and_the_recorded_place_in_it(tmp_path: Path) -> None:
    """The place in the repository that the plan was made in goes before the top level."""
    top = project(tmp_path / "repo")
    (top / ".git").mkdir()
    inner = project(top / "services" / "train")
    (top / "docs").mkdir()

    def found(prefix: str | None) -> Path:
        return find_project_root(JOB, explicit=None, cwd=top / "docs", git_prefix=prefix)

    assert inner == found("services/train")
    assert top == found("services/gone")
    assert top == found(None)


def test_not_found_names_both_ways(tmp_path: Path) -> None:
    """The message says what was looked for and how to say where it is."""
    with pytest.raises(InvalidInput, match=r"jobs/job\.yaml") as caught:
        find_project_root(JOB, explicit=None, cwd=tmp_path, git_prefix=None)

    assert "--project" in (caught.value.help or "")
