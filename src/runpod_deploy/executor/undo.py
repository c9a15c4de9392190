"""The undo stack: what has to be undone when a run does not succeed, last done first."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Undo = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class UndoStack:
    """Named undo actions; each runs once, and one that fails does not keep the others from running."""

    _entries: list[tuple[str, Undo]] = field(default_factory=list)

    def push(self, name: str, undo: Undo) -> None:
        """Add an action that undoes what was just done, or is about to be tried."""
        self._entries.append((name, undo))

    def drop(self, name: str) -> None:
        """Forget the actions called `name`: there is nothing left to undo."""
        self._entries = [entry for entry in self._entries if entry[0] != name]

    def names(self) -> tuple[str, ...]:
        """Return the names, the one to be undone next first."""
        return tuple(name for name, _ in reversed(self._entries))

    def find(self, name: str) -> Undo | None:
        """Return the newest action called `name`, which stays; None when there is none."""
        return next((undo for known, undo in reversed(self._entries) if known == name), None)

    async def pop(self, failed: Callable[[str, Exception], None]) -> None:
        """Run the action on top; an exception goes to `failed` with the action's name."""
        name, undo = self._entries.pop()
        try:
            await undo()
        except Exception as error:  # noqa: BLE001 - the rest of the stack must still run
            failed(name, error)
