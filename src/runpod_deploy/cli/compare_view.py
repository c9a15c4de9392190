"""What differed between two runs, on the terminal: values in words, texts line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from runpod_deploy.cli.amounts import duration
from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.diff_words import value_in_words
from runpod_deploy.cli.layout import pad
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.line_diff import unified
from runpod_deploy.forensics.compare import Row

UNKNOWN = "-"
_NAME = 24
_MOST_LINES = 40


def compare_lines(a: Path, b: Path, rows: Sequence[Row], terminal: Terminal) -> Iterator[str]:
    """Yield the lines that tell of `rows`, section by section."""
    style = terminal.out
    yield f"A  {line(str(a))}"
    yield f"B  {line(str(b))}"
    if not rows:
        yield style.good("Nothing differs.")
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            yield ""
            yield style.bold(section)
        yield from _row(row, terminal)


def _row(row: Row, terminal: Terminal) -> Iterator[str]:
    name = line(row.name)
    if _is_text(row.left) or _is_text(row.right):
        yield f"  {name}"
        yield from _text(row, terminal)
        return
    left, right = (line(_value(row, one)) for one in (row.left, row.right))
    if left == right and not row.same:  # too close for words
        left, right = line(str(row.left)), line(str(row.right))
    room = (terminal.width - 4 - _NAME) // 2 - 1
    if max(cells(left), cells(right)) > room or cells(name) > _NAME:
        yield f"  {name}"
        yield f"    A  {_clipped(left, terminal.width - 8)}"
        yield f"    B  {_clipped(right, terminal.width - 8)}"
    else:
        text = f"  {pad(name, _NAME)}  {pad(left, room)}  {right}"
        yield terminal.out.dim(text) if row.same else text


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value.rstrip("\n")


def _text(row: Row, terminal: Terminal) -> Iterator[str]:
    """Yield what differs in a text of several lines: `-` is only in A, `+` only in B."""
    if row.same:
        count = str(row.left).rstrip("\n").count("\n") + 1
        yield terminal.out.dim(f"    {count:,} lines, the same in both")
        return
    if not (isinstance(row.left, str) and isinstance(row.right, str)):
        only = "A" if row.right is None else "B"
        yield f"    only in {only}" if None in (row.left, row.right) else "    of another kind"
        return
    tones = {"-": terminal.out.bad, "+": terminal.out.good}
    shown = list(unified(row.left, row.right))
    for text in shown[:_MOST_LINES]:
        tone = tones.get(text[:1], terminal.out.dim)
        yield tone("    " + _clipped(line(text), terminal.width - 4))
    if len(shown) > _MOST_LINES:
        more = len(shown) - _MOST_LINES
        yield terminal.out.dim(f"    and {more:,} more lines; --json has both texts")


def _value(row: Row, value: Any) -> str:
    if value is None:
        return UNKNOWN
    measured = row.section == "timings" or row.name == "wall_time_sec"
    if measured and isinstance(value, (int, float)):
        return duration(value)
    if isinstance(value, str):
        return value.rstrip("\n") or "empty"
    return value_in_words(row.name, value).rstrip("\n").replace("\n", " ⏎ ")


def _clipped(text: str, room: int) -> str:
    if cells(text) <= room:
        return text
    while cells(text) > room - 1:
        text = text[: min(len(text) - 1, room - 1)]
    return text + "…"
