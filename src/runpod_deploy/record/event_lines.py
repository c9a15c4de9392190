"""Events as lines of a file: encoded so that nothing in them can break out, read whatever is there.

Lines are ASCII, so that no character in an event can end its line or steer a terminal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runpod_deploy.record.events import Event
from runpod_deploy.record.json_lines import parse_object, read_lines


def text_only(value: Any) -> Any:
    """Return JSON-like data whose strings are Unicode text: lone surrogates are spelled out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {text_only(str(key)): text_only(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [text_only(item) for item in value]
    return value


def encode_event(event: Event) -> bytes:
    r"""Return the line of an event, `\n` included.

    Raises:
        ValueError: A field holds something that JSON cannot say.
    """
    try:
        text = json.dumps(event.line(), separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"event {event.event!r}: {error}") from error
    return text.encode("ascii") + b"\n"


def parse_event(raw: bytes) -> Event | None:
    """Return the event on a line; None for a torn or foreign line. Stray bytes become U+FFFD."""
    line = parse_object(raw)
    try:
        return None if line is None else Event.from_line(line)
    except ValueError:
        return None


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a journal in file order; torn and foreign lines are passed over.

    A missing file has no events.

    Raises:
        OSError: The file is there and cannot be read.
    """
    for raw in read_lines(path):
        event = parse_event(raw)
        if event is not None:
            yield event


def mend_torn_tail(path: Path) -> None:
    """End a last line that a crash cut off, so that the next event begins on a line of its own.

    Raises:
        OSError: The file is there and cannot be written.
    """
    try:
        with path.open("rb+") as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
    except FileNotFoundError:
        return
