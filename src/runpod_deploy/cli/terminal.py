"""Where a command's words go: data to stdout, everything else to stderr, and how loudly."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TextIO

from runpod_deploy.cli.style import Style, wants_color
from runpod_deploy.errors import Diagnostic, InvalidInput, Severity

WIDEST = 100
_asked: ContextVar[tuple[bool, bool]] = ContextVar("_asked", default=(False, False))


def remember_verbosity(*, verbose: bool, quiet: bool) -> None:
    """Keep the flags, which may stand before the command's name and after it.

    Raises:
        InvalidInput: Both were given.
    """
    if verbose and quiet:
        raise InvalidInput("--verbose and --quiet exclude each other")
    _asked.set((verbose, quiet))


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """The streams of one command.

    Attributes:
        asks: Whether a person can answer: stdin and stderr are terminals.
        live: Whether stdout is a terminal that can be drawn on.
        github: Whether a GitHub runner reads along; it takes lines with `::` for commands.
        unicode: Whether stdout can show more than ASCII.
    """

    stdout: TextIO
    stderr: TextIO
    out: Style
    err: Style
    verbose: bool = False
    quiet: bool = False
    asks: bool = False
    live: bool = False
    github: bool = False
    unicode: bool = True
    width: int = 80
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def print(self, text: str = "") -> None:
        """Write what was asked for to stdout; where nobody reads any more (`| head`), nowhere."""
        with contextlib.suppress(BrokenPipeError):
            self.stream(text)

    def stream(self, text: str) -> None:
        """Write one line of many to stdout.

        Raises:
            BrokenPipeError: Nobody reads any more, so that the lines to come need not be found.
        """
        self._write(self.stdout, text)

    def document(self, value: object) -> None:
        """Write data as JSON to stdout: every `--json` of one document goes through here."""
        from runpod_deploy.cli.printable import json_document  # noqa: PLC0415 - few need it

        self.print(json_document(value))

    def data(self, content: bytes) -> None:
        """Write bytes to stdout exactly as they are; where nobody reads any more, nowhere."""
        try:
            self.stdout.flush()
            self.stdout.buffer.write(content)
            self.stdout.flush()
        except BrokenPipeError:
            deafen(self.stdout)

    def say(self, text: str = "") -> None:
        """Tell the person something in passing; with --quiet nothing."""
        if not self.quiet:
            self.alert(text)

    def alert(self, text: str) -> None:
        """Write a warning or an error, also with --quiet."""
        with contextlib.suppress(BrokenPipeError):
            self._write(self.stderr, text)

    def findings(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Write diagnostics to stderr; of those that stop nothing, --quiet drops the notes."""
        kept = [one for one in diagnostics if not (self.quiet and one.severity is Severity.NOTE)]
        if kept:
            from runpod_deploy.cli.diagnostics import render_text  # noqa: PLC0415 - few need it

            self.alert(render_text(kept, color=self.err.color))

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write((defused(text) if self.github else text) + "\n")
            stream.flush()
        except BrokenPipeError:
            deafen(stream)
            raise


def deafen(stream: TextIO) -> None:
    """Let everything that is still written to a stream go nowhere: nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor, or is closed
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def defused(text: str) -> str:
    """Return `text` so that a GitHub runner finds no command in it."""
    if "::" not in text and "##[" not in text:
        return text
    lines = []
    for line in text.replace("##[", "## [").split("\n"):
        blank = len(line) - len(line.lstrip())
        command = line.startswith("::", blank)
        lines.append(f"{line[:blank]}: :{line[blank + 2 :]}" if command else line)
    return "\n".join(lines)


def open_terminal(*, verbose: bool = False, quiet: bool = False) -> Terminal:
    """Return the streams of this process, with the flags of the command and those before its name.

    Raises:
        InvalidInput: Both --verbose and --quiet were given.
    """
    before = _asked.get()
    verbose, quiet = verbose or before[0], quiet or before[1]
    remember_verbosity(verbose=verbose, quiet=quiet)
    environ = os.environ
    out_tty, err_tty = sys.stdout.isatty(), sys.stderr.isatty()
    return Terminal(
        stdout=sys.stdout,
        stderr=sys.stderr,
        out=Style(color=wants_color(environ, tty=out_tty)),
        err=Style(color=wants_color(environ, tty=err_tty)),
        verbose=verbose,
        quiet=quiet,
        asks=sys.stdin is not None and sys.stdin.isatty() and err_tty,
        live=out_tty and environ.get("TERM") != "dumb",
        github=environ.get("GITHUB_ACTIONS") == "true",
        unicode=(sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf16"},
        width=min(shutil.get_terminal_size().columns, WIDEST) if out_tty else 80,
        environ=environ,
    )
