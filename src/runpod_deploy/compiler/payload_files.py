"""A payload list that need not be read to be planned with: what is asked of all of it stands beside it.

A list of tens of thousands of files that did not change since it was last planned costs most of a
plan, and its identity, its sizes and its remarkable files are all that most plans show of it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest
from typing import overload

from runpod_deploy.compiler.payload import total_bytes, tree_sha256
from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.compiler.secret_looking import NAMES
from runpod_deploy.frozen import frozen

LARGEST = 10
HUGE_BYTES = 2**30
_SECRET_NAME = re.compile(NAMES)


@frozen
class Sums:
    """What is asked of a whole payload list.

    Attributes:
        links: How many of its entries are links.
        bytes: Sum of the sizes of all files.
        largest: Size and path of its largest files, at most ten, the first of equals first.
        huge: Paths of files of a gibibyte or more.
        secret_named: Paths that end in a name which looks like that of a secret.
    """

    tree_sha256: str
    links: int
    bytes: int
    largest: tuple[tuple[int, str], ...]
    huge: tuple[str, ...]
    secret_named: tuple[str, ...]


class PayloadFiles(Sequence[PayloadEntry]):
    """The files of one staging, equal to the tuple of them; read from where they are kept if asked."""

    __slots__ = ("_count", "_entries", "_load", "_sums")

    def __init__(
        self,
        entries: tuple[PayloadEntry, ...] | None = None,
        *,
        count: int = 0,
        sums: Sums | None = None,
        load: Callable[[], tuple[PayloadEntry, ...]] = tuple,
    ) -> None:
        """Take the entries, or what is known of them and the way to come by them."""
        self._entries = entries
        self._count = count if entries is None else len(entries)
        self._sums = sums
        self._load = load

    @property
    def entries(self) -> tuple[PayloadEntry, ...]:
        """All of them."""
        if self._entries is None:
            self._entries = self._load()
        return self._entries

    @property
    def sums(self) -> Sums:
        """What is asked of them as a whole, made once."""
        if self._sums is None:
            self._sums = _sums(self.entries)
        return self._sums

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[PayloadEntry]:
        return iter(self.entries)

    @overload
    def __getitem__(self, index: int) -> PayloadEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PayloadEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> PayloadEntry | tuple[PayloadEntry, ...]:
        return self.entries[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PayloadFiles):
            return self.entries == other.entries
        return self.entries == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"PayloadFiles({self.entries!r})"


def sums_of(entries: Sequence[PayloadEntry]) -> Sums:
    """Return the sums of a payload list, those that are known already where there are some."""
    return entries.sums if isinstance(entries, PayloadFiles) else _sums(entries)


def _sums(entries: Sequence[PayloadEntry]) -> Sums:
    files = [(one.size, one.path) for one in entries if one.type == "file"]
    return Sums(
        tree_sha256=tree_sha256(entries),
        links=len(entries) - len(files),
        bytes=total_bytes(entries),
        largest=tuple(nlargest(LARGEST, files, key=_size)),
        huge=tuple(path for size, path in files if size >= HUGE_BYTES),
        secret_named=tuple(
            one.path for one in entries if _SECRET_NAME.fullmatch(one.path.rpartition("/")[2])
        ),
    )


def _size(file: tuple[int, str]) -> int:
    return file[0]
