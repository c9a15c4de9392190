"""The staged files that say which packages the job installs, as text."""

import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry

_MAX_FILES = 20
_MAX_BYTES = 2**18
_MAX_DEPTH = 2
NAMES = re.compile(r"pyproject\.toml|[\w.-]*requirements[\w.-]*\.txt|requirements/[\w.-]+\.txt")


def requirement_files(source: Path, entries: Iterable[PayloadEntry]) -> tuple[str, ...]:
    """Return the paths of such files near the top of `source`: at most 20 files of 256 KiB."""
    chosen = (one.path for one in entries if one.type == "file" and _is_one(one, source))
    return tuple(islice(chosen, _MAX_FILES))


def read_requirements(source: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the text of each of the files, by its path in `source`.

    One that is no UTF-8 or cannot be read is left out.
    """
    texts = {path: _read(source / path if path else source) for path in paths}
    return {path: text for path, text in texts.items() if text is not None}


def _is_one(entry: PayloadEntry, source: Path) -> bool:
    path = entry.path or source.name
    if not path.endswith((".txt", ".toml")):
        return False
    folder, _, name = path.rpartition("/")
    near = path.count("/") <= _MAX_DEPTH and entry.size <= _MAX_BYTES
    inner = folder.rpartition("/")[2]
    return near and bool(NAMES.fullmatch(name) or NAMES.fullmatch(f"{inner}/{name}"))


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(descriptor, _MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return None
    finally:
        os.close(descriptor)
