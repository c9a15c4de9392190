"""The lock of a run: one executor at a time, and what a dead one left does not keep others away."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from runpod_deploy.record import run_lock
from runpod_deploy.record.run_lock import (
    LOCK_NAME,
    STALE_AFTER_SEC,
    RunBusy,
    RunLock,
    holder_of,
    living_holder,
)

NOW = 1_800_000_000.0


def written(folder: Path, **changes: object) -> None:
    """Leave the lock of another executor in a folder."""
    lock = RunLock.take(folder, owner="owner123", now=NOW)
    fields = json.loads((folder / LOCK_NAME).read_bytes())
    lock.release()
    (folder / LOCK_NAME).write_text(json.dumps({**fields, "token": "other", **changes}), "utf-8")


def no_process() -> int:
    """Return a process id that no process has."""
    return int(Path("/proc/sys/kernel/pid_max").read_text("ascii")) - 1


def test_lock_says_who_carries_the_run_on(tmp_path: Path) -> None:
    """Owner, process, host and time of the last heartbeat can be read by anybody."""
    RunLock.take(tmp_path, owner="owner123", now=NOW)

    holder = holder_of(tmp_path)
    assert holder is not None
    assert (holder.owner, holder.pid, holder.host) == (
        "owner123",
        os.getpid(),
        socket.gethostname(),
    )
    assert (holder.since, holder.beat) == (NOW, NOW)
    assert holder.lives(NOW + 10 * STALE_AFTER_SEC), "its process is asked for, not its heartbeat"


def test_run_of_a_living_process_is_refused_by_name(tmp_path: Path) -> None:
    """Whoever comes second is told which process has the run, and since when it was not heard of."""
    written(tmp_path, pid=os.getppid(), started="")

    with pytest.raises(RunBusy) as caught:
        RunLock.take(tmp_path, owner="owner123", now=NOW + 20)
    assert f"process {os.getppid()} on this machine (last seen 20 s ago)" in caught.value.message
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "left",
    [
        {"pid": no_process()},
        {"started": "1", "pid": os.getppid()},  # its number was given to another process since
        {"boot": "an earlier start of this machine", "beat": NOW - STALE_AFTER_SEC - 1},
        {"host": "elsewhere", "beat": NOW - STALE_AFTER_SEC - 1},
    ],
)
def test_lock_of_a_dead_executor_is_taken_over(tmp_path: Path, left: dict[str, object]) -> None:
    """A process that ended, or a machine that fell silent, keeps nobody from the run."""
    written(tmp_path, **left)

    assert living_holder(tmp_path, NOW) is None
    lock = RunLock.take(tmp_path, owner="owner123", now=NOW)
    assert holder_of(tmp_path) == lock.holder


def test_executor_of_another_machine_is_known_by_its_heartbeat(tmp_path: Path) -> None:
    """Of a machine that cannot be asked, a fresh heartbeat is proof enough, and the way out is told."""
    written(tmp_path, host="elsewhere", boot="theirs", pid=no_process(), beat=NOW - 30)

    with pytest.raises(RunBusy) as caught:
        RunLock.take(tmp_path, owner="owner123", now=NOW)
    assert "on elsewhere (last seen 30 s ago)" in caught.value.message
    assert "If elsewhere is down, try again in 120 s." in (caught.value.help or "")


def test_heartbeat_keeps_the_lock_fresh(tmp_path: Path) -> None:
    """Each beat is written down; what else is said of the holder stays."""
    lock = RunLock.take(tmp_path, owner="owner123", now=NOW)

    assert lock.beat(NOW + 60)
    holder = holder_of(tmp_path)
    assert holder is not None
    assert (holder.since, holder.beat, holder.token) == (NOW, NOW + 60, lock.holder.token)


def test_executor_whose_run_was_taken_notices_and_leaves_the_other_alone(tmp_path: Path) -> None:
    """A machine that slept for an hour finds that another one has the run, and does not take it back."""
    lock = RunLock.take(tmp_path, owner="owner123", now=NOW)
    written(tmp_path, host="elsewhere", boot="theirs", beat=NOW + 3600)

    assert not lock.beat(NOW + 3600)
    lock.release()
    holder = holder_of(tmp_path)
    assert holder is not None
    assert holder.host == "elsewhere"


def test_full_disk_does_not_end_the_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat that cannot be written is no reason to let a paid run go."""
    lock = RunLock.take(tmp_path, owner="owner123", now=NOW)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_lock, "write_atomic", full)
    assert lock.beat(NOW + 15)


def test_released_lock_is_gone(tmp_path: Path) -> None:
    """The next executor finds nobody; releasing twice does nothing."""
    lock = RunLock.take(tmp_path, owner="owner123", now=NOW)
    lock.release()
    lock.release()

    assert not (tmp_path / LOCK_NAME).exists()
    assert living_holder(tmp_path, NOW) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"pid": 1}', '{"pid": -1, "host": "h", "since": 1, "beat": 1}', "[" * 100_000],
)
def test_spoilt_lock_keeps_nobody_away(tmp_path: Path, text: str) -> None:
    """What a full disk or another tool made of the file counts as no lock."""
    (tmp_path / LOCK_NAME).write_text(text, "utf-8")

    assert holder_of(tmp_path) is None
    RunLock.take(tmp_path, owner="owner123", now=NOW)
