"""Takes the files of an archive that were asked for, and lets each in when its sha256 is proven."""

import contextlib
import hashlib
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from runpod_deploy.executor.sync.local_tree import InTheWay, LocalTree
from runpod_deploy.record.atomic import write_all

CHANGED = "changed"

_LATEST = 2**33
_MOST_REFUSED = 1000


@dataclass(kw_only=True, slots=True)
class _Open:
    name: str
    size: int
    handle: int
    draft: str
    mtime: float
    digest: "hashlib._Hash"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Waiting:
    draft: str
    size: int
    sha256: str


class Unpacker:
    """The sink of a `TarReader`; files stay hidden until `settle` learns their digest.

    Args:
        tree: Where files go.
        wanted: Name to size, as listed; nothing else is taken, and each once.
        places: Name to path in the tree, where they differ.

    Attributes:
        done: Name to (size, sha256) of the files in place.
        changed: Names whose size or content was not what the pod had said, with the reason.
        refused: Names that cannot be written here, and strangers in the archive, with the reason.
        bytes: Content written so far.
        current: The name begun last, for progress.
    """

    def __init__(
        self, tree: LocalTree, wanted: Mapping[str, int], places: Mapping[str, str] | None = None
    ) -> None:
        self.done: dict[str, tuple[int, str]] = {}
        self.changed: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.bytes = 0
        self.current = ""
        self._tree = tree
        self._missing = dict(wanted)
        self._places = places or {}
        self._open: _Open | None = None
        self._waiting: dict[str, _Waiting] = {}

    def begin(self, name: str, size: int, *, executable: bool, mtime: float) -> bool:
        """Start a file that was asked for and has the listed size."""
        name = name.removeprefix("./")
        listed = self._missing.pop(name, None)
        if listed is None:
            # A name that was asked for and comes twice is settled by its first appearance.
            if name not in self._waiting and name not in self.changed:
                self._stranger(name, "the archive holds it though nobody asked for it")
            return False
        if listed != size:
            self.changed[name] = f"{listed} bytes when listed, {size} when read"
            return False
        try:
            handle, draft = self._tree.draft(self._place(name), executable=executable)
        except InTheWay as exc:
            self.refused[name] = str(exc)
            return False
        self.current = name
        self._open = _Open(
            name=name,
            size=size,
            handle=handle,
            draft=draft,
            mtime=min(max(mtime, 0), _LATEST),
            digest=hashlib.sha256(),
        )
        return True

    def data(self, piece: memoryview) -> None:
        """Write the next piece of the open file."""
        if self._open is not None:
            write_all(self._open.handle, piece)
            self._open.digest.update(piece)
            self.bytes += len(piece)

    def end(self) -> None:
        """Close the open file; it waits for its digest."""
        if self._open is not None:
            done, self._open = self._open, None
            stamp = int(done.mtime * 1_000_000_000)
            os.utime(done.handle, ns=(stamp, stamp))
            os.close(done.handle)
            self._waiting[done.name] = _Waiting(
                draft=done.draft, size=done.size, sha256=done.digest.hexdigest()
            )

    def refuse(self, name: str, why: str) -> None:
        """Note a member that is no file: one that was asked for has changed since."""
        name = name.removeprefix("./")
        if self._missing.pop(name, None) is not None:
            self.changed[name] = why
        else:
            self._stranger(name, why)

    def settle(self, digests: MutableMapping[str, str]) -> None:
        """Let in each file whose digest is known by now; takes what it used out of `digests`.

        Raises:
            OSError: The disk refused.
        """
        for name in [name for name in self._waiting if name in digests]:
            file = self._waiting.pop(name)
            self._settle(name, file, digests.pop(name))

    def close(self) -> None:
        """Give up whatever is not in place: it counts as changed; leaves no draft behind."""
        if self._open is not None:
            lost, self._open = self._open, None
            os.close(lost.handle)
            self._drop(lost.draft)
            self.changed[lost.name] = "its content came incomplete"
        for name, file in self._waiting.items():
            self._drop(file.draft)
            self.changed[name] = "the pod could not tell its sha256"
        for name in self._missing:
            self.changed[name] = "it vanished or could not be read"
        self._waiting, self._missing = {}, {}

    def _stranger(self, name: str, why: str) -> None:
        # A flood of names must not fill the memory; the first ones say enough.
        if len(self.refused) < _MOST_REFUSED:
            self.refused.setdefault(name, why)

    def _settle(self, name: str, file: _Waiting, told: str) -> None:
        if told != file.sha256:
            self._drop(file.draft)
            self.changed[name] = "its content changed while it was read"
            return
        try:
            self._tree.place(file.draft, self._place(name))
        except InTheWay as exc:
            self._drop(file.draft)
            self.refused[name] = str(exc)
            return
        self.done[name] = (file.size, file.sha256)

    def _drop(self, draft: str) -> None:
        # On a full or failing disk the draft may stay; the failure itself is told elsewhere.
        with contextlib.suppress(OSError, InTheWay):
            self._tree.drop(draft)

    def _place(self, name: str) -> str:
        return self._places.get(name, name)
