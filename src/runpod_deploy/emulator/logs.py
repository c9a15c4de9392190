"""Log lines of a pod, and the server-sent events they travel in."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from runpod_deploy.emulator.clock import parse_rfc3339, rfc3339

KEPT_LINES = 5_000
DEFAULT_TAIL = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One line; `micros` is its time in whole microseconds since 1970, unique within its pod."""

    micros: int
    number: int
    source: str
    line: str

    @property
    def ts(self) -> str:
        """The time as RFC 3339."""
        seconds, micros = divmod(self.micros, 1_000_000)
        return f"{rfc3339(seconds)[:-1]}.{micros:06d}Z"

    def event(self, *, suffix: bool) -> str:
        """Give the line as a server-sent event, its id with or without the number."""
        identity = f"{self.ts}/{self.number:012d}" if suffix else self.ts
        data = {"ts": self.ts, "source": self.source, "line": self.line}
        return f"id: {identity}\ndata: {json.dumps(data)}\n\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """Where a stream takes up: at a time, or behind one numbered line of that time."""

    micros: int
    number: int | None = None

    def admits(self, line: LogLine) -> bool:
        """Say whether a line belongs to the rest of the stream."""
        if self.number is None:
            return line.micros >= self.micros
        return line.number > self.number


def parse_cursor(text: str) -> Cursor:
    """Read a time, or an event id with its number.

    Raises:
        ValueError: Neither.
    """
    moment, slash, number = text.partition("/")
    micros = round(parse_rfc3339(moment) * 1_000_000)
    return Cursor(micros=micros, number=int(number) if slash else None)


class LogBook:
    """The last lines of one pod; readers wait for more."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._now = now
        self._count = 0
        self._grown = asyncio.Event()
        self.closed = False

    def write(self, source: str, line: str) -> None:
        """Add a line and wake the readers."""
        self._count += 1
        micros = round(self._now() * 1_000_000)
        if self._lines:
            micros = max(micros, self._lines[-1].micros + 1)
        self._lines.append(LogLine(micros=micros, number=self._count, source=source, line=line))
        self._wake()

    def close(self) -> None:
        """End every stream: no line will come any more."""
        self.closed = True
        self._wake()

    def last(self, count: int, source: str | None) -> list[LogLine]:
        """Give the last lines of one source, or of both."""
        wanted = self._of(source)
        return wanted[len(wanted) - min(count, len(wanted)) :]

    def since(self, cursor: Cursor, source: str | None) -> list[LogLine]:
        """Give the lines from a cursor on."""
        return [line for line in self._of(source) if cursor.admits(line)]

    def after(self, number: int, source: str | None) -> list[LogLine]:
        """Give the lines behind a line number."""
        return [line for line in self._of(source) if line.number > number]

    @property
    def count(self) -> int:
        """Number of the last line, 0 before the first."""
        return self._count

    async def grown(self, seconds: float) -> bool:
        """Wait for a new line or the end; False when neither came in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._grown.wait()
        except TimeoutError:
            return False
        return True

    def _of(self, source: str | None) -> list[LogLine]:
        return [line for line in self._lines if source in {None, line.source}]

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()
