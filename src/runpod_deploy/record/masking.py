"""Secrets never reach a sink in clear: texts and streams are masked by value.

A value is masked wherever its exact text shows up, or the text that JSON, a shell, a URL or base64
writes for it.
Every character that belongs to an occurrence is hidden, also where two secrets overlap. Values
shorter than four characters are not masked, since hiding every `1` would hide the log itself.
"""

import base64
import contextlib
import json
import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, AnyStr
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
SHORTEST_BASE64 = 6
BASE64_LINE = 76
_SHELL_MARKS = re.compile(r"[ \t'\"\\|&;()<>!{}*\[\]?^$`]|^[~#]")
_ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_.]*\s*=(.*)")
_PLAIN_WORDS = frozenset(("true", "false", "none", "null"))
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_URL_SAFE = str.maketrans("+/", "-_")


class Masker:
    """Replaces known secret values; values can be added at any time."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._added = 0
        self._values: list[str] = []
        self._needles: list[bytes] = []
        for value in values:
            self.add(value)

    def __repr__(self) -> str:
        return f"Masker({self._added} values)"

    def add(self, value: str) -> None:
        """Mask `value` from now on, and each of its lines that is long enough to be telling.

        Of a line `NAME=value`, as a shell or a .env file has it, the value as well.

        Bytes that are not UTF-8 stand in `value` as surrogates, as `os.environ` gives them.
        """
        lines = value.splitlines()
        parts = {value, value.strip(), *(line.strip() for line in lines)}
        parts.update(part for line in lines for part in _assigned(line))
        forms = {form for part in parts if len(part) >= SHORTEST for form in _written_forms(part)}
        if len(value.rstrip("\n")) >= SHORTEST:
            # The line break that files and commands end with is the log's own where it is printed.
            forms = {form for form in forms if not form.endswith("\n")} | {value.rstrip("\n")}
        fresh = forms - set(self._values)
        self._added += bool(fresh)
        self._values.extend(sorted(fresh, key=lambda v: (-len(v), v)))
        self._needles = list(dict.fromkeys(map(_bytes_of, self._values)))

    def text(self, text: str) -> str:
        """Return `text` with each secret value replaced."""
        spans = _spans(text, self._values)
        if not spans:
            return text
        pieces: list[str] = []
        shown = 0
        for start, end in spans:
            pieces += (text[shown:start], MASK)
            shown = end
        return "".join((*pieces, text[shown:]))

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
        """Return the texts that are masked, as bytes; the list is replaced, never changed."""
        return self._needles


class StreamMasker:
    """Masks a byte stream that arrives in pieces: a secret cut in two is still found.

    However the stream is cut, the output is that of masking it whole. Only the tail that could be
    the beginning of a secret is held back until the next piece.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._hidden = 0  # bytes at the start of `_held` that belong to a mask already given out

    @property
    def idle(self) -> bool:
        """Whether nothing is held back: a new masker would go on from here in the same way."""
        return not self._held and not self._hidden

    def feed(self, piece: bytes) -> bytes:
        """Return what can be shown after `piece` has come."""
        data = self._held + piece
        needles = self._masker.needles()
        return self._show(data, needles, len(data) - _open_tail(data, needles))

    def flush(self) -> bytes:
        """Return the rest at the end of the stream."""
        return self._show(self._held, self._masker.needles(), len(self._held))

    def _show(self, data: bytes, needles: Sequence[bytes], until: int) -> bytes:
        pieces: list[bytes] = []
        done = self._hidden
        for start, end in _spans(data, needles):
            if start >= until:
                break
            if start >= done:
                pieces += (data[done:start], MASK.encode())
            done = max(done, end)
        pieces.append(data[done:until])
        self._held = data[until:]
        self._hidden = max(0, done - until)
        return b"".join(pieces)


def _assigned(line: str) -> set[str]:
    """Return what a line `NAME=value` gives the name, as written and as a shell reads it."""
    found = _ASSIGNMENT.fullmatch(line.strip())
    if found is None:
        return set()
    written = found[1].strip()
    values = {written, written.strip("'\"")}
    with contextlib.suppress(ValueError):  # quotes that do not end
        values.update(shlex.split(written, comments=True)[:1])
    return {value for value in values if value.lower() not in _PLAIN_WORDS}


def _written_forms(value: str) -> set[str]:
    """Return `value` and how JSON, shells, URLs and base64 write it."""
    content = _bytes_of(value)
    forms = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        value.replace("'", "'\"'\"'"),
        value.replace("'", "'\\''"),
        # `printf %q`; whether it marks commas is a matter of the version
        _SHELL_MARKS.sub(r"\\\g<0>", value),
        _SHELL_MARKS.sub(r"\\\g<0>", value).replace(",", "\\,"),
        *(quote(content, safe=safe) for safe in ("", "/")),
        quote_plus(content),
    }
    forms |= {_PERCENT.sub(lambda found: found[0].lower(), form) for form in forms if "%" in form}
    return forms | _base64_forms(content)


def _base64_forms(content: bytes) -> set[str]:
    """Return what base64 makes of `content` wherever it stands in what is encoded.

    Three bytes become four characters, so there are three ways to begin; characters that also hold
    bits of a neighbour are left out.
    """
    if len(content) < SHORTEST_BASE64:
        return set()
    forms = set()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + content).decode()
        first, last = -(-before * 8 // 6), (before + len(content)) * 8 // 6
        forms |= {whole[first:last], whole[first:last].translate(_URL_SAFE)}
        if before == 0 and last > BASE64_LINE:
            # As `base64` writes a secret that stands alone.
            forms.add("\n".join(textwrap.wrap(whole[:last], BASE64_LINE)))
    return forms


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _spans(data: AnyStr, needles: Iterable[AnyStr]) -> list[tuple[int, int]]:
    """Return where needles stand in `data`: ascending half-open ranges, overlapping ones joined."""
    found: list[tuple[int, int]] = []
    for needle in needles:
        size = len(needle)
        start = data.find(needle)
        while start >= 0:
            end = start + size
            # A secret that overlaps itself: jump to the last occurrence that touches this one.
            while (last := data.rfind(needle, end - size + 1, end + size - 1)) >= 0:
                end = last + size
            found.append((start, end))
            start = data.find(needle, end)
    found.sort()
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _open_tail(data: bytes, needles: Iterable[bytes]) -> int:
    """Return the length of the longest end of `data` that is a proper beginning of a needle."""
    longest = 0
    for needle in needles:
        start = data.find(needle[:1], max(0, len(data) - len(needle) + 1))
        while start >= 0 and len(data) - start > longest:
            if needle.startswith(data[start:]):
                longest = len(data) - start
            start = data.find(needle[:1], start + 1)
    return longest
