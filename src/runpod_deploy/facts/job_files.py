"""Which files of a folder are job files: told by their text, so that a broken one counts too."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.facts.project import RUN_FOLDERS
from runpod_deploy.schema.yaml_text import MAX_BYTES

_KEY = re.compile(rb"^[\"']?([A-Za-z_]+)[\"']?[ \t]*:", re.MULTILINE)
_EXTENDS = re.compile(
    # The look ahead keeps blanks from being tried in two ways: a line of them would take hours.
    rb"^[\"']?extends[\"']?[ \t]*:[ \t]*(?![ \t])[\"']?([^\"'\r\n#]*\.ya?ml)[\"']?[ \t]*(?:#.*)?\r?$",
    re.MULTILINE,
)
_SECTIONS = frozenset(
    (b"name", b"pod", b"run", b"variables", b"storage", b"staging", b"artifacts", b"budget")
)
_PASSED_BY = frozenset(("node_modules", "__pycache__", "site-packages"))


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFiles:
    """What was found below a folder, sorted.

    Attributes:
        jobs: The job files.
        parts: YAML files that others extend, and that are no job by themselves.
        others: YAML files that are something else.
    """

    jobs: tuple[Path, ...]
    parts: tuple[Path, ...]
    others: tuple[Path, ...]


def find_job_files(folder: Path) -> JobFiles:
    """Return the job files below `folder`.

    A YAML file (`.yaml` or `.yml`) is one when keys at its left edge say so: `schema_version` and
    another section, or `pod` and `run`, or `extends` with the name of a YAML file. Looked at is no
    folder or file whose name begins with a dot, no run folder, no installed package, and nothing
    behind a link to a folder.
    """
    jobs: list[Path] = []
    others: list[Path] = []
    extended: set[Path] = set()
    whole: set[Path] = set()
    for path in sorted(_yaml_files(folder)):
        text = _beginning(path)
        keys = frozenset(_KEY.findall(text))
        bases = _EXTENDS.findall(text)
        if not (
            bases or {b"pod", b"run"} <= keys or (b"schema_version" in keys and keys & _SECTIONS)
        ):
            others.append(path)
            continue
        jobs.append(path)
        extended |= {_base(path, base) for base in bases}
        if {b"name", b"pod", b"run"} <= keys:
            whole.add(path)
    parts = [path for path in jobs if path not in whole and _named(path) in extended]
    others_extended = [path for path in others if _named(path) in extended]
    return JobFiles(
        jobs=tuple(path for path in jobs if path not in parts),
        parts=tuple(sorted(parts + others_extended)),
        others=tuple(path for path in others if path not in others_extended),
    )


def _yaml_files(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        here = Path(above)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in _PASSED_BY and not _apart(here / name)
        ]
        for name in files:
            path = here / name
            if name.endswith((".yaml", ".yml")) and not name.startswith(".") and path.is_file():
                yield path


def _apart(folder: Path) -> bool:
    """Return whether a folder holds results of runs, or an environment of Python."""
    own = folder.as_posix().endswith(f"/{RUN_FOLDERS}") or folder.as_posix() == RUN_FOLDERS
    return own or (folder / "pyvenv.cfg").exists()


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return b""


def _named(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _base(path: Path, said: bytes) -> Path:
    return Path(os.path.normpath(path.parent / os.fsdecode(said.strip())))
