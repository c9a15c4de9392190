"""Collects what is wrong with one file, so that all of it is told at once."""

from dataclasses import dataclass, field

from runpod_deploy.errors import Diagnostic, Position, Severity
from runpod_deploy.frozen import frozen

MAX_DIAGNOSTICS = 100


class Stop(Exception):
    """Nothing more can usefully be said about the file; what was found is in the report."""


@frozen
class FileKind:
    """What messages say about a kind of file.

    Attributes:
        name: What it is called.
        least: What stands at least in it, to follow "needs at least".
        begin: How to begin with one.
    """

    name: str
    least: str
    begin: str


JOB_FILE = FileKind(
    name="job file",
    least="`schema_version`, `name`, `pod` and `run`",
    begin="To begin with a complete example, run:\n\n  runpod-deploy init",
)


@dataclass(kw_only=True, slots=True)
class Report:
    """The findings about one file.

    Attributes:
        file: The file's name as the user should read it.
        kind: What kind of file it is.
        texts: The lines of each file that could be decoded: this one's, and those it extends.
        found: The findings so far, at most `MAX_DIAGNOSTICS`.
        notes: What the reader should know although nothing is wrong; one of each kind.
        spoilt: Places whose value could not be read: nothing said about it later would be true.
    """

    file: str
    kind: FileKind = JOB_FILE
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)
    spoilt: frozenset[Position] = frozenset()

    @property
    def what(self) -> str:
        """What the file is called in messages."""
        return self.kind.name

    @property
    def lines(self) -> tuple[str, ...]:
        """The file's lines; empty until it could be decoded."""
        return self.texts.get(self.file, ())

    @lines.setter
    def lines(self, lines: tuple[str, ...]) -> None:
        self.texts[self.file] = lines

    def of(self, file: str) -> "Report":
        """Return a report about another file that adds to the same findings."""
        return Report(
            file=file, kind=self.kind, texts=self.texts, found=self.found, notes=self.notes
        )

    def error(
        self,
        code: str,
        summary: str,
        detail: str,
        at: tuple[int, int] | Position | None,
        *,
        suggestion: str | None = None,
        help: str | None = None,
    ) -> None:
        """Note one error at the place `at`, (line, column) from 1, or at no place in the file.

        An error at a place that is `spoilt` is left out.

        Raises:
            Stop: The report is full; a reader has enough to do.
        """
        where = at
        if isinstance(at, tuple):
            where = Position(file=self.file, line=at[0], column=at[1])
        assert where is None or isinstance(where, Position)  # noqa: S101 - narrows the type
        if where in self.spoilt:
            return
        self.found.append(
            Diagnostic(
                severity=Severity.ERROR,
                code=code,
                summary=summary,
                detail=detail,
                where=where,
                source_line=self._line(where),
                suggestion=suggestion,
                help=help,
            )
        )
        if len(self.found) >= MAX_DIAGNOSTICS:
            raise Stop

    def note(
        self, code: str, summary: str, detail: str, at: Position | None, *, help: str | None = None
    ) -> None:
        """Note something that is not wrong; the first note of each code is kept."""
        if all(one.code != code for one in self.notes):
            self.notes.append(
                Diagnostic(
                    severity=Severity.NOTE,
                    code=code,
                    summary=summary,
                    detail=detail,
                    where=at,
                    source_line=self._line(at),
                    help=help,
                )
            )

    def fatal(
        self,
        code: str,
        summary: str,
        detail: str,
        at: tuple[int, int] | Position | None,
        *,
        suggestion: str | None = None,
        help: str | None = None,
    ) -> Stop:
        """Note an error that ends the reading; the caller raises what is returned."""
        self.error(code, summary, detail, at, suggestion=suggestion, help=help)
        return Stop()

    def _line(self, where: Position | None) -> str | None:
        lines = () if where is None else self.texts.get(where.file, ())
        if where is None or not 0 < where.line <= len(lines):
            return None
        return lines[where.line - 1]


def shorten(text: str, limit: int = 60) -> str:
    """Return `text` on one line, cut to about `limit` characters, the cut shown by an ellipsis."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return cut.replace("\r", "\\r").replace("\n", "\\n")
