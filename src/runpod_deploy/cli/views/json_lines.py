"""The JSON view: each event as one line, for programs; words for people go to stderr."""

from collections.abc import Callable
from pathlib import Path

from runpod_deploy.cli.printable import block, json_line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.watch import shown
from runpod_deploy.record.events import Event


class JsonView:
    """Writes the lines of the journal as they are."""

    def __init__(self, terminal: Terminal, *, write: Callable[[str], None]) -> None:
        self._terminal = terminal
        self._write = write

    def opened(self, folder: Path, run_id: str) -> None:
        """Say on stderr which run this is."""
        self._terminal.say(f"{run_id} in {shown(folder)}")

    def event(self, event: Event) -> None:
        """Write the event."""
        self._write(json_line(event.line()))

    def message(self, text: str) -> None:
        """Say it on stderr."""
        self._terminal.say(block(text))

    def output(self, source: str, text: bytes) -> None:
        """Write nothing: the log is in the run folder."""

    def transfer(self, label: str, done: int, total: int) -> None:
        """Write nothing: not an event."""

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Write nothing: not an event."""

    async def live(self) -> None:
        """Do nothing: lines stay as they were written."""

    def pause(self) -> None:
        """Do nothing: stdout is not where questions are asked."""

    def resume(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: nothing is held back."""
