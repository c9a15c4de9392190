"""The last frame of an upload: what the pod needs to judge what came, and to put it into place."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from posixpath import dirname

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.executor.sync.planned_files import tar_member
from runpod_deploy.executor.sync.tar_header import BLOCK

_MOVE_BYTES = 60_000


def placing(
    named: Mapping[str, PayloadEntry], large: Mapping[str, tuple[PayloadEntry, int]]
) -> bytes:
    """Return the archive for `commit`.

    Args:
        named: What is to be moved: its name to what it must be.
        large: Of these, the ones that came in pieces: name to what it must be, and its mtime.
    """
    files = [(name, entry.sha256) for name, entry in named.items() if entry.type == "file"]
    return b"".join(
        (
            tar_member("names", "".join(f"./{name}\0" for name, _ in files)),
            tar_member("expected", "".join(f"{digest}  ./{name}\0" for name, digest in files)),
            tar_member("big", _big_script(large)),
            tar_member("move", move_script(list(named))),
            tar_member("complete", ""),
            bytes(2 * BLOCK),
        )
    )


def _big_script(large: Mapping[str, tuple[PayloadEntry, int]]) -> str:
    """Return a line for each file that came in pieces; equal ones came once and are copied."""
    last = {entry.sha256: name for name, (entry, _) in large.items()}
    lines = []
    for name, (entry, mtime) in large.items():
        folder, file = dirname(name) or ".", name.rpartition("/")[2]
        how = "'mv -f'" if last[entry.sha256] == name else "'cp -p'"
        place = f"{shlex.quote(f'./{folder}')} {shlex.quote(file)}"
        mode = "755" if entry.exec else "644"
        lines.append(f"big {entry.sha256} {place} {mode} {mtime} {how}\n")
    return "".join(lines)


def move_script(names: Sequence[str]) -> str:
    """Return `at FOLDER FILE…` lines for each folder and its files, parents first.

    What `at` does is for the caller of the script to say: it runs twice, to look and to move.
    """
    folders: dict[str, list[str]] = {".": []}
    for name in names:
        folder = dirname(name)
        parts = folder.split("/") if folder else []
        for depth in range(1, len(parts) + 1):
            folders.setdefault("/".join(parts[:depth]), [])
        folders[folder or "."].append(name[len(folder) + 1 :] if folder else name)
    return "".join(
        f"at {shlex.quote(f'./{folder}')} {group}\n"
        for folder, files in folders.items()
        for group in _groups([shlex.quote(f"./{file}") for file in files]) or [""]
    )


def _groups(words: Sequence[str]) -> list[str]:
    """Return the words joined in lines that are short enough for one command."""
    groups: list[list[str]] = []
    size = _MOVE_BYTES
    for word in words:
        size += len(word.encode()) + 1
        if size > _MOVE_BYTES:
            groups.append([])
            size = len(word.encode())
        groups[-1].append(word)
    return [" ".join(group) for group in groups]
