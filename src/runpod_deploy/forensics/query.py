"""Searches the events of many runs, fast: a line is parsed only when it can match."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runpod_deploy.errors import InvalidInput
from runpod_deploy.record import tolerant
from runpod_deploy.record.event_lines import parse_event
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME
from runpod_deploy.record.json_lines import LONGEST_LINE
from runpod_deploy.record.reading import open_regular

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
# In JSON these stand as they are; anything else may be written as an escape.
_PLAIN = re.compile(r"[A-Za-z0-9_.:@ -]+")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """An event of the run in `folder`."""

    folder: Path
    event: Event


@dataclass(frozen=True, slots=True)
class Filter:
    """`key` must have the value that `text` writes: a string, or a number, boolean or null."""

    key: str
    text: str

    def holds(self, event: Event) -> bool:
        """Return whether the event has such a field."""
        try:
            value = event[self.key]
        except KeyError:
            return False
        return _same(value, self.text)


def parse_filter(written: str) -> Filter:
    """Read `KEY=VALUE`.

    Raises:
        InvalidInput: There is no `=`, or no key before it.
    """
    key, equals, text = written.partition("=")
    if not equals or not key:
        raise InvalidInput(
            f"`{written}` is no filter",
            help="Write KEY=VALUE:\n  --filter event=pod_killed_unexpected",
        )
    return Filter(key, text)


def parse_since(written: str, now: datetime) -> datetime:
    """Read an age (`30s`, `5m`, `1h`, `7d`, `2w`) or an ISO 8601 time, which is UTC without a zone.

    Raises:
        InvalidInput: It is neither.
    """
    age = _AGE.fullmatch(written.strip())
    try:
        if age is not None:
            return now - timedelta(seconds=float(age[1]) * _UNITS[age[2]])
        moment = datetime.fromisoformat(written)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"`{written}` is no time",
            help="Write an age such as 30s, 5m, 1h or 7d, or a time such as 2026-05-14T12:00.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def query(
    folders: Iterable[Path], filters: Sequence[Filter] = (), since: datetime | None = None
) -> Iterator[Match]:
    """Yield the events of all `folders` that pass every filter, run after run, in file order.

    One file is in memory a piece at a time; a folder whose journal cannot be read has no events.

    Args:
        since: Only events of this time or later; an event without a time is none of them.
    """
    needles = tuple(needle for one in filters for needle in _needles(one))
    earliest = None if since is None else since.timestamp()
    for folder in folders:
        journal = folder / JOURNAL_NAME
        try:
            if earliest is not None and journal.stat().st_mtime < earliest - 60:
                continue  # nothing was written into it since
            for raw in _candidates(journal, needles):
                event = parse_event(raw)
                if event is not None and _passes(event, filters, earliest):
                    yield Match(folder=folder, event=event)
        except OSError:
            continue


def _passes(event: Event, filters: Sequence[Filter], earliest: float | None) -> bool:
    if not all(one.holds(event) for one in filters):
        return False
    if earliest is None:
        return True
    at = tolerant.seconds(event.ts_utc)
    return at is not None and at >= earliest


_PIECE = 1 << 20


def _candidates(path: Path, needles: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines that hold every needle; a piece of a file without them is not even split."""
    with open_regular(path) as stream:
        rest: list[bytes] = []
        skipping = False
        while piece := stream.read(_PIECE):
            whole, newline, tail = piece.rpartition(b"\n")
            if not newline:
                rest = [] if skipping else [*rest, piece]
                skipping = skipping or sum(map(len, rest)) > LONGEST_LINE
                continue
            if skipping:
                whole = whole.partition(b"\n")[2]
            yield from _holding(b"".join([*rest, whole]), needles)
            rest, skipping = [tail], False
        yield from _holding(b"" if skipping else b"".join(rest), needles)


def _holding(text: bytes, needles: Sequence[bytes]) -> Iterator[bytes]:
    if not needles:
        yield from text.split(b"\n")
        return
    # The rarest needle is most likely the longest; each of its places is one line to look at.
    first, *others = sorted(needles, key=len, reverse=True)
    at = text.find(first)
    while at >= 0:
        start = text.rfind(b"\n", 0, at) + 1
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if all(needle in line for needle in others):
            yield line
        at = text.find(first, end)


def _needles(one: Filter) -> Iterator[bytes]:
    """Yield what a line must hold as bytes if the filter is to hold."""
    if _PLAIN.fullmatch(one.key):
        yield json.dumps(one.key).encode()
    if _PLAIN.fullmatch(one.text) and not _may_be_other_than_text(one.text):
        yield json.dumps(one.text).encode()


def _may_be_other_than_text(text: str) -> bool:
    return text in _WORDS or _number(text) is not None


def _same(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    if value is None or isinstance(value, bool):
        return text in _WORDS and _WORDS[text] is value
    if isinstance(value, int | float):
        return _number(text) == value
    return False


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
