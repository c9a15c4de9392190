"""Findings about a job: what is wrong, and at which value of the job file."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from runpod_deploy.errors import Diagnostic, Position, Severity
from runpod_deploy.schema.job import JobSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A diagnostic whose place is still a JSON pointer.

    Attributes:
        pointer: The value of the job file that is wrong.
        line: Line inside a text of several lines, from 1; 0 when the whole value is meant.
        needle: What stands at the place, to find the column.
        severity: And all below: as in `Diagnostic`.
    """

    pointer: str
    code: str
    summary: str
    detail: str
    severity: Severity = Severity.ERROR
    suggestion: str | None = None
    help: str | None = None
    line: int = 0
    needle: str = ""

    def at(self, source: JobSource) -> Diagnostic:
        """Return the diagnostic with the place that `source` gives for the pointer."""
        where = _inside(source, source.locate(self.pointer), self.line, self.needle)
        return Diagnostic(
            severity=self.severity,
            code=self.code,
            summary=self.summary,
            detail=self.detail,
            where=where,
            source_line=source.line(where) if where.file == source.path else None,
            suggestion=self.suggestion,
            help=self.help,
        )


def below(pointer: str, others: Iterable[str]) -> bool:
    """Return whether `pointer` is one of `others`, lies inside of one or contains one."""
    return any(
        pointer == other or pointer.startswith(f"{other}/") or other.startswith(f"{pointer}/")
        for other in others
    )


def _inside(source: JobSource, value: Position, line: int, needle: str) -> Position:
    """Return the place of `needle` in a value that begins at `value`, as exactly as can be told.

    The mark of a literal block scalar (`|`) is at its indicator: its text begins one line below,
    and its lines are the file's lines. Other styles fold lines, so the needle is searched for.
    """
    if not line or value.file != source.path:
        return value
    first = source.line(value) or ""
    literal = first[value.column - 1 : value.column] == "|"
    begin = value.line + line if literal else value.line
    span = 1 if literal else 2 * line + 1
    pattern = re.compile(r"\{\{.*?(?<!\w)" + re.escape(needle) + r"(?!\w)" if needle else r"\{\{")
    for number in range(begin, begin + span):
        place = Position(file=value.file, line=number, column=1)
        text = source.line(place)
        found = text and pattern.search(text, value.column - 1 if number == value.line else 0)
        if text and found:
            column = found.end() - len(needle) if needle else found.start()
            return Position(file=value.file, line=number, column=column + 1)
    if not literal:
        return value
    text = source.line(Position(file=value.file, line=begin, column=1)) or ""
    indent = len(text) - len(text.lstrip())
    return Position(file=value.file, line=begin, column=indent + 1)
