"""Sizes, times and money as people read them."""

_STEP = 1000.0


def size(count: float) -> str:
    """Return bytes in powers of ten: `0 B`, `999 B`, `1.2 kB`, `345 MB`."""
    if count < _STEP:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= _STEP
        if count < 999.5:
            return f"{count:.1f} {unit}" if count < 9.95 else f"{count:.0f} {unit}"
    count /= _STEP
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Return seconds as `0.4s`, `12s`, `3m 05s` or `1h 02m`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"


def limit(seconds: float) -> str:
    """Return a time limit without digits that say nothing: `2 min`, `90 s`, `1 h 30 min`."""
    minutes, rest = divmod(seconds, 60)
    if minutes < 2 or rest:
        return f"{seconds:g} s"
    hours, left = divmod(int(minutes), 60)
    if not hours:
        return f"{left} min"
    return f"{hours} h {left} min" if left else f"{hours} h"


def usd(amount: float) -> str:
    """Return dollars, with more digits where two would hide the amount: `$0.10`, `$0.0042`."""
    return f"${amount:.2f}" if amount == 0 or amount >= 0.095 else f"${amount:.4f}"


def count(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`, `1,234 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
