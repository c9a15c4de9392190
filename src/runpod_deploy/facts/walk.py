"""Which files of a staging source travel: the walk that planning and sending share.

Folders travel only as far as there are files in them, as in git: an empty folder is not carried.
"""

import os
import posixpath
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from runpod_deploy.facts.gitignore import IgnoreFile, parse
from runpod_deploy.facts.rules import FOLDER, PathRules
from runpod_deploy.facts.trace import ENTERED, PASSED_OVER, RULES, TAKEN, Seen, seen

GITIGNORE = ".gitignore"
RUNPODIGNORE = ".runpodignore"
"""Ignore rules for staging alone, in git's syntax; what they say goes before any `.gitignore`."""

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
        folders: Every folder that was looked into, in the order in which that was done.
    """

    found: list[Found] = field(default_factory=list)
    obstacles: dict[Obstacle, list[str]] = field(default_factory=dict)
    folders: list[Seen] = field(default_factory=list)

    def hit(self, kind: Obstacle, path: str) -> None:
        """Note one thing that cannot travel."""
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self.obstacles.setdefault(kind, []).append(shown)


class RuleFile(NamedTuple):
    """An ignore file above a source."""

    name: str
    folder: Path
    content: bytes


def walk(
    source: Path,
    filters: PathRules,
    ignore_from: Path | None,
    *,
    gitignore: bool = True,
    above: Sequence[RuleFile] | None = None,
) -> Walk:
    """Return what travels when `source` is staged.

    Args:
        source: An existing folder or file, links resolved. Itself it is never dropped.
        filters: Filter patterns relative to the source; what they say goes before ignore files.
        ignore_from: The topmost folder whose ignore files count, at or above `source`; None: none.
        gitignore: Whether `.gitignore` counts; `.runpodignore` does in any case.
        above: What `rule_files_above` said, when it was asked already.
    """
    result = Walk()
    status = source.stat()
    if stat.S_ISREG(status.st_mode):
        result.found.append(Found("", status))
        return result
    if not stat.S_ISDIR(status.st_mode):
        result.hit("special-file", source.name)
        return result
    names = () if ignore_from is None else rule_names(gitignore=gitignore)
    if above is None:
        above = () if ignore_from is None else rule_files_above(source, ignore_from, names)
    _Walker(str(source), filters, result, names).run(
        tuple(tuple(_parsed(one, source) for one in above if one.name == name) for name in names)
    )
    result.found.sort(key=_path)
    return result


def _path(found: Found) -> str:
    return found.path


def rule_names(*, gitignore: bool) -> tuple[str, ...]:
    """Return the names of the ignore files that count, the strongest first."""
    return (RUNPODIGNORE, GITIGNORE)[: 1 + gitignore]


def rule_files_above(source: Path, top: Path, names: tuple[str, ...]) -> tuple[RuleFile, ...]:
    """Return the ignore files above `source` up to `top`: of each name the deepest first."""
    highest = os.path.join(top, "")  # noqa: PTH118 - of the root there is one slash, not two
    folders = [folder for folder in source.parents if f"{folder}/".startswith(highest)]
    return tuple(
        RuleFile(name, folder, (folder / name).read_bytes())
        for name in names
        for folder in folders
        if (folder / name).is_file() and not (folder / name).is_symlink()
    )


def _parsed(file: RuleFile, source: Path) -> IgnoreFile:
    prefix = f"/{source.relative_to(file.folder).as_posix()}"
    return IgnoreFile(parse(file.content), prefix.encode())


_Ignores = tuple[tuple[IgnoreFile, ...], ...]
"""The ignore files in effect: for each name, the deepest file first. All of one name decide before
any of the next."""


class _Walker:
    def __init__(
        self, root: str, filters: PathRules, result: Walk, ignore_names: tuple[str, ...]
    ) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._filters = filters
        self._result = result
        self._ignore_names = ignore_names

    def run(self, above: _Ignores) -> None:
        pending = [("", above)]
        while pending:
            prefix, ignores = pending.pop()
            pending.extend(self._folder(prefix, ignores))

    def _folder(self, prefix: str, ignores: _Ignores) -> list[tuple[str, _Ignores]]:
        """Take in one folder; return the folders below it with the ignore files in effect."""
        try:
            with os.scandir(f"{self._root}/{prefix}") as entries:
                listed = list(entries)
        except OSError:
            self._result.hit("unreadable", prefix)
            return []
        ignores = self._with_own(listed, prefix, ignores)
        rules = tuple(chain.from_iterable(ignores))
        below = []
        done = bytearray()
        statuses: list[os.stat_result] = []
        anchored = b"/" + os.fsencode(prefix)
        for entry in listed:
            name = entry.name
            raw = name.encode("utf-8", "surrogateescape")
            folder = entry.is_dir(follow_symlinks=False)
            if folder:
                raw += FOLDER
            if self._dropped(anchored + raw, raw, rules):
                decides = name in self._ignore_names and not folder
                done.append(_noted(entry, statuses) if decides else PASSED_OVER)
            elif folder:
                done.append(ENTERED)
                below.append((f"{prefix}{name}/", ignores))
            else:
                done.append(TAKEN)
                self._take(entry, prefix + name, statuses)
        self._result.folders.append(seen(prefix, bytes(done), listed, statuses))
        return below

    def _with_own(self, listed: list["os.DirEntry[str]"], prefix: str, above: _Ignores) -> _Ignores:
        """Return the ignore files in effect in a folder: its own before those above it."""
        own: dict[str, IgnoreFile] = {}
        for entry in listed:
            if entry.name in self._ignore_names and entry.is_file(follow_symlinks=False):
                try:
                    content = Path(entry.path).read_bytes()
                except OSError:
                    self._result.hit("unreadable", prefix + entry.name)
                    continue
                own[entry.name] = IgnoreFile(parse(content), b"", skip=len(os.fsencode(prefix)))
        if not own:
            return above
        return tuple(
            (own[name], *files) if name in own else files
            for name, files in zip(self._ignore_names, above, strict=True)
        )

    def _dropped(self, path: bytes, name: bytes, ignores: tuple[IgnoreFile, ...]) -> bool:
        said = self._filters.drops(path, name)
        if said is not None:
            return said
        for ignore in ignores:
            said = ignore.ignores(path, name)
            if said is not None:
                return said
        return False

    def _take(self, entry: "os.DirEntry[str]", path: str, statuses: list[os.stat_result]) -> None:
        if not _is_utf8(path):
            self._result.hit("name-not-utf8", path)
            return
        try:
            status = entry.stat(follow_symlinks=False)
            statuses.append(status)
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
        elif stays_inside(self._root, self._real_root, path, target):
            self._result.found.append(Found(path, status, target))
        else:
            self._result.hit("link-leaves-source", f"{path} → {target}")


def _noted(entry: "os.DirEntry[str]", statuses: list[os.stat_result]) -> int:
    """Add the status of an ignore file that does not travel; one that is gone counts as a name."""
    try:
        statuses.append(entry.stat(follow_symlinks=False))
    except OSError:
        return PASSED_OVER
    return RULES


def stays_inside(root: str, real_root: str, path: str, target: str) -> bool:
    """Return whether a link leads into its source, here and wherever the tree is copied to.

    Args:
        root: The source.
        real_root: The same without links.
        path: The link, relative to it.
        target: Where the link leads, as it is written.
    """
    if target.startswith("/"):
        return False
    folder = path.rpartition("/")[0]
    written = posixpath.normpath(f"{folder}/{target}" if folder else target)
    real = os.path.realpath(f"{root}/{path}")
    inside = real == real_root or real.startswith(f"{real_root}/")
    return written.split("/")[0] != ".." and inside


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
