"""Writes pulled files below one local folder and nowhere else, whatever names the pod gives them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Landing:
    """A local folder; each path is walked without following links, so that none can lead outside."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._root)

    def folder(self, path: str) -> None:
        """Make the folder `path` and those above it.

        Raises:
            OSError: Something that is no folder stands in the way.
        """
        with self._inside(path):
            pass

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link; one that is there already is replaced."""
        parent, _, name = path.rpartition("/")
        with self._inside(parent) as folder:
            partial = _partial_name()
            os.symlink(target, partial, dir_fd=folder)
            _put(partial, name, folder)

    def open(self, path: str, *, executable: bool) -> LandingFile:
        """Begin a file; it appears under its name only when `LandingFile.keep` says so."""
        parent, _, name = path.rpartition("/")
        with self._inside(parent) as folder:
            return LandingFile(os.dup(folder), name, executable=executable)

    @contextlib.contextmanager
    def _inside(self, path: str) -> Iterator[int]:
        folder = os.dup(self._root)
        try:
            for part in path.split("/") if path else ():
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
                below = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)


class LandingFile:
    """A file that is being pulled, under a temporary name beside its own."""

    def __init__(self, folder: int, name: str, *, executable: bool) -> None:
        self._folder = folder
        self._name = name
        self._partial = _partial_name()
        self._digest = hashlib.sha256()
        self.size = 0
        try:
            mode = 0o777 if executable else 0o666
            self._fd = os.open(self._partial, _NEW, mode, dir_fd=folder)
        except OSError:
            os.close(folder)
            raise

    def write(self, piece: bytes) -> None:
        """Append bytes."""
        self._digest.update(piece)
        self.size += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view) :]

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        return self._digest.hexdigest()

    def keep(self, mtime: int) -> None:
        """Let the file appear under its name."""
        try:
            with contextlib.suppress(OverflowError):
                os.utime(self._fd, (mtime, mtime))
            _put(self._partial, self._name, self._folder)
        finally:
            os.close(self._fd)
            os.close(self._folder)

    def discard(self) -> None:
        """Forget the file."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._partial, dir_fd=self._folder)
        os.close(self._fd)
        os.close(self._folder)


def _put(partial: str, name: str, folder: int) -> None:
    try:
        os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        os.unlink(partial, dir_fd=folder)
        if error.errno == errno.EISDIR:
            raise FileExistsError(errno.EEXIST, "a folder is in the way", name) from error
        raise


def _partial_name() -> str:
    return f".runpod-deploy-{secrets.token_hex(8)}.partial"
