"""The journal of a run: `events.jsonl`, written ahead of every effect.

A durable event is on disk (file and, the first time, folder) before `write` returns; any other is
handed to the system at once and synced within a second. A journal that cannot be written stops the
run: going on without it could lose a paid pod.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runpod_deploy.errors import JobFailed
from runpod_deploy.record.events import DURABLE, Event, check_event
from runpod_deploy.record.masking import Masker

JOURNAL_NAME = "events.jsonl"
GROUP_COMMIT_SEC = 1.0

Sink = Callable[[Event], None]


class JournalError(JobFailed):
    """The journal cannot be written; the run must stop and undo."""


def utc_stamp(seconds: float) -> str:
    """Return `seconds` since the epoch as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Journal:
    """Appends events to a run folder and hands each one on to the sinks."""

    def __init__(
        self,
        folder: Path,
        *,
        masker: Masker,
        now: Callable[[], float],
        sinks: tuple[Sink, ...] = (),
    ) -> None:
        self.path = folder / JOURNAL_NAME
        self._masker = masker
        self._now = now
        self._sinks = sinks
        self._pending: asyncio.TimerHandle | None = None
        self.events: list[Event] = list(read_events(self.path))
        self._seq = max((event.seq for event in self.events), default=0)
        try:
            mend_torn_tail(self.path)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            _sync_folder(folder)
        except OSError as error:
            raise JournalError(f"The journal {self.path} cannot be opened: {error}") from error

    def write(self, name: str, **fields: Any) -> Event:
        """Append one event.

        Raises:
            JournalError: The line could not be written, or a durable one not synced.
            ValueError: The event is not in the closed list, which is our bug.
        """
        check_event(name, fields)
        self._seq += 1
        event = Event(
            event=name,
            ts_utc=utc_stamp(self._now()),
            seq=self._seq,
            fields=self._masker.data(fields),
        )
        line = json.dumps(event.line(), ensure_ascii=False, separators=(",", ":")) + "\n"
        try:
            _write_all(self._fd, line.encode("utf-8", "backslashreplace"))
            if name in DURABLE:
                self.sync()
            else:
                self._sync_soon()
        except OSError as error:
            raise JournalError(f"The journal {self.path} cannot be written: {error}") from error
        self.events.append(event)
        for sink in self._sinks:
            sink(event)
        return event

    def sync(self) -> None:
        """Bring everything written so far to disk."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        os.fsync(self._fd)

    def close(self) -> None:
        """Sync and close; the journal cannot be written afterwards."""
        self.sync()
        os.close(self._fd)

    def _sync_soon(self) -> None:
        if self._pending is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self.sync()
                return
            self._pending = loop.call_later(GROUP_COMMIT_SEC, self.sync)


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a journal in file order; torn and foreign lines are passed over."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        for raw in stream:
            try:
                line = json.loads(raw)
                yield Event.from_line(line)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


def mend_torn_tail(path: Path) -> None:
    """End a last line that a crash cut off, so that the next event begins on a line of its own."""
    try:
        with path.open("rb+") as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
    except FileNotFoundError:
        return


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
