"""Streams that never wait for their reader: a pager that nobody scrolls must not hold up a paid run.

What a view writes is handed to a thread, which may wait as long as it likes. Where more gathers than is
worth keeping, the rest falls, and one line says how much once the reader reads on.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import TextIO, cast

from runpod_deploy.cli.terminal import Terminal

MOST_CHARACTERS = 1 << 20


@contextlib.contextmanager
def unhurried(terminal: Terminal, *, lossless: bool = False) -> Iterator[Terminal]:
    """Let a command write without waiting; at the end it waits until all of it was read.

    Args:
        lossless: Whether a program reads, which must miss no line; then everything is kept.
    """
    clerk = Clerk(most=None if lossless else MOST_CHARACTERS)
    try:
        yield replace(
            terminal, stdout=clerk.stream(terminal.stdout), stderr=clerk.stream(terminal.stderr)
        )
    finally:
        clerk.close()


def behind(stream: TextIO) -> bool:
    """Return whether what was written to a stream before is still on its way."""
    return isinstance(stream, _Stream) and stream.clerk.pending > 0


class Clerk:
    """Writes for several streams, in the order in which it was told to, in a thread of its own.

    Attributes:
        pending: Characters that are not written yet.
    """

    def __init__(self, *, most: int | None) -> None:
        self.pending = 0
        self._most = most
        self._queue: list[tuple[TextIO, str]] = []
        self._lost: Counter[TextIO] = Counter()
        self._broken: dict[TextIO, Exception] = {}
        self._closing = False
        self._changed = threading.Condition()
        # Of a process that is told to end, nobody waits for a reader.
        self._thread = threading.Thread(target=self._work, name="terminal", daemon=True)
        self._thread.start()

    def stream(self, stream: TextIO) -> TextIO:
        """Return a stream whose words this thread writes to `stream`."""
        return cast("TextIO", _Stream(self, stream))

    def write(self, stream: TextIO, text: str) -> None:
        """Take a text over.

        Raises:
            Exception: What an earlier one broke off with, such as a reader that is gone.
        """
        with self._changed:
            if stream in self._broken:
                raise self._broken[stream]
            if self._most is not None and self.pending > self._most:
                self._lost[stream] += text.count("\n")
                return
            self._tell_lost(stream)
            self._put(stream, text)

    def close(self) -> None:
        """Wait until everything was written, and end the thread."""
        with self._changed:
            for stream in list(self._lost):
                self._tell_lost(stream)
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _tell_lost(self, stream: TextIO) -> None:
        lines = self._lost.pop(stream, 0)
        if lines and stream not in self._broken:
            self._put(
                stream,
                f"… {lines:,} lines are not shown here: nobody read them in time. The run folder has "
                "the whole log.\n",
            )

    def _put(self, stream: TextIO, text: str) -> None:
        self._queue.append((stream, text))
        self.pending += len(text)
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                batch, self._queue = self._queue, []
                if not batch:
                    return
            for stream, texts in groupby(batch, key=lambda one: one[0]):
                self._pass_on(stream, "".join(text for _, text in texts))

    def _pass_on(self, stream: TextIO, text: str) -> None:
        try:
            if stream not in self._broken:
                stream.write(text)
                stream.flush()
        except Exception as error:  # noqa: BLE001 - told to whoever writes next
            self._broken[stream] = error
        with self._changed:
            self.pending -= len(text)


class _Stream(io.TextIOBase):
    """One of the streams, as whoever writes sees it."""

    def __init__(self, clerk: Clerk, real: TextIO) -> None:
        self.clerk = clerk
        self._real = real

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the stub has a plain attribute
        """What the real one is written in."""
        return self._real.encoding

    def write(self, text: str) -> int:
        """Hand over."""
        self.clerk.write(self._real, text)
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Return what the real one says."""
        return self._real.isatty()

    def fileno(self) -> int:
        """Return what the real one says."""
        return self._real.fileno()
