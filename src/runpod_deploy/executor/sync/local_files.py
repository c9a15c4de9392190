"""What lies here already of an artifact, and what is known of it from the pull before."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from runpod_deploy.executor.sync.listing import RemoteEntry
from runpod_deploy.executor.sync.local_tree import is_draft

_BLOCK = 1024 * 1024


class LocalFile(NamedTuple):
    """A regular file here; `key` changes whenever somebody writes it."""

    size: int
    executable: bool
    key: tuple[int, ...]


class _Known(NamedTuple):
    stamp: str
    key: tuple[int, ...]
    sha256: str


@dataclass(kw_only=True, slots=True)
class PullMemory:
    """What an earlier pull of this process proved, so that the next one need not prove it again.

    A file whose mode, times, inode and size are as they were, over there and here, is taken to be
    as it was. Good enough between two pulls during a run, and never for the last one.
    """

    _known: dict[str, _Known] = field(default_factory=dict)

    def remember(self, name: str, stamp: str, local: LocalFile, sha256: str) -> None:
        """Remember a file that was proven to be equal on both sides."""
        if stamp:
            self._known[name] = _Known(stamp, local.key, sha256)

    def unwritten(self, local: Mapping[str, LocalFile]) -> set[str]:
        """Return the names of files here that nobody has written since they were proven."""
        return {
            name
            for name, file in local.items()
            if name in self._known and self._known[name].key == file.key
        }

    def sha256(self, entry: RemoteEntry) -> str | None:
        """Return the digest of a file over there that looks as it did; None when it does not."""
        known = self._known.get(entry.path)
        return known.sha256 if known is not None and known.stamp == entry.stamp else None


def local_files(root: Path) -> dict[str, LocalFile]:
    """Return the regular files below a folder, by their names as on the pod; links are not followed.

    A folder that is not there holds none. What cannot be read is left out: it will be fetched.
    """
    found: dict[str, LocalFile] = {}
    pending = [(str(root), "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                    elif entry.is_file(follow_symlinks=False) and not is_draft(entry.name):
                        found[prefix + entry.name] = _local(entry.stat(follow_symlinks=False))
        except OSError:
            continue
    return found


def local_file(path: Path) -> LocalFile | None:
    """Return the regular file at a path, None when there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return _local(status) if stat.S_ISREG(status.st_mode) else None


def _local(status: os.stat_result) -> LocalFile:
    key = (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
    )
    return LocalFile(status.st_size, bool(status.st_mode & 0o100), key)


def digests_here(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of files below a folder; those that cannot be read are left out."""
    told = {}
    for name in names:
        digest = hashlib.sha256()
        try:
            handle = os.open(
                root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
            with open(handle, "rb", buffering=0) as file:  # noqa: PTH123 - a handle, not a path
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError:
            continue
        told[name] = digest.hexdigest()
    return told
