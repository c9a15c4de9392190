"""The journal: durable, one line per event, and never silently incomplete."""

import asyncio
import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from record_cases import NOON, Clock, event, open_journal
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import (
    GROUP_COMMIT_SEC,
    JournalError,
    mend_torn_tail,
    read_events,
    utc_stamp,
)
from runpod_deploy.record.masking import Masker

ERROR = {"code": "x", "message": "y"}


class Disk:
    """Counts syncs, and fails writes or syncs when told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.room: int | None = None
        self.sync_fails = False
        self._write, self._fsync = os.write, os.fsync
        patch.setattr(os, "write", self.write)
        patch.setattr(os, "fsync", self.fsync)

    def write(self, fd: int, data: bytes) -> int:
        """Take what there is room for."""
        if self.room is None:
            return self._write(fd, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._write(fd, data[: self.room])
        self.room -= taken
        return taken

    def fsync(self, fd: int) -> None:
        """Sync, or fail as a broken disk."""
        if self.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.syncs += 1
        self._fsync(fd)


class Timer:
    """A timer that was set; `fire` does what the loop would do when its time has come."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self.seconds, self.call, self.cancelled = seconds, call, False

    def cancel(self) -> None:
        """Take note."""
        self.cancelled = True

    def fire(self) -> None:
        """Call back."""
        self.call()


class Loop:
    """A stand-in for the running loop that only sets timers."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.timers: list[Timer] = []
        patch.setattr(asyncio, "get_running_loop", lambda: self)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Set a timer."""
        self.timers.append(Timer(seconds, call))
        return self.timers[-1]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return a disk that can be told to fail."""
    return Disk(monkeypatch)


def test_a_line_has_its_head_first(tmp_path: Path) -> None:
    """A line is compact JSON: version, number, time, name, then the fields."""
    journal = open_journal(tmp_path)

    journal.write("warning", **ERROR)

    assert journal.path.read_bytes() == (
        b'{"v":1,"seq":1,"ts_utc":"2026-03-01T12:00:00.000000Z","event":"warning",'
        b'"code":"x","message":"y"}\n'
    )


def test_a_field_may_be_called_name(tmp_path: Path) -> None:
    """Events with a field `name` can be written by keyword."""
    written = open_journal(tmp_path).write("command_started", name="setup-1")

    assert written["name"] == "setup-1"
    assert written["event"] == "command_started"


def test_events_of_one_microsecond_keep_their_order(tmp_path: Path) -> None:
    """Two events with the same time differ in `seq`, in the order of writing."""
    journal = open_journal(tmp_path)

    first, second = journal.write("warning", **ERROR), journal.write("warning", **ERROR)

    assert first.ts_utc == second.ts_utc
    assert [one.seq for one in read_events(journal.path)] == [1, 2]


def test_a_reopened_journal_goes_on_counting(tmp_path: Path) -> None:
    """The events of an earlier process are there, and the next number is new."""
    before = open_journal(tmp_path)
    before.write("warning", **ERROR)
    before.close()

    after = open_journal(tmp_path)

    assert [one.seq for one in after.events] == [1]
    assert after.write("warning", **ERROR).seq == 2


def test_a_torn_last_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    """What a crash cut off is passed over; the next event has a line of its own."""
    journal = open_journal(tmp_path)
    journal.write("warning", **ERROR)
    journal.close()
    with journal.path.open("ab") as stream:
        stream.write(b'{"v":1,"seq":2,"ts_')

    again = open_journal(tmp_path)
    again.write("signal_received", signal="SIGINT")

    assert [(one.seq, one.event) for one in read_events(again.path)] == [
        (1, "warning"),
        (2, "signal_received"),
    ]


def test_a_last_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    """A crash between the line and its newline loses nothing."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"warning","seq":7}')

    journal = open_journal(tmp_path)

    assert [one.seq for one in journal.events] == [7]
    assert journal.write("warning", **ERROR).seq == 8
    assert len(list(read_events(path))) == 2


