"""The journal of a run: `events.jsonl`, written ahead of every effect.

A durable event is on disk (file and, the first time, folder) before `write` returns; any other is
handed to the system at once and synced within a second. A journal that cannot be written stops the
run: going on without it could lose a paid pod.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runpod_deploy.errors import JobFailed
from runpod_deploy.record.atomic import sync_folder, write_all
from runpod_deploy.record.event_lines import (
    encode_event,
    mend_torn_tail,
    read_events,
    text_only,
)
from runpod_deploy.record.events import EVENT_TYPES, Event, check_event
from runpod_deploy.record.masking import Masker

__all__ = [
    "GROUP_COMMIT_SEC",
    "JOURNAL_NAME",
    "Journal",
    "JournalError",
    "Sink",
    "mend_torn_tail",
    "read_events",
    "utc_stamp",
]

JOURNAL_NAME = "events.jsonl"
GROUP_COMMIT_SEC = 1.0

Sink = Callable[[Event], None]


class JournalError(JobFailed):
    """The journal cannot be written; the run must stop and undo."""


def utc_stamp(seconds: float) -> str:
    """Return `seconds` since the epoch as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Journal:
    """Appends events to a run folder and hands each one on to the sinks.

    One process at a time may have a run's journal open. An event that could not be written is
    neither in the file nor in `events`, and the next one may be tried: undoing goes on where the
    disk lets it. A sink that raises is told of later events all the same; the first time, a
    `warning` event says so. Not for use from several threads.

    Attributes:
        path: The file.
        events: Everything in it, in order, those of an earlier process of the run included.
    """

    def __init__(
        self,
        folder: Path,
        *,
        masker: Masker,
        now: Callable[[], float],
        sinks: tuple[Sink, ...] = (),
    ) -> None:
        """Open or create the journal of a run folder.

        Args:
            now: Returns seconds since the epoch.
            sinks: Called in order with each event after it was written.

        Raises:
            JournalError: It cannot be opened, or another process writes it.
        """
        self.path = folder / JOURNAL_NAME
        self._masker = masker
        self._now = now
        self._sinks = sinks
        self._failed_sinks: set[int] = set()
        self._pending: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._late_failure: JournalError | None = None
        self._torn = False
        self._fd: int | None = None
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            _lock(self._fd, self.path)
            mend_torn_tail(self.path)
            self.events: list[Event] = list(read_events(self.path))
            sync_folder(folder)
        except OSError as error:
            self._abandon()
            raise self._failure("opened", error) from error
        except JournalError:
            self._abandon()
            raise
        self._seq = max((event.seq for event in self.events), default=0)

    def write(self, name: str, /, **fields: Any) -> Event:
        """Append one event and tell the sinks.

        Raises:
            JournalError: The line could not be written, or not synced; or lines before it were not.
            ValueError: The event is not in the closed list, which is our bug.
        """
        check_event(name, fields)
        self._raise_late_failure()
        kind = EVENT_TYPES[name]
        event = Event(
            event=name,
            ts_utc=utc_stamp(self._now()),
            seq=self._seq + 1,
            fields={
                key: text_only(value if key in kind.verbatim else self._masker.data(value))
                for key, value in fields.items()
            },
        )
        self._append(encode_event(event), durable=kind.durable)
        self._seq = event.seq
        self.events.append(event)
        self._tell(event)
        return event

    def sync(self) -> None:
        """Bring everything written so far to disk.

        Raises:
            JournalError: The disk failed, now or at the last group commit, or it is closed.
        """
        self._raise_late_failure()
        try:
            self._fsync()
        except OSError as error:
            raise self._failure("synced", error) from error

    def close(self) -> None:
        """Sync and close; the journal cannot be written afterwards. Closing again does nothing.

        Raises:
            JournalError: The last events may not be on disk; the file is closed all the same.
        """
        if self._fd is None:
            return
        try:
            self.sync()
        finally:
            self._abandon()

    def _append(self, line: bytes, *, durable: bool) -> None:
        fd = self._open_fd()
        try:
            size = os.fstat(fd).st_size
            try:
                write_all(fd, b"\n" + line if self._torn else line)
                if durable:
                    self._fsync()
                else:
                    self._sync_soon()
            except OSError:
                self._take_back(fd, size)
                raise
        except OSError as error:
            raise self._failure("written", error) from error
        self._torn = False

    def _take_back(self, fd: int, size: int) -> None:
        """Remove what a failed write left: the caller takes the event for unwritten."""
        try:
            os.ftruncate(fd, size)
        except OSError:
            self._torn = True
            self._seq += 1  # the whole line may be there

    def _sync_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._fsync()
            return
        if self._pending is None or self._pending[0] is not loop:
            self._pending = (loop, loop.call_later(GROUP_COMMIT_SEC, self._group_commit))

    def _group_commit(self) -> None:
        try:
            self.sync()
        except JournalError as error:
            # Nobody waits for this call: the next one that writes is told.
            self._late_failure = error

    def _fsync(self) -> None:
        if self._pending is not None:
            self._pending[1].cancel()
            self._pending = None
        os.fsync(self._open_fd())

    def _tell(self, event: Event) -> None:
        broken: list[str] = []
        for number, sink in enumerate(self._sinks):
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 - a view that breaks must not cost the run
                if number not in self._failed_sinks:
                    self._failed_sinks.add(number)
                    broken.append(f"{type(error).__name__}: {error}")
        for problem in broken:
            self.write(
                "warning",
                code="sink_failed",
                message=f"A listener to the run's events failed and may show too little: {problem}",
            )

    def _open_fd(self) -> int:
        if self._fd is None:
            raise JournalError(f"The journal {self.path} is closed already.")
        return self._fd

    def _raise_late_failure(self) -> None:
        failure, self._late_failure = self._late_failure, None
        if failure is not None:
            raise failure

    def _abandon(self) -> None:
        if self._pending is not None:
            self._pending[1].cancel()
            self._pending = None
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _failure(self, done: str, error: OSError) -> JournalError:
        return JournalError(
            f"The journal {self.path} cannot be {done}: {error.strerror or error}.",
            help="Without it a paid pod could be lost. Free some space or make the folder "
            "writable; `runpod-deploy resume` then takes the run up where it stands.",
        )


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalError(
            f"The journal {path} is being written by another process: this run is alive.",
            help="Watch it with `runpod-deploy attach`, or end that process first.",
        ) from error
    except OSError:
        return  # a file system without locks: nothing to hold others off with
