"""Where a character of a text stands in the YAML file that writes it: in a block, in quotes or plainly."""

import re
from collections.abc import Sequence

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)+")
_MAX_STEPS = 20_000
_ESCAPES = {"x": 4, "u": 6, "U": 10}


def place_in_text(
    lines: Sequence[str],
    start: tuple[int, int],
    wanted: tuple[int, int],
    *,
    key_column: int | None,
) -> tuple[int, int] | None:
    r"""Return line and column in the file, all from 1, of a character of a scalar.

    Args:
        lines: The lines of the file.
        start: Line and column where the scalar begins, with its anchor and tag.
        wanted: Line and column in the text that it stands for, as `str.split("\\n")` has lines.
        key_column: Column of the key that the scalar is the value of; None in a list.

    Returns:
        None for an alias, and for a place that the text does not have.
    """
    written = lines[start[0] - 1] if start[0] <= len(lines) else ""
    begin = start[1] - 1
    properties = _PROPERTIES.match(written, begin)
    at = properties.end() if properties else begin
    if at >= len(written) or written[at] in "&!*":
        return None
    if written[at] in "|>":
        outer = _dash(written, begin) if key_column is None else key_column - 1
        return _place_in_block(lines, (start[0], at + 1), wanted, outer)
    return _place_in_flow(lines, (start[0], at + 1), wanted)


def _dash(written: str, before: int) -> int:
    """Return the indentation of the list that an item on the line belongs to."""
    return max(written.rfind("-", 0, before), 0)


def _place_in_block(
    lines: Sequence[str], start: tuple[int, int], wanted: tuple[int, int], outer: int
) -> tuple[int, int] | None:
    """Return the place of a character of a block scalar, whose indicator is at `start`.

    Args:
        outer: Blanks before what holds the scalar: an indentation that is said counts from there.
    """
    header = lines[start[0] - 1][start[1] - 1 :]
    said = next((int(one) for one in header[1:3] if one in "123456789"), 0)
    indent = outer + said if said else _indent(lines[start[0] :])
    line, column, empty = 1, 1, 0
    blank_before: bool | None = None
    for row, content in enumerate(lines[start[0] :], start[0] + 1):
        if not content[:indent].strip(" ") and len(content) <= indent:
            empty += 1
            continue
        if content[:indent].strip(" "):
            return None
        blank = content[indent] in " \t"
        if blank_before is None:
            line += empty
        elif header[0] == "|" or blank or blank_before:
            line, column = line + 1 + empty, 1
        elif empty:
            line, column = line + empty, 1
        else:
            column += 1
        if line > wanted[0]:
            return row - (line - wanted[0]), 1
        length = len(content) - indent
        if line == wanted[0] and wanted[1] <= column + length:
            return row, indent + 1 + max(wanted[1] - column, 0)
        column, empty, blank_before = column + length, 0, blank
    return None


def _indent(body: Sequence[str]) -> int:
    """Return the blanks before the first line of a block that says something."""
    return next((len(text) - len(text.lstrip(" ")) for text in body if text.strip()), 0)


def _place_in_flow(
    lines: Sequence[str], start: tuple[int, int], wanted: tuple[int, int]
) -> tuple[int, int] | None:
    """Return the place of a character of a scalar that is quoted or plain.

    Returns:
        None where the scalar ends before, or the place is too far in to be looked for.
    """
    row, at = start[0] - 1, start[1] - 1
    quote = lines[row][at : at + 1]
    quote = quote if quote in ("'", '"') else ""
    at += len(quote)
    before, behind = lines[row][at : at + wanted[1] - 1], lines[row][at + wanted[1] - 1 :]
    if wanted[0] == 1 and behind.strip() not in ("", "\\") and not _is_read(before, quote):
        return row + 1, at + wanted[1]
    line, column = 1, 1
    for _ in range(_MAX_STEPS):
        rest = lines[row][at:]
        ends = not rest.strip() or (quote == '"' and rest == "\\")
        if not ends and (line, column) >= wanted:
            return (row + 1, at + 1) if (line, column) == wanted else None
        if ends:
            row, at, empty = _next_line(lines, row)
            if row == len(lines):
                return None
            if empty:
                line, column = line + empty, 1
            else:
                column += rest != "\\"
        elif rest.startswith("\\") and quote == '"':
            at += _ESCAPES.get(rest[1], 2)
            line, column = (line + 1, 1) if rest[1] == "n" else (line, column + 1)
        elif quote and rest.startswith(quote):
            if quote == '"' or not rest.startswith("''"):
                return None
            at, column = at + 2, column + 1
        else:
            at, column = at + 1, column + 1
    return None


def _is_read(text: str, quote: str) -> bool:
    """Return whether a part of a scalar's first line may stand for something else than itself."""
    return (bool(quote) and ("\\" in text or quote in text)) or text != text.rstrip()


def _next_line(lines: Sequence[str], row: int) -> tuple[int, int, int]:
    """Return the next line that says something, where it begins, and how many are empty before."""
    first = row = row + 1
    while row < len(lines) and not lines[row].strip():
        row += 1
    indent = len(lines[row]) - len(lines[row].lstrip()) if row < len(lines) else 0
    return row, indent, row - first
