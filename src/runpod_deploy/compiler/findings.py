"""Findings about a job: what is wrong, and at which value of the job file."""

import shlex
from collections.abc import Iterable

from runpod_deploy.errors import Diagnostic, Position, Severity
from runpod_deploy.frozen import frozen
from runpod_deploy.schema.job import JobSource
from runpod_deploy.schema.newer_keys import with_way_to_version_3


@frozen
class Finding:
    """A diagnostic whose place is still a JSON pointer.

    Attributes:
        pointer: The value of the job file that is wrong.
        line: Line inside the text at `pointer`, from 1; 0 when the whole value is meant.
        column: Column of that line, from 1.
        on_key: Whether the value's key is what is wrong.
        hidden: Whether the line of the file is not to be shown: it holds what looks like a secret.
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
    column: int = 1
    on_key: bool = False
    hidden: bool = False

    def at(self, source: JobSource) -> Diagnostic:
        """Return the diagnostic with the place that `source` gives for the pointer."""
        if self.line:
            where = source.locate_text(self.pointer, self.line, self.column)
        else:
            where = (source.locate_key if self.on_key else source.locate)(self.pointer)
        return Diagnostic(
            severity=self.severity,
            code=self.code,
            summary=self.summary,
            detail=self.detail,
            where=where,
            source_line=None if self.hidden else source.line(where),
            suggestion=self.suggestion,
            help=with_way_to_version_3(self._help(where), source.version, source.path),
        )

    def _help(self, where: Position) -> str | None:
        """Return what to do; a command in it names the file that is read."""
        return self.help and self.help.replace("JOB.yaml", shlex.quote(where.file))


def below(pointer: str, others: Iterable[str]) -> bool:
    """Return whether `pointer` is one of `others`, lies inside of one or contains one."""
    return any(
        pointer == other or pointer.startswith(f"{other}/") or other.startswith(f"{pointer}/")
        for other in others
    )


def column_of(text: str, line: int, needle: str) -> int:
    """Return the column, from 1, of `needle` inside a template on `line` of `text`."""
    content = text.split("\n")[line - 1 : line]
    opened = content[0].find("{{") if content else -1
    found = content[0].find(needle, max(opened, 0)) if needle and content else -1
    return max(found, opened, 0) + 1
