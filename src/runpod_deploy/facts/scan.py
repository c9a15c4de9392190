"""A look at what staged files say, in the same read that hashes them: bounded, text files only.

Small files are looked at first, each up to its first 64 KiB, until 32 MiB have been: what is worth
a warning stands in code and configuration, and a plan must not take longer for large data.
"""

import os
import re
from collections.abc import Iterable, Sequence

from runpod_deploy.compiler.facts import Mark, MarkKind
from runpod_deploy.compiler.secret_looking import looks_secret
from runpod_deploy.compiler.user_paths import USER_PATH_PATTERN
from runpod_deploy.facts.walk import Found

LOOKED_AT, USER_PATH, SECRET = 0x80, 0x01, 0x02
_FILE_BYTES = 2**16
_TOTAL_BYTES = 2**25
_TEXT_BYTES = 2**10
_MAX_MARKS = 10
_USER_PATH = re.compile(USER_PATH_PATTERN.encode())
_KINDS: tuple[tuple[int, MarkKind], ...] = ((USER_PATH, "user-path"), (SECRET, "secret"))
_PROSE = (".md", ".rst", ".html")


def worth_a_look(files: Sequence[Found]) -> frozenset[str]:
    """Return the paths of the files to look into: the same for the same files, cached or not."""
    left = _TOTAL_BYTES
    chosen = []
    for found in sorted(files, key=lambda one: (one.status.st_size, one.path)):
        left -= min(found.status.st_size, _FILE_BYTES)
        if left < 0:
            break
        chosen.append(found.path)
    return frozenset(chosen)


def flags_of(content: bytes) -> int:
    """Return what the first bytes of a file say about it."""
    content = content[:_FILE_BYTES]
    if b"\0" in content[:_TEXT_BYTES]:
        return LOOKED_AT
    flags = LOOKED_AT
    if (b"/home/" in content or b"/Users/" in content) and _USER_PATH.search(content):
        flags |= USER_PATH
    if looks_secret(content) is not None:
        flags |= SECRET
    return flags


def marks(root: str, flagged: Iterable[tuple[str, int]]) -> tuple[Mark, ...]:
    """Return the first marks of each kind with their lines; the flagged files are read once more.

    Args:
        root: The source; a file when the path is empty.
        flagged: Paths and what `flags_of` said of them.
    """
    found: list[Mark] = []
    count = dict.fromkeys((flag for flag, _ in _KINDS), 0)
    for path, flags in flagged:
        content: bytes | None = None
        for flag, kind in _KINDS:
            if not flags & flag or (flag == USER_PATH and path.lower().endswith(_PROSE)):
                continue
            count[flag] += 1
            if count[flag] > _MAX_MARKS:
                found.append(Mark(path=path, kind=kind, line=0))
                continue
            content = _start_of(f"{root}/{path}" if path else root) if content is None else content
            found.append(Mark(path=path, kind=kind, line=_line(content, flag)))
    return tuple(found)


def _line(content: bytes, flag: int) -> int:
    if flag == SECRET:
        secret = looks_secret(content)
        start = -1 if secret is None else secret[1]
    else:
        path = _USER_PATH.search(content)
        start = -1 if path is None else path.start()
    return 0 if start < 0 else content.count(b"\n", 0, start) + 1


def _start_of(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _FILE_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
