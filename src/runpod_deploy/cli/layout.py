"""Lines of text side by side: labelled rows that wrap, and tables."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.frozen import frozen

INDENT = "  "
LABEL = 16


@frozen
class Row:
    """A label and what it stands for; `default` is what nobody asked for, and is dimmed."""

    label: str
    text: str
    default: bool = False


def section(title: str, note: str, body: Iterable[str], style: Style) -> list[str]:
    """Return a headed group of lines, closed by an empty one."""
    head = style.bold(title) + (f"  {style.dim(line(note))}" if note else "")
    return [head, *body, ""]


def labelled(rows: Iterable[Row], style: Style, width: int) -> list[str]:
    """Return rows as `  label  text`, wrapped text hanging below its first line."""
    lines = []
    for row in rows:
        label = line(row.label)
        room = max(width - len(INDENT) - LABEL, 24)
        texts = [line(part) for part in row.text.split("\n")]
        parts = [piece for text in texts for piece in folded(text, room)]
        for number, part in enumerate(parts):
            head = label if number == 0 else ""
            shown = f"{INDENT}{pad(head, LABEL)}{part}".rstrip()
            lines.append(style.dim(shown) if row.default else shown)
    return lines


def folded(text: str, room: int) -> list[str]:
    """Return `text` in lines of at most `room` columns; a word that is longer stays whole."""
    return wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def path_row(label: str, text: str, width: int) -> list[str]:
    """Return a label and a path or a command, which stays whole: below its label if it must."""
    text = line(text)
    if len(INDENT) + LABEL + cells(text) <= width:
        return [f"{INDENT}{pad(label, LABEL)}{text}"]
    return [f"{INDENT}{label}", f"{INDENT}{INDENT}{text}"]


def choices(rows: Iterable[tuple[str, str]], style: Style, width: int) -> list[str]:
    """Return answers to a question as `  key  what it means`, wrapped between words.

    A line of its own within a text, after a line break, is a command to copy and stays whole.
    """
    lines = []
    for key, text in rows:
        first, *commands = text.split("\n")
        head, *rest = folded(first, max(width - 5, 24))
        lines.append(f"{INDENT}{style.bold(key)}  {head}")
        lines += [f"     {part}" for part in rest]
        lines += [f"     {command}" for command in commands]
    return lines


def flow(items: Iterable[str], room: int, between: str = ", ") -> list[str]:
    """Return items one after the other in lines of at most `room` columns; none is broken."""
    lines = [""]
    shown = list(map(line, items))
    for left, item in zip(range(len(shown) - 1, -1, -1), shown, strict=True):
        longer = f"{lines[-1]}{between}{item}" if lines[-1] else item
        # What ends a line that another one follows needs its room as well.
        if lines[-1] and cells(longer) + (len(between.rstrip()) if left else 0) > room:
            lines[-1] += between.rstrip()
            lines.append(item)
        else:
            lines[-1] = longer
    return lines


def table(
    rows: Sequence[Sequence[str]], style: Style, *, head: Sequence[str] = (), right: str = ""
) -> list[str]:
    """Return rows in columns.

    Args:
        head: Names of the columns.
        right: One character for each column, `r` for those set flush right.
    """
    shown = [[line(cell) for cell in row] for row in rows]
    every = [list(head), *shown] if head else shown
    widths = [max(map(cells, column)) for column in zip(*every, strict=True)]
    lines = []
    for number, row in enumerate(every):
        parts = [
            pad(cell, width, flush_right=right[index : index + 1] == "r")
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text = f"{INDENT}{INDENT.join(parts)}".rstrip()
        lines.append(style.dim(text) if head and number == 0 else text)
    return lines


def pad(text: str, width: int, *, flush_right: bool = False) -> str:
    """Return `text` filled up with blanks to `width` columns."""
    blanks = " " * max(0, width - cells(text))
    return blanks + text if flush_right else text + blanks
