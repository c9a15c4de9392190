"""Text from pods and from the network, made fit for a message."""

import unicodedata

_CUT = "…"
_UNFIT = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def printable(text: str, limit: int = 1000) -> str:
    """Return `text` with every control, format and surrogate character escaped.

    So terminal sequences, line breaks and bidirectional overrides become visible and harmless;
    what is longer than `limit` characters is cut.
    """
    safe = "".join(
        char.encode("unicode_escape", "backslashreplace").decode("ascii")
        if unicodedata.category(char) in _UNFIT
        else char
        for char in text[: limit + 1]
    )
    return safe if len(safe) <= limit else safe[:limit] + _CUT


def first_lines(output: bytes, lines: int = 3) -> str:
    """Return the first non-empty lines of a program's output on one line, fit for a message."""
    text = output[:65536].decode("utf-8", "replace")
    kept = [line.strip() for line in text.splitlines() if line.strip()][:lines]
    return "; ".join(printable(line, 300) for line in kept)
