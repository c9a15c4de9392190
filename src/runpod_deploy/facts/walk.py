"""Which files of a staging source travel: the walk that planning and sending share.

Folders travel only as far as there are files in them, as in git: an empty folder is not carried.
"""

import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from runpod_deploy.facts.gitignore import NAME as GITIGNORE
from runpod_deploy.facts.gitignore import IgnoreFile, parse
from runpod_deploy.facts.rules import FOLDER, PathRules

Obstacle = Literal["link-leaves-source", "special-file", "name-not-utf8", "unreadable"]


class Found(NamedTuple):
    """A file or link that travels; `target` is set for links only, `status` is the link's own.

    A tuple, since there is one for each file and it costs a fourth of a frozen dataclass.
    """

    path: str
    status: os.stat_result
    target: str | None = None


@dataclass(slots=True)
class Walk:
    """What a walk found.

    Attributes:
        found: Sorted by the bytes of `path`, which is relative to the source.
        obstacles: What cannot travel and was not excluded: kind to paths, as shown to a user.
    """

    found: list[Found] = field(default_factory=list)
    obstacles: dict[Obstacle, list[str]] = field(default_factory=dict)

    def hit(self, kind: Obstacle, path: str) -> None:
        """Note one thing that cannot travel."""
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self.obstacles.setdefault(kind, []).append(shown)


def walk(source: Path, filters: PathRules, ignore_from: Path | None) -> Walk:
    """Return what travels when `source` is staged.

    Args:
        source: An existing folder or file, links resolved. Itself it is never dropped.
        filters: Filter patterns relative to the source; what they say goes before `.gitignore`.
        ignore_from: The topmost folder whose `.gitignore` counts, at or above `source`; None: none.
    """
    result = Walk()
    status = source.stat()
    if stat.S_ISREG(status.st_mode):
        result.found.append(Found("", status))
        return result
    if not stat.S_ISDIR(status.st_mode):
        result.hit("special-file", source.name)
        return result
    above = () if ignore_from is None else tuple(_ignore_files_above(source, ignore_from))
    _Walker(str(source), filters, result, gitignore=ignore_from is not None).run(above)
    result.found.sort(key=_path)
    return result


def _path(found: Found) -> str:
    return found.path


def _ignore_files_above(source: Path, top: Path) -> Iterator[IgnoreFile]:
    """Yield the ignore files above `source`, the deepest first."""
    for folder in source.parents:
        if not folder.is_relative_to(top):
            return
        file = folder / GITIGNORE
        if file.is_file() and not file.is_symlink():
            prefix = f"/{source.relative_to(folder).as_posix()}"
            yield IgnoreFile(parse(file.read_bytes()), prefix.encode())


class _Walker:
    def __init__(self, root: str, filters: PathRules, result: Walk, *, gitignore: bool) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._filters = filters
        self._result = result
        self._gitignore = gitignore

    def run(self, above: tuple[IgnoreFile, ...]) -> None:
        pending = [("", above)]
        while pending:
            prefix, ignores = pending.pop()
            pending.extend(self._folder(prefix, ignores))

    def _folder(
        self, prefix: str, ignores: tuple[IgnoreFile, ...]
    ) -> list[tuple[str, tuple[IgnoreFile, ...]]]:
        """Take in one folder; return the folders below it with the ignore files in effect."""
        try:
            with os.scandir(f"{self._root}/{prefix}") as entries:
                listed = list(entries)
        except OSError:
            self._result.hit("unreadable", prefix)
            return []
        if self._gitignore:
            ignores = self._own_ignore_file(listed, prefix) + ignores
        below = []
        anchored = b"/" + os.fsencode(prefix)
        for entry in listed:
            name = entry.name
            raw = name.encode("utf-8", "surrogateescape")
            folder = entry.is_dir(follow_symlinks=False)
            if folder:
                raw += FOLDER
            if self._dropped(anchored + raw, raw, ignores):
                continue
            if folder:
                below.append((f"{prefix}{name}/", ignores))
            else:
                self._take(entry, prefix + name)
        return below

    def _own_ignore_file(
        self, listed: list["os.DirEntry[str]"], prefix: str
    ) -> tuple[IgnoreFile, ...]:
        for entry in listed:
            if entry.name == GITIGNORE and entry.is_file(follow_symlinks=False):
                try:
                    content = Path(entry.path).read_bytes()
                except OSError:
                    self._result.hit("unreadable", prefix + entry.name)
                    return ()
                return (IgnoreFile(parse(content), b"", skip=len(os.fsencode(prefix))),)
        return ()

    def _dropped(self, path: bytes, name: bytes, ignores: tuple[IgnoreFile, ...]) -> bool:
        said = self._filters.drops(path, name)
        if said is not None:
            return said
        for ignore in ignores:
            said = ignore.ignores(path, name)
            if said is not None:
                return said
        return False

    def _take(self, entry: "os.DirEntry[str]", path: str) -> None:
        if not _is_utf8(path):
            self._result.hit("name-not-utf8", path)
            return
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                self._result.found.append(Found(path, status))
            elif stat.S_ISLNK(status.st_mode):
                # As it is written: Path would drop dots and doubled slashes.
                self._take_link(path, status, os.readlink(entry.path))  # noqa: PTH115 - see above
            else:
                self._result.hit("special-file", path)
        except OSError:
            self._result.hit("unreadable", path)

    def _take_link(self, path: str, status: os.stat_result, target: str) -> None:
        if not _is_utf8(target):
            self._result.hit("name-not-utf8", path)
        elif self._stays_inside(path, target):
            self._result.found.append(Found(path, status, target))
        else:
            self._result.hit("link-leaves-source", f"{path} → {target}")

    def _stays_inside(self, path: str, target: str) -> bool:
        """Return whether a link leads into the source, here and wherever the tree is copied to."""
        if target.startswith("/"):
            return False
        folder = path.rpartition("/")[0]
        written = posixpath.normpath(f"{folder}/{target}" if folder else target)
        real = os.path.realpath(f"{self._root}/{path}")
        root = self._real_root
        return written.split("/")[0] != ".." and (real == root or real.startswith(f"{root}/"))


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
