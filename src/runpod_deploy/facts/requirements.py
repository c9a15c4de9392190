"""The staged files that say which packages the job installs, as text."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry

_MAX_FILES = 20
_MAX_BYTES = 2**18
_MAX_DEPTH = 2
_NAMES = re.compile(r"pyproject\.toml|[\w.-]*requirements[\w.-]*\.txt|requirements/[\w.-]+\.txt")


def read_requirements(source: Path, entries: Sequence[PayloadEntry]) -> dict[str, str]:
    """Return the text of each such file near the top of `source`, by its path in there.

    At most 20 files of 256 KiB; one that is no UTF-8 or cannot be read is left out.
    """
    chosen = [entry for entry in entries if entry.type == "file" and _is_one(entry, source)]
    texts = {}
    for entry in chosen[:_MAX_FILES]:
        text = _read(source / entry.path if entry.path else source)
        if text is not None:
            texts[entry.path] = text
    return texts


def _is_one(entry: PayloadEntry, source: Path) -> bool:
    path = entry.path or source.name
    if not path.endswith((".txt", ".toml")):
        return False
    folder, _, name = path.rpartition("/")
    near = path.count("/") <= _MAX_DEPTH and entry.size <= _MAX_BYTES
    inner = folder.rpartition("/")[2]
    return near and bool(_NAMES.fullmatch(name) or _NAMES.fullmatch(f"{inner}/{name}"))


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
