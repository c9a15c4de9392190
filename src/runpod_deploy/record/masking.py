"""Secrets never reach a sink in clear: texts and streams are masked by value.

A value is masked wherever its exact text shows up. Values shorter than four characters are not
masked, since hiding every `1` would hide the log itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
SHORTEST = 4


class Masker:
    """Replaces known secret values; values can be added at any time."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: list[str] = []
        for value in values:
            self.add(value)

    def __repr__(self) -> str:
        return f"Masker({len(self._values)} values)"

    def add(self, value: str) -> None:
        """Mask `value` from now on, and each of its lines that is long enough to be telling."""
        parts = {value, value.strip(), *(line.strip() for line in value.splitlines())}
        fresh = {part for part in parts if len(part) >= SHORTEST} - set(self._values)
        # Longest first, so that a secret that contains another one is hidden whole.
        self._values = sorted({*self._values, *fresh}, key=lambda v: (-len(v), v))

    def text(self, text: str) -> str:
        """Return `text` with each secret value replaced."""
        for value in self._values:
            if value in text:
                text = text.replace(value, MASK)
        return text

    def data(self, value: Any) -> Any:
        """Return JSON-like data with every string in it masked, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.data(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value

    def needles(self) -> list[bytes]:
        """Return the secret values as UTF-8, longest first."""
        return [value.encode() for value in self._values]


class StreamMasker:
    """Masks a byte stream that arrives in pieces: a secret cut in two is still found.

    Only the tail that could be the beginning of a secret is held back until the next piece.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what can be shown after `piece` has come."""
        data = self._replace(self._held + piece)
        keep = self._open_tail(data)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def flush(self) -> bytes:
        """Return the rest at the end of the stream."""
        rest, self._held = self._held, b""
        return rest

    def _replace(self, data: bytes) -> bytes:
        for needle in self._masker.needles():
            data = data.replace(needle, MASK.encode())
        return data

    def _open_tail(self, data: bytes) -> int:
        longest = 0
        for needle in self._masker.needles():
            for size in range(min(len(needle) - 1, len(data)), longest, -1):
                if data.endswith(needle[:size]):
                    longest = size
                    break
        return longest
