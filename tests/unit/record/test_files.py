"""Files that are whole or not there, and folders that belong to one run."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from record_cases import NOON
from runpod_deploy.errors import InvalidInput
from runpod_deploy.record.atomic import dump_json, sync_folder, write_atomic
from runpod_deploy.record.run_folder import PlanUse, claim_plan, claim_run_folder, note_plan_use


def fail(*_: object) -> int:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new content is there with its permissions, and nothing beside it."""
    path = tmp_path / "m.json"
    path.write_bytes(b"old")

    write_atomic(path, b"new", mode=0o600)

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """When writing or syncing fails, the old content stays and no part of the new is left."""
    path = tmp_path / "m.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, fail)

    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")

    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["m.json"]


def test_the_content_is_on_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after the rename can show no empty file: content, rename, folder, in that order."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(fd: int) -> None:
        steps.append("sync")
        sync(fd)

    def renamed(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomic(tmp_path / "m.json", b"new")

    assert steps == ["sync", "rename", "sync"]


@pytest.mark.parametrize(("problem", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synced_is_told_from_a_broken_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: int, *, raises: bool
) -> None:
    """File systems without the notion are passed over; a disk's failure is raised."""

    def refuse(_: int) -> None:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "fsync", refuse)
    try:
        sync_folder(tmp_path)
        raised = False
    except OSError:
        raised = True

    assert raises == raised


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What a link points to is not written."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)

    write_atomic(link, b"new")

    assert (target.read_bytes(), link.read_bytes()) == (b"old", b"new")


def test_names_that_are_not_text_can_be_dumped() -> None:
    """A lone surrogate becomes a JSON escape, so that a manifest can always be written."""
    assert json.loads(dump_json({"path": "\udcff\u00e9"})) == {"path": "\udcff\u00e9"}
    assert dump_json({"a": "\u00e9"}) == b'{\n  "a": "\xc3\xa9"\n}\n'


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    """NaN and infinity are an error, not a file that others cannot read."""
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_json([number])


def test_twenty_runs_of_one_second_have_twenty_folders(tmp_path: Path) -> None:
    """Runs that start at the same time never share a folder."""
    with ThreadPoolExecutor(20) as pool:
        claimed = list(pool.map(lambda _: claim_run_folder(tmp_path, NOON), range(20)))

    assert len({folder.path for folder in claimed}) == 20
    assert {folder.stamp for folder in claimed} == {"20260301T120000Z"} | {
        f"20260301T120000Z-{number}" for number in range(2, 21)
    }
    assert all(folder.path.is_dir() and folder.path.is_absolute() for folder in claimed)


def test_a_shard_is_part_of_the_name(tmp_path: Path) -> None:
    """Shards of one second are told apart, and cannot leave the runs folder."""
    names = [
        claim_run_folder(tmp_path, NOON, shard=shard).path
        for shard in ("seed=1", "../../x", "a/b\nc", "x" * 300)
    ]

    assert names[0].name == "20260301T120000Z-seed=1"
    assert {one.parent for one in names} == {tmp_path.resolve() / "artifacts/runpod"}


def test_runs_cannot_be_made_where_a_file_is(tmp_path: Path) -> None:
    """A file called `artifacts` is an error before anything is paid for."""
    (tmp_path / "artifacts").touch()

    with pytest.raises(OSError, match="artifacts"):
        claim_run_folder(tmp_path, NOON)


def test_a_plan_is_claimed_by_one(tmp_path: Path) -> None:
    """Of many at the same time one gets the plan; the others are shown that it is taken."""
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: claim_plan(tmp_path, "ab12", f"at {n}"), range(20)))

    losers = [one for one in answers if one]
    assert answers.count(()) == 1
    assert len(losers) == 19
    assert all(use.run is None for (use,) in losers)


def test_a_claim_tells_every_run_of_the_plan(tmp_path: Path) -> None:
    """When and where, the newest last."""
    claim_plan(tmp_path, "ab12", "10:00")
    for at in ("10:00", "11:00"):
        note_plan_use(tmp_path, "ab12", at, claim_run_folder(tmp_path, NOON).path)

    first, second = claim_plan(tmp_path, "ab12", "12:00")
    assert first == PlanUse(at="10:00", run="artifacts/runpod/20260301T120000Z")
    assert second == PlanUse(at="11:00", run="artifacts/runpod/20260301T120000Z-2")


@pytest.mark.parametrize("plan_id", ["", "../x", "a/b", "x" * 65, ".", "a\n"])
def test_an_id_that_names_a_path_is_refused(tmp_path: Path, plan_id: str) -> None:
    """A plan file that was tampered with cannot make files elsewhere."""
    with pytest.raises(InvalidInput, match="not an id"):
        claim_plan(tmp_path, plan_id, "")

    assert list(tmp_path.iterdir()) == []
