"""The ledger's file: appended to under a lock, whole lines only, read on from where it was read."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from runpod_deploy.record import file_lock
from runpod_deploy.record.file_lock import FileBusy
from runpod_deploy.record.ledger import Ledger, ledger_file

OPENED = {
    "run": "r",
    "cloud": "runpod",
    "api_url": "u",
    "usd_per_hour": 1.0,
    "disk_usd_per_hour": 0.0,
    "limit_usd": 10.0,
    "until": 1e6,
}


def test_place_follows_the_state_folder(tmp_path: Path) -> None:
    """It lies in `XDG_STATE_HOME`, else in the home folder's own place for state."""
    home = {"HOME": str(tmp_path)}
    assert ledger_file(home) == tmp_path / ".local/state/runpod-deploy/ledger.jsonl"
    state = {**home, "XDG_STATE_HOME": str(tmp_path / "s")}
    assert ledger_file(state) == tmp_path / "s/runpod-deploy/ledger.jsonl"


def test_what_one_adds_another_reads(tmp_path: Path) -> None:
    """Two users of one file see each other's lines, also those that come after the first look."""
    one, other = (Ledger(tmp_path / "state" / "ledger.jsonl") for _ in range(2))
    assert other.accounts().pods == {}
    with one.locked():
        one.add("opened", "a", 100.0, **OPENED)
    assert other.accounts().month_usd("runpod", 100.0 + 3600) == pytest.approx(1.0)
    with other.locked():
        other.add("gone", "a", 100.0 + 1800)
    assert one.accounts().month_usd("runpod", 1e5) == pytest.approx(0.5)


def test_file_is_for_its_user_alone(tmp_path: Path) -> None:
    """Folders of runs stand in it, so nobody else may read it."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with ledger.locked():
        ledger.add("opened", "a", 1.0, **OPENED)
    assert ledger.file.stat().st_mode & 0o777 == 0o600


def test_line_that_was_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    """After a crash in the middle of a line the next one begins anew; the cut one counts nothing."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.file.write_bytes(b'{"v": 1, "at": 1, "event": "ope')
    assert ledger.accounts().pods == {}
    with ledger.locked():
        ledger.add("opened", "a", 1.0, **OPENED)
    assert list(ledger.accounts().pods) == ["a"]
    assert json.loads(ledger.file.read_bytes().splitlines()[-1])["pod"] == "a"


def test_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    """A ledger that somebody put in its place, or cut, is taken as it is now."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with ledger.locked():
        ledger.add("opened", "a", 1.0, **OPENED)
    assert list(ledger.accounts().pods) == ["a"]
    other = Ledger(tmp_path / "other.jsonl")
    with other.locked():
        other.add("opened", "b", 1.0, **OPENED)
    other.file.replace(ledger.file)
    assert list(ledger.accounts().pods) == ["b"]


def test_lock_that_is_never_given_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot get at the ledger hears so, instead of waiting for ever."""
    monkeypatch.setattr(file_lock, "LOCK_WITHIN_SEC", 0.0)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    holder = os.open(tmp_path / "ledger.jsonl.lock", os.O_WRONLY | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(FileBusy, match="locked by another process"), ledger.locked():
        pass
    os.close(holder)
    with ledger.locked():
        ledger.add("opened", "a", 1.0, **OPENED)
