"""The lock file that pins what the project runs with."""

import hashlib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from runpod_deploy.compiler.plan import LockfileFacts
from runpod_deploy.schema.opening import read_judged

NAMES = (
    *("uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "conda-lock.yml", "pylock.toml"),
    *("pylock.*.toml", "requirements.lock", "requirements.txt", "Pipfile.lock"),
)
"""In the order in which they are believed."""


def find_lockfile(root: Path, toplevel: Path | None) -> LockfileFacts | None:
    """Return the first lock file in `root`, else in the folders above it up to `toplevel`."""
    bound = root if toplevel is None or not root.is_relative_to(toplevel) else toplevel
    for folder in _folders(root, toplevel):
        for name in NAMES:
            matches = sorted(folder.glob(name)) if "*" in name else [folder / name]
            for file in matches:
                content = _read(file, bound)
                if content is not None:
                    relative = Path(os.path.relpath(file, root)).as_posix()
                    return LockfileFacts(name=relative, sha256=hashlib.sha256(content).hexdigest())
    return None


def is_lockfile(name: str) -> bool:
    """Return whether a file of this name is a lock file."""
    return any(fnmatchcase(name, pattern) for pattern in NAMES)


def _folders(root: Path, toplevel: Path | None) -> Iterator[Path]:
    yield root
    if toplevel is not None and root.is_relative_to(toplevel) and root != toplevel:
        for folder in root.parents:
            yield folder
            if folder == toplevel:
                return


def _read(file: Path, bound: Path) -> bytes | None:
    """Return the content of a lock file; None where there is none, or a link that leads elsewhere."""
    try:
        if not file.is_file():
            return None
        place = file.resolve()
        return read_judged(place, -1) if place.is_relative_to(bound.resolve()) else None
    except (OSError, RuntimeError):  # RuntimeError: links in circles, before Python 3.13
        return None
