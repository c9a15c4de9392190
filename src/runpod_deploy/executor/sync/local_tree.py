"""Writes below one local folder and never outside it, whatever stands in the way there."""

import errno
import hashlib
import os
import re
import secrets
import stat
import threading
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DRAFT = re.compile(r"\.rd-[0-9a-f]{16}\.part")

# These concern one name, not the disk: the other files can still be written.
_ONE_NAME = {
    errno.ELOOP: "a symbolic link stands in its way here",
    errno.ENOTDIR: "something that is no folder stands in its way here",
    errno.EISDIR: "a folder stands in its place here",
    errno.ENOTEMPTY: "a folder stands in its place here",
    errno.EEXIST: "something else stands in its place here",
    errno.ENAMETOOLONG: "its name is too long for this file system",
    errno.EILSEQ: "its name is not possible on this file system",
    errno.EINVAL: "its name is not possible on this file system",
}


class InTheWay(Exception):
    """One name cannot be written here; the text says why."""


class LocalTree:
    """A local folder that is written through handles, so that no link below it is followed.

    Threads may share it.

    Args:
        root: The folder; made with its parents when missing. It may itself be a link.

    Raises:
        OSError: The folder cannot be made or opened.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._root = os.open(root, _FOLDER)
        self._turn = threading.RLock()
        self._parent: tuple[str, int] = ("", os.dup(self._root))

    def close(self) -> None:
        """Close the handles."""
        os.close(self._parent[1])
        os.close(self._root)

    def make_folder(self, path: str) -> None:
        """Make a folder with its parents; one that is there is kept.

        Raises:
            InTheWay: Something else bears the name.
            OSError: The disk refused.
        """
        with self._turn:
            self._open_parent(f"{path}/")

    def draft(self, path: str, *, executable: bool) -> tuple[int, str]:
        """Open a new hidden file beside `path`; returns its handle and the path it has for now.

        Raises:
            InTheWay: A parent is no folder, or the name is not possible here.
            OSError: The disk refused.
        """
        with self._turn:
            parent = self._open_parent(path)
            folder = path.rpartition("/")[0]
            name = _hidden()
            handle = os.open(name, _FILE, 0o777 if executable else 0o666, dir_fd=parent)
            return handle, f"{folder}/{name}" if folder else name

    def kept_draft(self, path: str, *, executable: bool) -> tuple[int, str]:
        """Open the hidden file for a large `path`, which outlives a broken pull, to read and write.

        Raises:
            InTheWay: A parent is no folder, or the name is not possible here.
            OSError: The disk refused.
        """
        with self._turn:
            parent = self._open_parent(path)
            folder, _, last = path.rpartition("/")
            name = f".rd-{hashlib.sha256(os.fsencode(last)).hexdigest()[:16]}.part"
            mode = 0o777 if executable else 0o666
            try:
                handle = os.open(name, _KEPT, mode, dir_fd=parent)
            except OSError as exc:
                raise _told(exc) from exc
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                os.close(handle)
                raise InTheWay("something that is not ours stands in its place here")
            return handle, f"{folder}/{name}" if folder else name

    def open_old(self, path: str) -> int | None:
        """Open the file at `path` for reading; None when there is no regular file."""
        with self._turn:
            parent = self._open_parent(path)
            try:
                handle = os.open(_last(path), _OLD, dir_fd=parent)
            except OSError:
                return None
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                return None
            return handle

    def place(self, draft: str, path: str) -> None:
        """Rename a finished draft to `path`, replacing a file or link there.

        Raises:
            InTheWay: A folder bears the name.
            OSError: The disk refused.
        """
        with self._turn:
            parent = self._open_parent(path)
            try:
                os.rename(_last(draft), _last(path), src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as exc:
                raise _told(exc) from exc

    def drop(self, draft: str) -> None:
        """Remove a draft."""
        with self._turn:
            os.unlink(_last(draft), dir_fd=self._open_parent(draft))

    def remove(self, path: str) -> bool:
        """Remove a file; returns whether it is gone."""
        with self._turn:
            try:
                os.unlink(_last(path), dir_fd=self._open_parent(path))
            except (OSError, InTheWay):
                return False
            return True

    def sweep(self, folder: str) -> None:
        """Remove from a folder, `""` for the root, what broken pulls left of files that were not whole."""
        with self._turn:
            try:
                here = self._open_parent(f"{folder}/" if folder else "")
                for name in os.listdir(here):  # noqa: PTH208 - a handle, not a path
                    if is_draft(name):
                        os.unlink(name, dir_fd=here)
            except (OSError, InTheWay):
                return  # an unfinished file that stays does no harm

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, replacing a file or link there.

        Raises:
            InTheWay: A folder bears the name.
            OSError: The disk refused.
        """
        with self._turn:
            parent = self._open_parent(path)
            name = _hidden()
            try:
                os.symlink(target, name, dir_fd=parent)
            except OSError as exc:
                raise _told(exc) from exc
            try:
                os.rename(name, _last(path), src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as exc:
                os.unlink(name, dir_fd=parent)
                raise _told(exc) from exc

    def _open_parent(self, path: str) -> int:
        """Return a handle of the folder that holds `path`, made when missing."""
        folder = path.rpartition("/")[0]
        if folder != self._parent[0]:
            handle = self._descend(folder)
            os.close(self._parent[1])
            self._parent = (folder, handle)
        return self._parent[1]

    def _descend(self, folder: str) -> int:
        here = os.dup(self._root)
        try:
            for part in folder.split("/") if folder else ():
                below = _step(here, part)
                os.close(here)
                here = below
        except OSError as exc:
            os.close(here)
            raise _told(exc) from exc
        return here


def _step(here: int, part: str) -> int:
    """Open a folder below a handle, made when missing; never through a link."""
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
    except FileNotFoundError:
        os.mkdir(part, dir_fd=here)
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=here)


def _told(exc: OSError) -> Exception:
    why = _ONE_NAME.get(exc.errno or 0)
    return exc if why is None else InTheWay(why)


def is_draft(name: str) -> bool:
    """Tell whether a file's name is one of a file that is not whole yet."""
    return _DRAFT.fullmatch(name) is not None


def _hidden() -> str:
    return f".rd-{secrets.token_hex(8)}.part"


def _last(path: str) -> str:
    return path.rpartition("/")[2]
