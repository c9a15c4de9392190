"""Which lock file pins the project."""

import hashlib
from pathlib import Path

import pytest

from runpod_deploy.facts.lockfile import find_lockfile


def test_the_first_by_name_in_the_nearest_folder(tmp_path: Path) -> None:
    """The project root goes before the folders above it, and within one the order of names."""
    (tmp_path / "uv.lock").write_text("top")
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)

    above = find_lockfile(root, tmp_path)
    assert above is not None
    assert ("../../uv.lock", hashlib.sha256(b"top").hexdigest()) == (above.name, above.sha256)

    (root / "requirements.txt").write_text("r")
    (root / "pylock.cuda.toml").write_text("p")
    near = find_lockfile(root, tmp_path)
    assert near is not None
    assert "pylock.cuda.toml" == near.name


def test_nothing_above_the_repository_counts(tmp_path: Path) -> None:
    """Without a repository only the root itself is searched; folders are no lock files."""
    (tmp_path / "uv.lock").write_text("x")
    root = tmp_path / "repo"
    (root / "uv.lock").mkdir(parents=True)

    assert None is find_lockfile(root, None)
    assert None is find_lockfile(root, root)


def test_a_link_out_of_the_repository_is_no_lock_file(tmp_path: Path) -> None:
    """Nothing is told of what lies outside, not even a digest; a link inside counts as its file."""
    (tmp_path / "secret").write_text("x")
    root = tmp_path / "repo" / "job"
    root.mkdir(parents=True)
    (root / "uv.lock").symlink_to(tmp_path / "secret")
    assert None is find_lockfile(root, root.parent)

    (root.parent / "pinned").write_text("p")
    (root / "uv.lock").unlink()
    (root / "uv.lock").symlink_to("../pinned")
    found = find_lockfile(root, root.parent)
    assert found is not None
    assert ("uv.lock", hashlib.sha256(b"p").hexdigest()) == (found.name, found.sha256)


@pytest.mark.parametrize("name", ["poetry.lock", "pdm.lock", "pixi.lock", "conda-lock.yml"])
def test_defect_36_poetrys_lock_file_is_found(name: str, tmp_path: Path) -> None:
    """Lock files of other tools than pip and uv count as well."""
    (tmp_path / name).write_text("pinned")

    found = find_lockfile(tmp_path, None)

    assert found is not None
    assert (name, hashlib.sha256(b"pinned").hexdigest()) == (found.name, found.sha256)
