"""What a misspelt word was probably meant to be."""

from collections.abc import Iterable

_MAX_LENGTH = 64


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is closest to `word`, or None when none is close."""
    if len(word) > _MAX_LENGTH:
        return None
    from difflib import get_close_matches  # noqa: PLC0415 - on the error path only

    candidates = {_normal(name): name for name in known}
    matches = get_close_matches(_normal(word), candidates, n=1, cutoff=0.6)
    return candidates[matches[0]] if matches else None


def _normal(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")
