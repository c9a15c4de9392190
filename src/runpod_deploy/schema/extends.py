"""Job files that build on others: `extends` followed, and the files laid over one another.

Mappings are merged key by key; everything else of the upper file stands in the place of the lower
one's, lists as a whole; a `null` that is written takes the lower file's key away.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from runpod_deploy.errors import Position
from runpod_deploy.schema.base_files import (
    SUFFIXES,
    BaseRefused,
    ReadBase,
    missing,
    not_a_job_file,
)
from runpod_deploy.schema.report import Report, Stop, shorten
from runpod_deploy.schema.wording import kind_of
from runpod_deploy.schema.yaml_bounds import MAX_WEIGHT
from runpod_deploy.schema.yaml_compose import mapping_node
from runpod_deploy.schema.yaml_nodes import Node
from runpod_deploy.schema.yaml_source import YamlSource, read_yaml
from runpod_deploy.schema.yaml_text import MAX_BYTES

KEY = "extends"
VERSION = 3
MAX_FILES = 10


def extends(data: Any) -> bool:
    """Tell whether a document says what it extends, in a version that can."""
    if not isinstance(data, dict) or KEY not in data:
        return False
    version = data.get("schema_version")
    return type(version) is not int or version == VERSION


def with_bases(
    source: YamlSource, raw: bytes, own: str, read_base: ReadBase, report: Report
) -> YamlSource:
    """Return a document laid over everything it extends, without that key.

    Args:
        source: A mapping that says `extends`.
        raw: The bytes it was read from; a bound holds for all files together.
        own: The file's name, the end of its name in messages.
        read_base: Reads the others.
        report: Takes what is wrong with them, at places in their own files.

    Raises:
        Stop: A file cannot be extended, or cannot be read as YAML.
    """
    merged: Node | None = None
    for root in reversed([*_Chain(own, read_base, report).follow(source, len(raw))]):
        upper = _without(root)
        merged = upper if merged is None else laid_over(upper, merged)
    assert merged is not None  # noqa: S101 - the document itself is one of them
    if merged.weight > MAX_WEIGHT:
        raise report.fatal(
            "too-many-values",
            "The document is too large",
            "Together with what it extends, the document is larger than any job needs.",
            source.key_positions[f"/{KEY}"],
        )
    report.spoilt = frozenset(one.where for one in report.found if one.where is not None)
    return replace(source, root=merged)


def laid_over(upper: Node, lower: Node) -> Node:
    """Return `upper` with what only `lower` says added, in mappings of any depth."""
    if not isinstance(upper.items, dict) or not isinstance(lower.items, dict):
        return upper
    items, places = dict(lower.items), dict(lower.key_places or {})
    for key, node in upper.items.items():
        below = items.get(key)
        if below is not None and node.value is None and node.text:
            del items[key], places[key]
            continue
        items[key] = node if below is None else laid_over(node, below)
        places[key] = (upper.key_places or {})[key]
    return mapping_node(upper.place, upper.file, items, places)


def _without(root: Node) -> Node:
    assert isinstance(root.items, dict)  # noqa: S101 - no other root comes here
    places = root.key_places or {}
    return mapping_node(
        root.place,
        root.file,
        {key: node for key, node in root.items.items() if key != KEY},
        {key: place for key, place in places.items() if key != KEY},
    )


class _Chain:
    """Follows `extends` from file to file."""

    def __init__(self, own: str, read_base: ReadBase, report: Report) -> None:
        start = report.file[: len(report.file) - len(own)]
        self._revision, self._colon, self._folder = start.rpartition(":")
        self._paths = [own]
        self._read_base = read_base
        self._report = report

    def follow(self, source: YamlSource, size: int) -> Iterator[Node]:
        """Yield the roots of all files, the uppermost first; `size` is that of the first one."""
        root = source.root
        while True:
            yield root
            said = root.under(KEY)
            if said is None or said.value is None:
                return
            path = self._path(said)
            raw = self._read(path, said)
            size += len(raw)
            if size > MAX_BYTES:
                raise self._refuse(
                    said,
                    BaseRefused(
                        "file-too-large",
                        "Files too large",
                        "A job file and everything it extends may hold at most 1 MiB together.",
                    ),
                )
            self._paths.append(path)
            root = self._root(path, raw)

    def _path(self, said: Node) -> str:
        """Return the path that a file says, relative to the folder of the first one."""
        if not isinstance(said.value, str):
            raise self._refuse(said, _not_text(said.value))
        refusal = _unusable(said.value)
        if refusal is not None:
            raise self._refuse(said, refusal)
        folder = posixpath.dirname(self._paths[-1])
        path = posixpath.normpath(posixpath.join(folder, said.value))
        if path in self._paths:
            raise self._refuse(said, self._round(path))
        if len(self._paths) == MAX_FILES:
            raise self._refuse(
                said,
                BaseRefused(
                    "too-deep",
                    "Too many files",
                    f"{MAX_FILES} files may build on one another; here the next one is named.",
                ),
            )
        return path

    def _round(self, path: str) -> BaseRefused:
        names = [*self._paths[self._paths.index(path) :], path]
        return BaseRefused(
            "extends-itself",
            "A file extends itself",
            f"This would never end: {' extends '.join(f'`{shorten(name)}`' for name in names)}.",
        )

    def _read(self, path: str, said: Node) -> bytes:
        try:
            return self._read_base(path)
        except BaseRefused as error:
            raise self._refuse(said, error) from None
        except FileNotFoundError:
            raise self._refuse(said, missing(path)) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            refusal = BaseRefused(
                "unreadable-file",
                "Extended file cannot be read",
                f"`{path}` cannot be read. The system says: {reason}.",
            )
            raise self._refuse(said, refusal) from None

    def _root(self, path: str, raw: bytes) -> Node:
        shown = posixpath.normpath(self._folder + path)
        report = self._report.of(f"{self._revision}{self._colon}{shown}")
        root = read_yaml(raw, report).root
        if not isinstance(root.items, dict):
            raise report.fatal(
                "wrong-type",
                "Wrong type of value",
                f"A job file is made of keys and their values; this is {kind_of(root.value)}.",
                root.place,
            )
        version = root.under("schema_version")
        if version is not None and type(version.value) is int and version.value != VERSION:
            raise report.fatal(
                "other-version",
                "Extended file of another version",
                f"This file has schema version {version.value}. Only files of version {VERSION} "
                "can be extended, and only by files of that version.",
                version.place,
            )
        return root

    def _refuse(self, said: Node, why: BaseRefused) -> Stop:
        line, column = said.place
        return self._report.fatal(
            why.code,
            why.summary,
            why.detail,
            Position(file=said.file, line=line, column=column),
            suggestion=why.suggestion and f"{_folder(said.value)}{why.suggestion}",
            help=why.help,
        )


def _folder(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _not_text(value: Any) -> BaseRefused:
    return BaseRefused(
        "wrong-type",
        "Wrong type of value",
        f"`{KEY}` takes the path of one other job file, and this is {kind_of(value)}.",
    )


def _unusable(path: str) -> BaseRefused | None:
    """Return why a path can lead to no job file, by its text alone."""
    shown = shorten(path)
    if path.startswith(("/", "~")):
        return BaseRefused(
            "absolute-path",
            "A local path is not relative to the project",
            f"`{shown}` exists on one machine only; the path is relative to the folder of the file "
            "that names it.",
        )
    if "{{" in path:
        return BaseRefused(
            "bad-extends",
            "No templates here",
            f"`{KEY}` is followed before any template can be filled in.",
            help="Write the path out.",
        )
    return None if path.endswith(SUFFIXES) else not_a_job_file(shown)
