"""Reads what can be run out of a documentation page: files to write, commands, and what they print.

A fenced block is run by its language: in `console` each line after `$ ` is a command and what stands
below it is its output; a `bash` block is one script; `pycon` blocks are doctests. An HTML comment on
the line above a block says what is otherwise: `file: NAME` writes the block to a file, `exit: N` is
how its last command ends, `not run: WHY` leaves it out. `setup` followed by lines is run, unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PIECE = re.compile(
    r"<!-- setup\n(?P<setup>.*?)\n-->"
    r"|(?:^<!-- (?P<note>(?:file|exit|not run): [^\n]*?) -->\n)?"
    r"^(?P<fence>```+)(?P<language>[a-z]*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_RUN = {"console", "bash", "pycon"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to do for a page.

    Attributes:
        kind: `file`, `command`, or `doctest`.
        text: The file's content, the command, or the doctest.
        name: Where the file goes, below the project.
        exit_status: How the command ends.
        shown: The output that the page shows, None where it shows none.
        line: Where the block begins in the page.
    """

    kind: str
    text: str
    line: int
    name: str = ""
    exit_status: int = 0
    shown: str | None = None


def steps_of(page: Path) -> list[Step]:
    """Return everything of a page that is written or run, in its order."""
    text = page.read_text("utf-8")
    found: list[Step] = []
    for piece in _PIECE.finditer(text):
        line = text.count("\n", 0, piece.start()) + 1
        if piece["setup"] is not None:
            found.append(Step(kind="command", text=piece["setup"], line=line))
            continue
        kind, _, said = (piece["note"] or "").partition(": ")
        found += _block(piece["language"], piece["text"], line, kind, said)
    return found


def _block(language: str, text: str, line: int, kind: str, said: str) -> list[Step]:
    if kind == "file":
        return [Step(kind="file", text=text, line=line, name=said)]
    if kind == "not run" or language not in _RUN:
        return []
    if language == "pycon":
        return [Step(kind="doctest", text=text, line=line)]
    if language == "bash":
        commands = [(text, None)]
    else:
        commands = list(_console(text))
        if not commands:
            raise ValueError(f"line {line}: a console block without a line that begins with `$ `")
    last = int(said) if kind == "exit" else 0
    return [
        Step(
            kind="command",
            text=command,
            line=line,
            shown=shown,
            exit_status=last if number == len(commands) else 0,
        )
        for number, (command, shown) in enumerate(commands, 1)
    ]


def _console(text: str) -> Iterator[tuple[str, str | None]]:
    command, shown = "", ""
    for one in text.splitlines():
        if one.startswith("$ "):
            if command:
                yield command, shown or None
            command, shown = one[2:], ""
        elif command.endswith("\\"):
            command += f"\n{one}"
        elif command:
            shown += f"{one}\n"
    if command:
        yield command, shown or None


def words(text: str) -> set[str]:
    """Return the plain words of an output: what stays the same from one run to the next."""
    text = re.sub(r"just now|\d+ \w+ ago", "", text)
    return {
        word for word in re.split(r"[\s,;:()\"]+", text) if re.fullmatch(r"[A-Za-z_]{3,}", word)
    }
