"""How far a transfer is, how fast, and how long it will take."""

from runpod_deploy.cli.amounts import duration, size

BAR = 24


class TransferRate:
    """One transfer under way; times are seconds of a clock that never goes back."""

    def __init__(self, label: str, now: float) -> None:
        self.label = label
        self._began = self._now = now
        self._first: int | None = None
        self._done = self._total = 0

    def moved(self, done: int, total: int, now: float) -> None:
        """Take note of bytes moved so far; what was there at the first note was not moved now."""
        if self._first is None:
            self._first = done
        self._done, self._total, self._now = done, total, now

    def told(self, *, unicode: bool = True) -> str:
        """Return label, bar, bytes, rate and the time left."""
        share = self._done / self._total if self._total else 0.0
        full = round(BAR * min(share, 1.0))
        on, off = ("━", "╌") if unicode else ("#", ".")
        parts = [f"{self.label}  {on * full}{off * (BAR - full)} {share:4.0%}", *self.words()]
        return "  ".join(parts)

    def goes_on(self, done: int, total: int) -> bool:
        """Tell whether a note is about the same transfer, and not about a new one of this label."""
        return done >= self._done and total == self._total

    def words(self) -> list[str]:
        """Return bytes, rate and the time left."""
        parts = [f"{size(self._done)} of {size(self._total)}"]
        rate = self._rate()
        if rate:
            parts.append(f"{size(rate)}/s")
            if self._done < self._total:
                parts.append(f"{duration((self._total - self._done) / rate)} left")
        return parts

    def _rate(self) -> float:
        seconds = self._now - self._began
        return (self._done - (self._first or 0)) / seconds if seconds >= 0.5 else 0.0
