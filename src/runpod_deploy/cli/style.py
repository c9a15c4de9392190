"""Emphasis on a terminal: SGR codes, or nothing at all where colour is not wanted."""

from collections.abc import Mapping


class Style:
    """Puts emphasis around a text; without colour every method returns the text as it is."""

    def __init__(self, *, color: bool) -> None:
        self.color = color

    def bold(self, text: str) -> str:
        """Return `text` as a heading."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """Return `text` as what matters less."""
        return self._wrap("2", text)

    def good(self, text: str) -> str:
        """Return `text` as something that went well."""
        return self._wrap("32", text)

    def bad(self, text: str) -> str:
        """Return `text` as something that went wrong."""
        return self._wrap("1;31", text)

    def warn(self, text: str) -> str:
        """Return `text` as something to look at."""
        return self._wrap("33", text)

    def accent(self, text: str) -> str:
        """Return `text` as a name to find again."""
        return self._wrap("36", text)

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text


def wants_color(environ: Mapping[str, str], *, tty: bool) -> bool:
    """Tell whether a stream is written in colour: NO_COLOR, then FORCE_COLOR, then the terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return tty and environ.get("TERM") != "dumb"
