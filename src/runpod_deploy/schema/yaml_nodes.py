"""The tree of a YAML document: each value with its place and its text as written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runpod_deploy.errors import Position
from runpod_deploy.schema.pointer import child, split

Place = tuple[int, int]


@dataclass(kw_only=True, slots=True)  # not frozen, which would make reading a file a third slower
class Node:
    """One value of the document; never changed once it is made.

    Attributes:
        value: The plain data: dict, list, str, int, float, bool or None.
        place: Line and column of its first character, from 1.
        file: The file it stands in, as the user should read it; a mapping's keys stand in the
            files of their values.
        text: A scalar as written, without quotes; None for a mapping or list.
        weight: Its size with all aliases filled in, counted by `yaml_bounds`.
        height: Levels of containers below it.
        items: The nodes of a mapping by key, or of a list by index.
        key_places: Places of a mapping's keys.
    """

    value: Any
    place: Place
    file: str
    text: str | None = None
    weight: int
    height: int = 0
    items: dict[str, "Node"] | list["Node"] | None = None
    key_places: dict[str, Place] | None = None

    def at(self, place: Place) -> "Node":
        """Return the same value at another place: that of an alias or of its key."""
        return Node(
            value=self.value,
            place=place,
            file=self.file,
            text=self.text,
            weight=self.weight,
            height=self.height,
            items=self.items,
            key_places=self.key_places,
        )

    def under(self, key: str) -> "Node | None":
        """Return the node under `key`, for a list the digits of an index, or None."""
        if isinstance(self.items, dict):
            return self.items.get(key)
        if self.items is None or not key.isdecimal() or len(key) > 9 or int(key) >= len(self.items):
            return None
        return self.items[int(key)]

    def find(self, pointer: str) -> "Node | None":
        """Return the node at a JSON pointer, or None when the document has no such value."""
        node: Node | None = self
        for key in split(pointer):
            node = node.under(key) if node is not None else None
        return node


class _Positions(Mapping[str, Position]):
    """A view of the tree by JSON pointer; nothing is built until a place is asked for."""

    def __init__(self, root: Node) -> None:
        self._root = root

    def _find(self, pointer: str) -> tuple[str, Place] | None:
        raise NotImplementedError

    def __getitem__(self, pointer: str) -> Position:
        found = self._find(pointer)
        if found is None:
            raise KeyError(pointer)
        file, (line, column) = found
        return Position(file=file, line=line, column=column)

    def __iter__(self) -> Iterator[str]:
        return (pointer for pointer in _pointers(self._root, "") if self._find(pointer))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ValuePositions(_Positions):
    """Where each value begins."""

    def _find(self, pointer: str) -> tuple[str, Place] | None:
        node = self._root.find(pointer)
        return (node.file, node.place) if node is not None else None


class KeyPositions(_Positions):
    """Where each key of a mapping begins; list items have none."""

    def _find(self, pointer: str) -> tuple[str, Place] | None:
        above, _, _ = pointer.rpartition("/")
        holder = self._root.find(above) if pointer else None
        key = split(pointer)[-1] if pointer else ""
        value = holder.under(key) if holder is not None else None
        if holder is None or value is None or holder.key_places is None:
            return None
        return value.file, holder.key_places[key]


def _pointers(node: Node, pointer: str) -> Iterator[str]:
    yield pointer
    below = node.items
    pairs = below.items() if isinstance(below, dict) else enumerate(below or ())
    for key, item in pairs:
        yield from _pointers(item, child(pointer, key))
