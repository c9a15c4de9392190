"""Naming a run: by path, id, folder or `last`."""

from pathlib import Path

import pytest

from forensic_cases import OURS, line, make_run
from runpod_deploy.errors import InvalidInput
from runpod_deploy.forensics.find import find_run


def test_a_run_is_found_by_each_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folder, manifest, folder's name, its beginning, run id and `last` all lead there."""
    make_run(tmp_path, "20260101T000000Z", {"run_id": "other"})
    folder = make_run(tmp_path, "20260601T000000Z", OURS)
    monkeypatch.chdir(tmp_path)
    manifest = str(folder / "runpod_deploy_pull_manifest.json")
    for wanted in (str(folder), manifest, folder.name, "202606", "new-20260601T000000Z", "last"):
        assert find_run(wanted, tmp_path).resolve() == folder


def test_the_project_is_looked_for_upwards(tmp_path: Path) -> None:
    """A folder below the project's root is enough."""
    folder = make_run(tmp_path, "20260601T000000Z", OURS)
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)

    assert find_run("last", below).name == folder.name


def test_a_run_without_manifest_has_its_id_from_its_events(tmp_path: Path) -> None:
    """A run that was killed can be named by its id."""
    folder = make_run(tmp_path, "20260601T000000Z", None, [line("run_started", run_id="k-1")])

    assert find_run("k-1", tmp_path) == folder


def test_an_id_of_two_runs_is_refused_with_both(tmp_path: Path) -> None:
    """Which one is meant is for the person to say."""
    make_run(tmp_path, "20260601T000000Z", OURS)
    make_run(tmp_path, "20260601T000000Z-2", OURS)

    with pytest.raises(InvalidInput, match="fits 2 runs") as caught:
        find_run("new-20260601T000000Z", tmp_path)
    assert "20260601T000000Z-2" in (caught.value.help or "")


@pytest.mark.parametrize("wanted", ["last", "nope"])
def test_without_runs_the_message_says_where_they_lie(tmp_path: Path, wanted: str) -> None:
    """An empty project is named, and where runs would be."""
    with pytest.raises(InvalidInput, match="no run at or above"):
        find_run(wanted, tmp_path)


def test_an_unknown_name_is_answered_with_the_newest_runs(tmp_path: Path) -> None:
    """There is something to copy from."""
    make_run(tmp_path, "20260601T000000Z", OURS)

    with pytest.raises(InvalidInput, match="no run `nope`") as caught:
        find_run("nope", tmp_path)
    assert "20260601T000000Z" in (caught.value.help or "")
