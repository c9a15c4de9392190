"""Diagnostics on the terminal and as data: the place, the line, a caret, what is wrong, what to do."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from textwrap import wrap
from typing import Any

from runpod_deploy.errors import Diagnostic, Severity

WIDTH = 80
_TAB = 4
MAX_SOURCE_LINE = 1000
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_COLORS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}
_GUTTER_COLOR = "1;34"
_BOLD = "1"


class _Paint:
    """Colours a piece of text, or does not."""

    def __init__(self, *, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._color else text


def sorted_diagnostics(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return `diagnostics` by file and place, errors first at each; those without a place lead."""
    return sorted(diagnostics, key=_order)


def _order(diagnostic: Diagnostic) -> tuple[str, int, int, int]:
    where, rank = diagnostic.where, _RANK[diagnostic.severity]
    return ("", 0, 0, rank) if where is None else (where.file, where.line, where.column, rank)


def render_text(diagnostics: Iterable[Diagnostic], *, color: bool) -> str:
    """Return all diagnostics for a terminal, a closing count last; empty when there are none.

    Control characters and others that would not show as themselves are written as escapes, so that
    a hostile file cannot move the cursor or reorder the text.
    """
    ordered = sorted_diagnostics(diagnostics)
    if not ordered:
        return ""
    blocks = [_render_one(diagnostic, color=color) for diagnostic in ordered]
    return "\n\n".join([*blocks, _count(ordered)]) + "\n"


def render_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return all diagnostics as JSON-like data, in the order of `render_text`.

    `line` and `column` count from 1 and are null, like `file`, for a finding without a place.
    `source_line` is cut to 1000 characters.
    """
    return [
        {
            "severity": one.severity.value,
            "code": one.code,
            "summary": one.summary,
            "detail": one.detail,
            "file": None if one.where is None else one.where.file,
            "line": None if one.where is None else one.where.line,
            "column": None if one.where is None else one.where.column,
            "source_line": one.source_line and one.source_line[:MAX_SOURCE_LINE],
            "suggestion": one.suggestion,
            "help": one.help,
        }
        for one in sorted_diagnostics(diagnostics)
    ]


def _render_one(diagnostic: Diagnostic, *, color: bool) -> str:
    paint = _Paint(color=color)
    tone = _COLORS[diagnostic.severity]
    # Only of what can be switched off does a reader need the code.
    code = "" if diagnostic.severity is Severity.ERROR else f"[{visible(diagnostic.code)}]"
    lines = [
        paint(f"{diagnostic.severity.value}{code}:", tone)
        + paint(f" {visible(diagnostic.summary)}", _BOLD)
    ]
    if diagnostic.where is not None:
        lines += _source_view(diagnostic, paint, tone)
    lines += _paragraphs(diagnostic.detail)
    if diagnostic.suggestion is not None:
        lines += _paragraphs(f"Did you mean `{diagnostic.suggestion}`?")
    if diagnostic.help is not None:
        first, *rest = _paragraphs(diagnostic.help, first="help: ")
        lines += [first.replace("help:", paint("help:", _BOLD), 1), *rest]
    return "\n".join(lines)


def _source_view(diagnostic: Diagnostic, paint: _Paint, tone: str) -> list[str]:
    where = diagnostic.where
    assert where is not None  # noqa: S101 - the caller has looked
    number = str(where.line)
    pad = " " * len(number)
    view = [f"{pad}{paint('-->', _GUTTER_COLOR)} {visible(str(where))}"]
    if diagnostic.source_line is None:
        return view
    text, offset = _excerpt(diagnostic.source_line, where.column)
    bar = paint(f"{pad} |", _GUTTER_COLOR)
    return [
        *view,
        bar,
        f"{paint(f'{number} |', _GUTTER_COLOR)} {text}".rstrip(),
        f"{bar} {' ' * offset}{paint('^', tone)}",
    ]


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """Return the part of `line` around `column` as it shows, and how many cells precede the caret."""
    at = min(max(column - 1, 0), len(line))
    room = WIDTH - 10
    start = 0 if at < room - 10 else at - room // 2
    end = start + room
    before = _shown(line[start:at])
    after = _shown(line[at:end], cells(before))
    if start:
        before = "…" + before
    return before + after + ("…" if end < len(line) else ""), cells(before)


def _shown(text: str, at: int = 0) -> str:
    """Return `text` with tabs as spaces up to the next stop and hidden characters as escapes."""
    out = ""
    for character in text:
        out += " " * (_TAB - (at + cells(out)) % _TAB) if character == "\t" else visible(character)
    return out


def visible(text: str) -> str:
    """Return `text` with every character that would not show as itself written as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cells(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _paragraphs(text: str, first: str = "") -> list[str]:
    """Wrap the paragraphs of `text`; indented lines are to be copied and stay as they are."""
    lines: list[str] = []
    for number, paragraph in enumerate(text.split("\n")):
        lead = first if number == 0 else ""
        if not paragraph.strip() or paragraph.startswith(" "):
            lines.append(f"  {visible(paragraph)}".rstrip())
            continue
        lines += wrap(
            lead + visible(re.sub(r"\s+", " ", paragraph)),
            WIDTH,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _count(diagnostics: list[Diagnostic]) -> str:
    counts = Counter(one.severity for one in diagnostics)
    words = [
        f"{counts[severity]} {severity.value}{'' if counts[severity] == 1 else 's'}"
        for severity in _RANK
        if counts[severity]
    ]
    return ", ".join(words) + "."
