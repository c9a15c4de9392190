"""Shell wildcards as regular expressions over bytes, the way rsync's and git's wildmatch read them.

Both programs share one matcher and differ only in what `**` means: rsync lets it match anything
anywhere, git only between slashes. Bytes, because that is what both compare: `?` is one byte.
NUL, which no path holds, is never matched: it marks the end of a folder's path (see `rules`).

Patterns come from strangers, too, and backtracking over many stars would take for ever. So whatever
stands between two stars is tried at its first place only, in an atomic group: if a later place
leads to a match, the first one does as well, since the star behind it takes what lies between.
"""

import re
from itertools import pairwise

_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"!-~",
    b"lower": rb"a-z",
    b"print": rb" -~",
    b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb"\t-\r ",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}
_STAR = rb"[^/\0]*"
_EVERYTHING = rb"[^\0]*"
_FOLDERS = rb"(?:[^\0]*/)?"
_FIRST = {
    _STAR: rb"[^/\0]*?",
    _EVERYTHING: rb"[^\0]*?",
    _FOLDERS: rb"(?:[^\0]*?/)??",
}
"""What each wildcard of any length is, when the shortest is wanted."""

_NOTHING = rb"(?!)"


def rsync_regex(pattern: bytes) -> bytes:
    """Return `pattern` as a regular expression in which `**` matches slashes too."""
    return _translate(pattern, rsync=True)


def git_regex(pattern: bytes) -> bytes:
    """Return `pattern` as a regular expression in which `**` is special only as a whole component."""
    return _translate(pattern, rsync=False)


def _translate(pattern: bytes, *, rsync: bool) -> bytes:
    parts: list[bytes] = []
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"*":
            end = at
            while pattern[end : end + 1] == b"*":
                end += 1
            text, at = _stars(pattern, at, end, rsync=rsync)
            parts.append(text)
        elif char == b"?":
            parts.append(rb"[^/\0]")
            at += 1
        elif char == b"[":
            text, at = _bracket(pattern, at)
            parts.append(text)
        elif char == b"\\":
            if at + 1 == len(pattern):
                return _NOTHING
            parts.append(re.escape(pattern[at + 1 : at + 2]))
            at += 2
        else:
            parts.append(re.escape(char))
            at += 1
    return _without_retries(parts)


def _without_retries(parts: list[bytes]) -> bytes:
    """Join the parts of an expression; between wildcards, the first place that fits is kept.

    Only the last `*` and the last `**` may have to take more than they must: there is no wildcard
    behind them to take the rest. A `*` cannot take what a `**` before it left, so that a `**` is
    tied to everything up to the next `**`.
    """
    wide = [at for at, part in enumerate(parts) if part in (_EVERYTHING, _FOLDERS)]
    blocks = [_stars_first(parts[: wide[0]] if wide else parts, all_of_them=bool(wide))]
    for start, end in pairwise([*wide, len(parts)]):
        followed = end < len(parts)
        body = _stars_first(parts[start + 1 : end], all_of_them=followed)
        blocks.append(_atomic(parts[start], body) if followed else parts[start] + body)
    return b"".join(blocks)


def _stars_first(parts: list[bytes], *, all_of_them: bool) -> bytes:
    stars = [at for at, part in enumerate(parts) if part == _STAR]
    if not stars:
        return b"".join(parts)
    pieces = [b"".join(parts[: stars[0]])]
    for start, end in pairwise([*stars, len(parts)]):
        chunk = b"".join(parts[start + 1 : end])
        first = all_of_them or end < len(parts)
        pieces.append(_atomic(_STAR, chunk) if first else _STAR + chunk)
    return b"".join(pieces)


def _atomic(wildcard: bytes, rest: bytes) -> bytes:
    return b"(?>" + _FIRST[wildcard] + rest + b")"


def _stars(pattern: bytes, start: int, end: int, *, rsync: bool) -> tuple[bytes, int]:
    """Translate the run of stars at `start`; return the expression and where to go on."""
    if end - start == 1:
        return _STAR, end
    if rsync:
        return _EVERYTHING, end
    if start and pattern[start - 1 : start] != b"/":
        return _STAR, end
    if end == len(pattern):
        return _EVERYTHING, end
    if pattern[end : end + 1] == b"/":
        return _FOLDERS, end + 1
    return _STAR, end


def _bracket(pattern: bytes, start: int) -> tuple[bytes, int]:
    """Translate the set at `start`; one that is never closed matches nothing."""
    at = start + 1
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    items: list[bytes] = []
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        named = _named_class(pattern, at)
        if named is not None:
            members, at = named
        else:
            members, at = _range(pattern, at)
        if not members:
            return _NOTHING, len(pattern)
        items.append(members)
    members = b"".join(items)
    if negated:
        return rb"[^/\0" + members + rb"]", at + 1
    return rb"(?!/)[" + members + rb"]", at + 1


def _named_class(pattern: bytes, at: int) -> tuple[bytes, int] | None:
    """Translate a `[:name:]` at `at`; None when there is none, nothing for an unknown name."""
    if pattern[at : at + 2] != b"[:":
        return None
    end = pattern.find(b"]", at + 2)
    if end <= at + 2 or pattern[end - 1 : end] != b":":
        return None if end >= 0 else (b"", at)
    return _CLASSES.get(pattern[at + 2 : end - 1], b""), end + 1


def _range(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Translate a member or a range at `at`; a range that runs backwards is its first member."""
    low, at = _member(pattern, at)
    if pattern[at : at + 1] != b"-" or pattern[at + 1 : at + 2] in (b"]", b""):
        return re.escape(low), at
    high, at = _member(pattern, at + 1)
    if not low or not high:
        return b"", at
    between = re.escape(low) + b"-" + re.escape(high) if low <= high else b""
    return re.escape(low) + between, at


def _member(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Return the byte at `at`, unescaped, and where the next one is; empty at the end."""
    if pattern[at : at + 1] == b"\\":
        at += 1
    return pattern[at : at + 1], at + 1
