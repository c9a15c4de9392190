"""Where a character of a text stands in a YAML file that writes it in quotes or plainly."""

from collections.abc import Sequence

_MAX_STEPS = 20_000
_ESCAPES = {"x": 4, "u": 6, "U": 10}


def place_in_flow(
    lines: Sequence[str], start: tuple[int, int], wanted: tuple[int, int]
) -> tuple[int, int] | None:
    """Return line and column in the file, all from 1, of a character of a scalar.

    Args:
        lines: The lines of the file.
        start: Line and column of the scalar, which is quoted or plain.
        wanted: Line and column in the text that it stands for, with escapes read and lines joined.

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
