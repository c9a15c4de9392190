"""GitHub's Markdown from foreign text: what it says is shown, and nothing of it takes effect.

Names, scripts and paths of a pull request are hostile. Inside of code nothing is a mention, a link
or HTML, so all of them stand in code, behind a fence that they cannot close. Characters that would
not show as themselves, such as those that turn the reading direction, are written as escapes.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from runpod_deploy.cli.diagnostics import visible

_BACKTICKS = re.compile(r"`+")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
LONGEST_CELL = 300
LONGEST_LINE = 1000
_WHOLE = 900


def code(text: str, most: int = LONGEST_CELL) -> str:
    """Return `text` as a code span in one line; longer text is cut and counted."""
    shown, cut = _shortened(visible(text), most)
    if not shown.strip():
        shown = "(empty)" if not shown else f"({len(shown)} blanks)"
        return f"*{shown}*"
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}{cut}"


def cell(text: str, most: int = LONGEST_CELL) -> str:
    """Return `text` as code for a table or for HTML, where a code span would not hold."""
    shown, cut = _shortened(visible(text), most)
    if "|" not in shown and "\\" not in shown:
        return code(text, most)
    return f"{html_code(shown, most)}{cut}"


def html_code(text: str, most: int = LONGEST_CELL) -> str:
    """Return `text` as an HTML code element, every mark in it as a numbered entity."""
    shown, cut = _shortened(visible(text), most)
    return f"<code>{_PUNCTUATION.sub(_entity, shown)}</code>{cut}"


def fence(lines: Iterable[str], language: str = "") -> tuple[str, list[str], str]:
    """Return the opening, the shown lines and the closing of a code block."""
    shown = [code_line(line) for line in lines]
    marks = "`" * max(3, max(map(_longest_run, shown), default=0) + 1)
    return f"{marks}{language}", shown, marks


def code_line(text: str) -> str:
    """Return a line for a code block; tabs stay, a longer line is cut and counted."""
    shown, cut = _shortened("\t".join(map(visible, text.split("\t"))), LONGEST_LINE)
    return f"{shown}{cut}"


def cell_pair(before: str, after: str, most: int = LONGEST_CELL) -> tuple[str, str]:
    """Return two values as cells; where they are long, from near the place where they differ."""
    begin = same_start(before, after, most)
    if not begin:
        return cell(before, most), cell(after, most)
    cut = f"({begin:,} characters the same) … "
    return cut + cell(before[begin:], most), cut + cell(after[begin:], most)


def same_start(before: str, after: str, most: int) -> int:
    """Return how many characters of two texts may go unshown at their start, being the same.

    None where what differs begins within half of `most` characters.
    """
    same = len(posixpath.commonprefix([before, after]))
    return same - most // 6 if same > most // 2 and max(len(before), len(after)) > most else 0


def unfolded(text: str, mark: str = "") -> Iterator[str]:
    """Yield the lines of a text that a code block is to hold whole, each behind `mark`.

    A line that is too long for the block goes on in the next one, behind an arrow.
    """
    for one in text.split("\n"):
        # As shown: what is written as an escape takes up more room.
        shown = "\t".join(map(visible, one.split("\t")))
        yield f"{mark}{shown[:_WHOLE]}"
        for at in range(_WHOLE, len(shown), _WHOLE):
            yield f"{mark}↪ {shown[at : at + _WHOLE]}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> list[str]:
    """Return a table; the cells are Markdown already.

    Args:
        align: One character for each column, `r` for those set flush right.
    """
    rules = ["--:" if align[number : number + 1] == "r" else "---" for number in range(len(head))]
    return [f"| {' | '.join(row)} |" for row in (head, rules, *rows)]


def _entity(mark: re.Match[str]) -> str:
    # Addresses are looked for once entities are read; a comment keeps the halves of one apart.
    return f"&#{ord(mark[0])};{'<!-- -->' if mark[0] == '@' else ''}"


def _shortened(text: str, most: int) -> tuple[str, str]:
    if len(text) <= most:
        return text, ""
    return text[:most], f" … ({len(text) - most:,} more characters)"


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)
