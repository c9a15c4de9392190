"""Finding run folders and reading them, whatever state they were left in."""

import os
from pathlib import Path

import pytest

from record_cases import open_journal
from runpod_deploy.forensics import iter_events, load_events, load_manifest, walk_run_dirs

RUNS = Path("artifacts/runpod")


def make(root: Path, *names: str) -> list[Path]:
    """Make run folders in a project, in the given order."""
    folders = [root / RUNS / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def test_runs_come_oldest_first(tmp_path: Path) -> None:
    """The age is in the name; suffixes count as numbers; when a folder changed does not matter."""
    expected = make(
        tmp_path,
        "20251231T235959Z",
        "20260301T120000Z",
        "20260301T120000Z-2",
        "20260301T120000Z-10",
        "20260301T120001Z-seed=1",
    )
    os.utime(expected[0], (2_000_000_000, 2_000_000_000))

    assert expected == walk_run_dirs(tmp_path)
    assert expected == walk_run_dirs(tmp_path / RUNS)


def test_one_run_folder_is_itself(tmp_path: Path) -> None:
    """A run folder is found by its name, empty though it may be."""
    (folder,) = make(tmp_path, "20260301T120000Z")

    assert walk_run_dirs(folder) == [folder]


@pytest.mark.parametrize("held", ["events.jsonl", "runpod_deploy_pull_manifest.json"])
def test_a_renamed_run_is_still_a_run(tmp_path: Path, held: str) -> None:
    """What holds a journal or a manifest is a run under any name, as old as its last change."""
    (old, kept, new) = make(tmp_path, "20200101T000000Z", "the-good-one", "20300101T000000Z")
    (kept / held).touch()
    os.utime(kept, (1_700_000_000, 1_700_000_000))

    assert walk_run_dirs(tmp_path) == [old, kept, new]
    assert walk_run_dirs(kept) == [kept]


def test_what_is_no_run_is_passed_over(tmp_path: Path) -> None:
    """Hidden folders, files, other folders and links to a run beside them do not count."""
    (run,) = make(tmp_path, "20260301T120000Z")
    make(tmp_path, ".claims", "notes")
    (tmp_path / RUNS / "20260301T120001Z").touch()
    (tmp_path / RUNS / "latest").symlink_to(run.name)
    (run / "events.jsonl").touch()

    assert walk_run_dirs(tmp_path) == [run]


def test_a_run_moved_elsewhere_and_linked_counts(tmp_path: Path) -> None:
    """A link to a run that lies outside the runs folder is a run."""
    make(tmp_path / "archive", "20260301T120000Z")
    make(tmp_path / "project", "20260302T120000Z")
    link = tmp_path / "project" / RUNS / "20260301T120000Z"
    link.symlink_to(tmp_path / "archive" / RUNS / "20260301T120000Z")

    assert [one.name for one in walk_run_dirs(tmp_path / "project")] == [
        "20260301T120000Z",
        "20260302T120000Z",
    ]


def test_no_runs_are_none(tmp_path: Path) -> None:
    """A missing folder, a file and a project that never ran have no runs."""
    (tmp_path / "file").touch()

    assert walk_run_dirs(tmp_path) == []
    assert walk_run_dirs(tmp_path / "missing") == []
    assert walk_run_dirs(tmp_path / "file") == []


def test_events_are_read_from_a_folder_or_a_file(tmp_path: Path) -> None:
    """Both name the same journal, also while its writer is alive."""
    journal = open_journal(tmp_path)
    journal.write("signal_received", signal="SIGINT")
    journal.write("warning", code="a", message="b")

    assert journal.events == load_events(tmp_path) == load_events(journal.path)


def test_events_are_read_one_by_one(tmp_path: Path) -> None:
    """The first event is had before the rest of the file was looked at."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"a"}\n')
    events = iter_events(tmp_path)
    first = next(events)
    with path.open("ab") as stream:
        stream.write(b'torn\n{"event":"b"}\n')

    assert [first.event, *(one.event for one in events)] == ["a", "b"]


def test_a_run_without_journal_has_no_events(tmp_path: Path) -> None:
    """Neither an empty folder nor a missing one is an error."""
    assert load_events(tmp_path) == []
    assert load_events(tmp_path / "missing") == []


def test_a_manifest_of_any_version_is_a_mapping(tmp_path: Path) -> None:
    """The predecessor's file is read from its folder."""
    (tmp_path / "runpod_deploy_pull_manifest.json").write_text('{"schema_version": "v2"}')
    manifest = load_manifest(tmp_path)

    assert manifest is not None
    assert dict(manifest) == {"schema_version": "v2"}
