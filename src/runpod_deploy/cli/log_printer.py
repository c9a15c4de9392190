"""Prints a log that grows: from a file or from pieces, each byte once, fit for a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.log_text import LogText
from runpod_deploy.forensics.log import offset_of_last
from runpod_deploy.record.reading import open_regular

LOOK_AGAIN_SEC = 1.0
_BLOCK = 1 << 16


class LogPrinter:
    """One log on its way to stdout.

    Attributes:
        lines: How many of its last lines are wanted; None for all.
        offset: Bytes of the local file that were taken, those passed over included.
        printed: Whether anything was.
        waits: Whether it was said that the log is not there yet.
    """

    def __init__(
        self, terminal: Terminal, lines: int | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._terminal = terminal
        self._text = LogText(None)
        self._now = now
        self._looked = now()
        self._begun = False
        self.lines = lines
        self.offset = 0
        self.printed = False
        self.waits = False

    def file(self, path: Path) -> None:
        """Print what the local file holds beyond what was taken of it.

        Raises:
            OSError: It is there and cannot be read, or stdout is closed.
        """
        try:
            stream = open_regular(path)
        except FileNotFoundError:
            return
        with stream:
            if not self._begun and self.lines is not None:
                self.offset = offset_of_last(path, self.lines)
            self._begun = True
            stream.seek(self.offset)
            while piece := stream.read(_BLOCK):
                self.offset += len(piece)
                self.piece(piece)

    def piece(self, piece: bytes) -> None:
        """Print the lines that `piece` completes."""
        self._lines(self._text.feed(piece))

    def end(self) -> None:
        """Print a last line that has no end."""
        self._lines(self._text.flush())

    def is_time(self) -> bool:
        """Return whether it is long enough since this last was true to look at the run again."""
        if self._now() - self._looked < LOOK_AGAIN_SEC:
            return False
        self._looked = self._now()
        return True

    def _lines(self, lines: list[str]) -> None:
        if lines:
            self.printed = True
            self._terminal.stream("\n".join(lines))