def test_mending_leaves_whole_and_missing_files_alone(tmp_path: Path) -> None:
    """A file that ends well is not touched, a missing one not made."""
    whole = tmp_path / "whole"
    whole.write_bytes(b"{}\n")

    mend_torn_tail(whole)
    mend_torn_tail(tmp_path / "missing")

    assert whole.read_bytes() == b"{}\n"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[1]",
        b"null",
        b"{",
        b'{"v":1}',
        b'{"event":5}',
        b'{"event":null}',
        b"[" * 100_000,
        b"\0" * 64,
        b"",
    ],
)
def test_foreign_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    """A line that is not an event costs neither an error nor the lines around it."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"a"}\n' + line + b'\n{"event":"b"}\n')

    assert [one.event for one in read_events(path)] == ["a", "b"]


@pytest.mark.parametrize("seq", ["1e999", '"7"', "true", "-3", "1.5", "null", "[]"])
def test_a_spoilt_number_counts_as_none(tmp_path: Path, seq: str) -> None:
    """An event whose `seq` is not a positive integer is kept with 0."""
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"event":"a","seq":{seq},"v":{seq}}}\n')

    assert [(one.seq, one.v, one.ts_utc) for one in read_events(path)] == [(0, 0, "")]


def test_bytes_outside_utf8_do_not_cost_the_event(tmp_path: Path) -> None:
    """A bad byte in a text becomes U+FFFD, and the pod's id beside it is still read."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"pod_create_settled","pod_id":"p1","error":"caf\xe9"}\n')

    assert [(one["pod_id"], one["error"]) for one in read_events(path)] == [("p1", "caf\ufffd")]


@pytest.mark.parametrize(
    "text", ["a\nb", "\x1b]0;x\x07", "\x9b31m", "a\u2028b\x85c", "\0", "\u202e", "caf\u00e9"]
)
def test_hostile_text_stays_on_its_line(tmp_path: Path, text: str) -> None:
    """Whatever a text holds, the line is one line of printable ASCII and reads back the same."""
    journal = open_journal(tmp_path)

    journal.write("warning", code="x", message=text)
    raw = journal.path.read_text(encoding="ascii")

    assert raw.rstrip("\n").isprintable()
    assert len(raw.splitlines()) == 1
    assert [text] == [one["message"] for one in read_events(journal.path)]


def test_lone_surrogates_are_spelled_out(tmp_path: Path) -> None:
    """A name that is not UTF-8 is written as text that can be printed, also in nested data."""
    journal = open_journal(tmp_path)

    written = journal.write(
        "admission_checked", gpus=[{"\udc80": "\udcff"}], driver=None, problems=[]
    )

    assert written["gpus"] == [{"\\udc80": "\\udcff"}]
    assert [written] == list(read_events(journal.path))


def test_data_that_json_cannot_say_is_our_bug(tmp_path: Path) -> None:
    """Nothing is written, and the next event has the next number."""
    journal = open_journal(tmp_path)

    with pytest.raises(ValueError, match="not JSON serializable"):
        journal.write("admission_checked", gpus=[tmp_path], driver=None, problems=[])

    assert journal.write("warning", **ERROR).seq == 1
    assert len(list(read_events(journal.path))) == 1


def test_secrets_are_masked_and_identities_are_not(tmp_path: Path) -> None:
    """Free text loses secrets; names that join events stay, even when a secret is a part of them."""
    journal = open_journal(tmp_path, masker=Masker(["train", "hunter22"]))

    written = journal.write(
        "pod_delete_intended", op_id="rd-train-1", pod_id="train7", reason="train hunter22"
    )

    assert (
        written["op_id"],
        written["pod_id"],
        written["reason"],
    ) == ("rd-train-1", "train7", "*** ***")
    assert b"hunter22" not in journal.path.read_bytes()


def test_a_name_read_from_a_log_is_masked(tmp_path: Path) -> None:
    """The name of a remote step comes from the job, not from us."""
    journal = open_journal(tmp_path, masker=Masker(["hunter22"]))

    assert journal.write("remote_step_started", name="hunter22", log_offset=1)["name"] == "***"


def test_a_full_disk_stops_the_run_and_leaves_no_half_line(tmp_path: Path, disk: Disk) -> None:
    """ENOSPC in the middle of a line raises, takes the half back, and the number is free again."""
    journal = open_journal(tmp_path)
    journal.write("warning", **ERROR)
    whole = journal.path.read_bytes()
    disk.room = 10

    with pytest.raises(JournalError, match="No space left") as caught:
        journal.write("warning", **ERROR)

    assert caught.value.help
    assert whole == journal.path.read_bytes()
    assert len(journal.events) == 1
    disk.room = None
    assert journal.write("warning", **ERROR).seq == 2


