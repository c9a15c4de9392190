"""What a run tells while it works, beside its events: bytes, log lines, commands' output."""

from typing import Protocol


class Progress(Protocol):
    """A listener that is told as things happen; must be quick and must not raise."""

    def message(self, text: str) -> None:
        """Something a person should read."""

    def output(self, source: str, text: bytes) -> None:
        """Bytes printed on the pod, masked; `source` is `run`, or a command's name."""

    def transfer(self, label: str, done: int, total: int) -> None:
        """Bytes moved so far under `label`."""

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Money accrued so far."""


class Silent:
    """A listener that shows nothing."""

    def message(self, text: str) -> None:
        """Show nothing."""

    def output(self, source: str, text: bytes) -> None:
        """Show nothing."""

    def transfer(self, label: str, done: int, total: int) -> None:
        """Show nothing."""

    def spent(self, accrued_usd: float, cap_usd: float) -> None:
        """Show nothing."""
