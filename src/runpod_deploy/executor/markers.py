"""Looks for markers in the log of a run: steps, success, failure. Each is seen once, however cut up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_STEP = re.compile(rb"__RUNPOD_STEP_(START|DONE)__(.+?)__")
# `set -x` shows the command that prints a marker before the marker itself comes.
_TRACED = re.compile(rb"\++ ")
LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class StepMark:
    """A step marker; `offset` is the log's size after its line, or after itself in a very long one."""

    name: str
    done: bool
    offset: int


@dataclass(slots=True)
class MarkerScanner:
    """Fed with the raw log from `offset` on; remembers what it saw.

    Attributes:
        offset: Bytes of the log scanned as whole lines.
    """

    success_marker: str | None
    failure_markers: Sequence[str]
    offset: int = 0
    success_seen: bool = False
    failures_seen: list[str] = field(default_factory=list)
    _rest: bytes = b""
    _told: int = 0  # bytes at the start of `_rest` whose step markers were given out

    def feed(self, piece: bytes) -> Iterator[StepMark]:
        """Yield the step markers of the lines completed by `piece`."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self.offset += len(line) + 1
            yield from self._line(line)
            self._told = 0
        if len(self._rest) > LONGEST_LINE:
            # A line without end (a progress bar) must not be kept for ever.
            self._look(self._rest)
            for match in _STEP.finditer(self._rest, self._told):
                self._told = match.end()
                yield _mark(match, self.offset + match.end())
            cut = len(self._rest) - LONGEST_LINE // 2
            self.offset += cut
            self._told = max(0, self._told - cut)
            self._rest = self._rest[cut:]

    def finish(self) -> Iterator[StepMark]:
        """Yield what stands in a last line without a newline."""
        if self._rest:
            self.offset += len(self._rest)
            line, self._rest = self._rest, b""
            yield from self._line(line)

    def _line(self, line: bytes) -> Iterator[StepMark]:
        self._look(line)
        if _TRACED.match(line):
            return
        for match in _STEP.finditer(line, self._told):
            yield _mark(match, self.offset)

    def _look(self, text: bytes) -> None:
        if self.success_marker and self.success_marker.encode() in text:
            self.success_seen = True
        for marker in self.failure_markers:
            if marker not in self.failures_seen and marker.encode() in text:
                self.failures_seen.append(marker)


def _mark(match: re.Match[bytes], offset: int) -> StepMark:
    return StepMark(match[2].decode("utf-8", "replace"), match[1] == b"DONE", offset)
