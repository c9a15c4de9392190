"""What a view of a run is: a listener to events and progress that must never cost the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from runpod_deploy.executor.progress import Progress
from runpod_deploy.record.events import Event


class View(Progress, Protocol):
    """Shows a run while it works."""

    def opened(self, folder: Path, run_id: str) -> None:
        """The run has its folder."""

    def event(self, event: Event) -> None:
        """An event was written to the journal."""

    async def live(self) -> None:
        """Keep the picture fresh until cancelled."""

    def pause(self) -> None:
        """Leave the terminal to a question."""

    def resume(self) -> None:
        """Go on after a question."""

    def close(self) -> None:
        """Leave the terminal for good; what was still held back is shown."""


class Guarded:
    """A view whose failures are kept and not passed on: a closed pipe must not end a paid run.

    Attributes:
        problem: What went wrong first; after that nothing more is shown.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self.problem: Exception | None = None

    def opened(self, folder: Path, run_id: str) -> None:
        """Pass it on."""
        self._guard(lambda: self._view.opened(folder, run_id))

    def event(self, event: Event) -> None:
        """Pass it on."""
        self._guard(lambda: self._view.event(event))

    def message(self, text: str) -> None:
        """Pass it on."""
        self._guard(lambda: self._view.message(text))

    def output(self, source: str, text: bytes) -> None:
        """Pass it on."""
        self._guard(lambda: self._view.output(source, text))

    def transfer(self, label: str, done: int, total: int) -> None:
        """Pass it on."""
        self._guard(lambda: self._view.transfer(label, done, total))

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Pass it on."""
        self._guard(lambda: self._view.spent(accrued_usd, cap_usd))

    async def live(self) -> None:
        """Keep the picture fresh for as long as it can be drawn."""
        try:
            await self._view.live()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            self.problem = self.problem or error

    def pause(self) -> None:
        """Pass it on."""
        self._guard(self._view.pause)

    def resume(self) -> None:
        """Pass it on."""
        self._guard(self._view.resume)

    def close(self) -> None:
        """Pass it on, also after a failure: a terminal must not be left without its cursor."""
        try:
            self._view.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has its end
            self.problem = self.problem or error

    def _guard(self, show: Callable[[], None]) -> None:
        if self.problem is not None:
            return
        try:
            show()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            self.problem = error
