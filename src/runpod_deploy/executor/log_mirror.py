"""The log of the run on this side: `run.log`, masked, without a gap and without a byte twice."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence

from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.markers import MarkerScanner, StepMark
from runpod_deploy.executor.standing import LogStart
from runpod_deploy.record.atomic import write_all
from runpod_deploy.record.masking import StreamMasker

LOG_NAME = "run.log"
PROGRESS_EVERY_BYTES = 256 * 1024
PROGRESS_EVERY_SEC = 1.0


class LogMirror:
    """Writes the remote log into `run.log`, masked, and tells markers and listeners what came.

    An earlier executor of the run may have written a part of it. The log is then read on from the last
    place that is known on both sides; what stands there already is written over with the same bytes, so
    that a pod that dies meanwhile costs nothing that was here before.

    Attributes:
        path: The file, `run.log`.
        received: Bytes of the remote log that have come, in order and without gaps.
    """

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        # Opened for each piece: a run that is detached from leaves no file open.
        self.path = ctx.folder.path / LOG_NAME
        self.path.touch()
        self._shown = self.path.stat().st_size  # what stands here was shown by whoever wrote it
        start = _start(ctx.earlier.log_starts, self._shown)
        self.scanner = _scanner(ctx, start)
        self.received = start.offset
        self._at = start.local
        self._known_marks = start.marks
        self._finished = False
        self._unwritten = b""
        self._marks: deque[StepMark] = deque()
        self._masker = StreamMasker(ctx.masker)
        self._noted = start.offset
        self._noted_at = ctx.clock.monotonic()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the remote log.

        Raises:
            OSError: They cannot be written now. They are taken all the same, and written before
                anything that comes later.
            JournalError: What they mark cannot be written down.
        """
        head, newline, rest = piece.rpartition(b"\n")
        self._take(head + newline)
        self._note_progress()
        self._take(rest)

    def finish(self) -> None:
        """Write out what was held back at the end of the log; idempotent."""
        if self._finished:
            return
        self._finished = True
        self._marks.extend(self.scanner.finish())
        self._show(self._masker.flush())
        self._tell_marks()
        with self.path.open("rb") as log:
            os.fsync(log.fileno())

    def _take(self, piece: bytes) -> None:
        if not piece:
            return
        self.received += len(piece)
        self._marks.extend(self.scanner.feed(piece))
        self._show(self._masker.feed(piece))
        self._tell_marks()

    def _tell_marks(self) -> None:
        while self._marks:
            mark = self._marks[0]
            if self._known_marks > 0:
                self._known_marks -= 1  # an earlier executor told it
            else:
                event = "remote_step_completed" if mark.done else "remote_step_started"
                self._ctx.journal.write(event, name=mark.name, log_offset=mark.offset)
            self._marks.popleft()

    def _note_progress(self) -> None:
        """Write down a place from which the log can be read on; only between two whole lines."""
        now = self._ctx.clock.monotonic()
        if (
            self.received - self._noted < PROGRESS_EVERY_BYTES
            or now - self._noted_at < PROGRESS_EVERY_SEC
            or self._known_marks > 0
            or not self._masker.idle
            or self.scanner.offset != self.received
        ):
            return
        self._noted, self._noted_at = self.received, now
        self._ctx.journal.write(
            "log_progress",
            log_offset=self.received,
            local_bytes=self._at,
            success_marker_seen=self.scanner.success_seen,
            failure_markers_seen=list(self.scanner.failures_seen),
        )

    def _show(self, text: bytes) -> None:
        known = max(0, self._shown - self._at - len(self._unwritten))
        if new := text[known:]:
            self._ctx.progress.output("run", new)
        self._unwritten += text
        if not self._unwritten:
            return
        with self.path.open("r+b", buffering=0) as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(self._at)
            try:
                write_all(log.fileno(), self._unwritten)
            except OSError:
                # A part of it may stand there; it is written whole, or not at all.
                if self._at >= size:
                    log.truncate(size)
                raise
        self._at += len(self._unwritten)
        self._unwritten = b""


def _start(starts: Sequence[LogStart], size: int) -> LogStart:
    """Return the last place known whose bytes are really here."""
    return next(start for start in starts if start.local <= size)


def _scanner(ctx: RunContext, start: LogStart) -> MarkerScanner:
    run = ctx.plan.run
    return MarkerScanner(
        None if run.success_marker is None else ctx.fill(run.success_marker),
        [ctx.fill(marker) for marker in run.failure_markers],
        offset=start.offset,
        success_seen=start.success_seen,
        failures_seen=list(start.failures_seen),
    )