def test_a_half_line_that_cannot_be_taken_back_is_ended(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file cannot be cut, the next event still begins on a line of its own."""
    journal = open_journal(tmp_path)
    disk.room = 10

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(JournalError):
        journal.write("warning", **ERROR)
    disk.room = None
    journal.write("warning", **ERROR)
    journal.write("warning", **ERROR)

    assert [one.seq for one in read_events(journal.path)] == [2, 3]


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes a few bytes at a time still gets the whole line."""
    journal = open_journal(tmp_path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))

    written = journal.write("warning", **ERROR)

    assert [written] == list(read_events(journal.path))


def test_a_system_that_takes_nothing_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero bytes taken is an error and not an endless loop."""
    journal = open_journal(tmp_path)
    monkeypatch.setattr(os, "write", lambda *_: 0)

    with pytest.raises(JournalError, match="took no bytes"):
        journal.write("warning", **ERROR)


def test_a_durable_event_that_cannot_be_synced_did_not_happen(tmp_path: Path, disk: Disk) -> None:
    """When fsync fails the caller is told, and the intent is neither in the file nor in memory."""
    journal = open_journal(tmp_path)
    disk.sync_fails = True

    with pytest.raises(JournalError, match="Input/output error"):
        journal.write("step_started", step="check")

    assert (journal.path.read_bytes(), journal.events) == (b"", [])


def test_a_durable_event_is_synced_before_the_sinks_hear_of_it(tmp_path: Path, disk: Disk) -> None:
    """A sink sees the event only when it is on disk."""
    seen: list[int] = []
    journal = open_journal(tmp_path, sinks=(lambda _: seen.append(disk.syncs),))
    before = disk.syncs

    journal.write("step_started", step="check")

    assert [before + 1] == seen


def test_without_a_loop_every_event_is_synced(tmp_path: Path, disk: Disk) -> None:
    """Outside asyncio there is no timer, so the disk is waited for."""
    journal = open_journal(tmp_path)
    before = disk.syncs

    journal.write("warning", **ERROR)

    assert disk.syncs == before + 1


def test_observations_are_committed_together(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many observations set one timer of a second; when it fires there is one sync."""
    loop = Loop(monkeypatch)
    journal = open_journal(tmp_path)
    before = disk.syncs

    for _ in range(5):
        journal.write("warning", **ERROR)

    assert ([GROUP_COMMIT_SEC], before) == ([one.seconds for one in loop.timers], disk.syncs)
    loop.timers[0].fire()
    assert disk.syncs == before + 1
    journal.write("warning", **ERROR)
    assert len(loop.timers) == 2


def test_a_durable_event_commits_what_waits(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync of a durable event makes the timer needless."""
    loop = Loop(monkeypatch)
    journal = open_journal(tmp_path)
    before = disk.syncs
    journal.write("warning", **ERROR)

    journal.write("step_started", step="check")

    assert (True, before + 1) == (loop.timers[0].cancelled, disk.syncs)


def test_a_timer_of_a_loop_that_is_gone_is_not_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under another event loop a new timer is set."""
    old = Loop(monkeypatch)
    journal = open_journal(tmp_path)
    journal.write("warning", **ERROR)
    new = Loop(monkeypatch)

    journal.write("warning", **ERROR)

    assert (len(old.timers), len(new.timers)) == (1, 1)


def test_the_real_loop_takes_the_timer(tmp_path: Path) -> None:
    """Inside asyncio.run the journal writes, waits for nothing and closes cleanly."""

    async def work() -> int:
        journal = open_journal(tmp_path)
        journal.write("warning", **ERROR)
        journal.close()
        return len(journal.events)

    assert asyncio.run(work()) == 1


def test_a_failed_group_commit_is_told_to_the_next_writer(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the timer, so the failure is raised at the next write, once."""
    loop = Loop(monkeypatch)
    journal = open_journal(tmp_path)
    journal.write("warning", **ERROR)
    disk.sync_fails = True
    loop.timers[0].fire()
    disk.sync_fails = False

    with pytest.raises(JournalError, match="cannot be synced"):
        journal.write("step_started", step="check")

    assert journal.write("step_started", step="check").seq == 2


def test_closing_twice_does_nothing_more(tmp_path: Path, disk: Disk) -> None:
    """The second close neither syncs nor closes a descriptor that may be somebody else's by now."""
    journal = open_journal(tmp_path)
    journal.close()
    syncs = disk.syncs

    journal.close()

    assert disk.syncs == syncs


def test_a_closed_journal_cannot_be_written(tmp_path: Path) -> None:
    """Writing and syncing after close are refused, and nothing is written."""
    journal = open_journal(tmp_path)
    journal.close()

    with pytest.raises(JournalError, match="closed"):
        journal.write("warning", **ERROR)
    with pytest.raises(JournalError, match="closed"):
        journal.sync()
    assert journal.path.read_bytes() == b""


def test_a_journal_is_closed_also_when_its_last_sync_fails(tmp_path: Path, disk: Disk) -> None:
    """The failure is raised, and the file can be opened again."""
    journal = open_journal(tmp_path)
    disk.sync_fails = True
    with pytest.raises(JournalError):
        journal.close()
    disk.sync_fails = False

    open_journal(tmp_path).close()

    journal.close()


def test_one_process_at_a_time_has_a_run(tmp_path: Path) -> None:
    """A second writer is refused while the first lives, and let in afterwards."""
    first = open_journal(tmp_path)

    with pytest.raises(JournalError, match="another process"):
        open_journal(tmp_path)
    first.close()

    open_journal(tmp_path).close()


def test_a_file_system_without_locks_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where flock is not known the journal opens all the same."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)

    assert open_journal(tmp_path).write("warning", **ERROR).seq == 1


@pytest.mark.parametrize("problem", [errno.EROFS, errno.EACCES])
def test_a_read_only_folder_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    """The message names the file and the reason."""

    def refuse(*_: object) -> int:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(
        JournalError, match=rf"events\.jsonl cannot be opened: {os.strerror(problem)}"
    ):
        open_journal(tmp_path)


@pytest.mark.parametrize("make", [Path.touch, Path.exists])
def test_a_folder_that_is_none_is_a_clear_error(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """A file in place of the folder, or no folder, is refused as a journal error."""
    folder = tmp_path / "run"
    make(folder)

    with pytest.raises(JournalError, match="cannot be opened"):
        open_journal(folder)


def test_a_sink_that_raises_costs_neither_the_event_nor_the_others(tmp_path: Path) -> None:
    """The event is written, later sinks hear it, and one warning tells of the broken sink."""
    heard: list[Event] = []
    calls: list[str] = []

    def broken(one: Event) -> None:
        calls.append(one.event)
        raise RuntimeError("no terminal")

    journal = open_journal(tmp_path, sinks=(broken, heard.append))

    journal.write("signal_received", signal="SIGINT")
    journal.write("signal_received", signal="SIGINT")

    names = ["signal_received", "warning", "signal_received"]
    assert names == [one.event for one in heard] == calls
    assert names == [one.event for one in read_events(journal.path)]
    assert "RuntimeError: no terminal" in heard[1]["message"]


def test_a_sink_may_end_the_program(tmp_path: Path) -> None:
    """KeyboardInterrupt passes through a sink, after the event was written."""

    def interrupted(_: Event) -> None:
        raise KeyboardInterrupt

    journal = open_journal(tmp_path, sinks=(interrupted,))

    with pytest.raises(KeyboardInterrupt):
        journal.write("warning", **ERROR)
    assert len(journal.events) == 1


def test_an_event_is_a_mapping_over_its_line() -> None:
    """Readers of the predecessor find keys, length and `get`."""
    one = event("warning", code="x", message="y")

    assert json.loads(json.dumps(dict(one))) == one.line()
    assert len(one) == len(one.line())
    assert one.get("nothing") is None
    with pytest.raises(KeyError):
        _ = one["nothing"]


def test_lines_of_the_predecessor_are_events(tmp_path: Path) -> None:
    """A line without version and number is read with 0 for both."""
    path = tmp_path / "events.jsonl"
    line: dict[str, Any] = {
        "ts_utc": "2025-01-01T00:00:00Z",
        "event": "gpu_selected",
        "gpu_id": "A",
    }
    path.write_text(json.dumps(line) + "\n")

    (one,) = read_events(path)

    assert (one.v, one.seq, one["gpu_id"]) == (0, 0, "A")


def test_a_stamp_has_microseconds_always() -> None:
    """A whole second is written with six zeros, so that stamps sort as text."""
    assert utc_stamp(NOON) == "2026-03-01T12:00:00.000000Z"
    assert utc_stamp(NOON + 0.000001) > utc_stamp(NOON)


def test_the_clock_is_asked_for_each_event(tmp_path: Path) -> None:
    """Each event has the time of its writing."""
    clock = Clock()
    journal = open_journal(tmp_path, now=clock)
    journal.write("warning", **ERROR)
    clock.now += 1

    assert journal.write("warning", **ERROR).ts_utc == "2026-03-01T12:00:01.000000Z"
