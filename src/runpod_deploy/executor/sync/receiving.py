"""One download under way: archives of small files and ranges of large ones, over several connections."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from runpod_deploy.errors import StepFailed, TransportError
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.codec import Codec, Expander, expander
from runpod_deploy.executor.sync.fetch import Source, blocks_of, fetch, range_of, sha256_of
from runpod_deploy.executor.sync.large_file import BLOCK_BYTES, LARGE_FROM, LargeFile
from runpod_deploy.executor.sync.listing import RemoteEntry
from runpod_deploy.executor.sync.local_tree import InTheWay, LocalTree
from runpod_deploy.executor.sync.unpack import Unpacker
from runpod_deploy.executor.sync.worker import Workers

_BATCH_BYTES = 32 * 1024 * 1024
_BATCH_FILES = 2000
_TAR_COST = 1024
_SHRINKS = 0.9
_TRY_AGAIN_AFTER = 16


@dataclass(kw_only=True, slots=True)
class Received:
    """What became of the files.

    Attributes:
        done: Name to (size, sha256) of the files in place.
        changed: Names whose size or content was not what the pod had said, with the reason.
        refused: Names that cannot be written here, and strangers that came, with the reason.
    """

    done: dict[str, tuple[int, str]] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Receiving:
    """A `Load` for the connections of `Lanes`.

    Args:
        base: Folder on the pod.
        tree: Where files go.
        places: Name to path in the tree, where they differ.
        wanted: Name to what the pod said of it.
        codec: What the pod can compress with.
        moved: Called after each piece that came.
        workers: Our scripts over the connections.

    Attributes:
        result: What became of the files so far.
        travelled: Bytes that came over.
    """

    def __init__(
        self,
        base: str,
        tree: LocalTree,
        places: Mapping[str, str],
        wanted: Mapping[str, RemoteEntry],
        codec: Codec,
        moved: Callable[[str], None],
        workers: Workers,
    ) -> None:
        self.result = Received()
        self.travelled = 0
        self._base = base
        self._tree = tree
        self._places = places
        self._moved = moved
        self._codec = codec
        self._workers = workers
        self._resting = 0
        self._batches = deque(_batches(wanted))
        self._unbegun = deque(e for e in wanted.values() if e.size >= LARGE_FROM)
        self._open: list[_Large] = []
        self._unpackers: list[Unpacker] = []
        self._kept = self._written = 0

    async def work(self, transport: Transport) -> None:
        """Fetch part after part over one connection until none is left.

        Raises:
            StepFailed: The far side cannot do it, or sent what is none of that.
            TransportError: This connection broke; what it had not brought goes back.
            OSError: The local disk refused.
        """
        agent = await self._workers.of(transport)
        source = Source(transport=transport, base=self._base, agent=agent)
        while True:
            if self._batches:
                await self._small(source, self._batches.popleft())
            elif (piece := self._next_range()) is not None:
                await self._range(source, *piece)
            elif self._unbegun:
                await self._begin(transport, self._unbegun.popleft())
            else:
                return

    def _next_range(self) -> tuple[_Large, int, int] | None:
        for large in self._open:
            piece = large.file.next_range()
            if piece is not None:
                return large, *piece
        return None

    def done(self) -> int:
        """Return the bytes of content that are here."""
        return self._kept + self._written + sum(one.bytes for one in self._unpackers)

    def left(self) -> int:
        """Return about how many bytes of content nobody fetches yet."""
        return (
            sum(sum(batch.values()) for batch in self._batches)
            + sum(large.file.left for large in self._open)
            + sum(entry.size for entry in self._unbegun)
        )

    def close(self) -> None:
        """Close the large files that did not come to their end; what is here of them stays."""
        for large in self._open:
            large.close()
        self._open.clear()

    async def _small(self, source: Source, names: dict[str, int]) -> None:
        unpacker = Unpacker(self._tree, names, self._places)
        self._unpackers.append(unpacker)
        codec = self._next_codec()
        came = 0

        def moved(count: int) -> None:
            nonlocal came
            came += count
            self.travelled += count
            self._moved(unpacker.current)

        try:
            await fetch(source, names, unpacker, moved, codec=codec)
        except TransportError:
            self._batches.append({n: s for n, s in names.items() if n not in unpacker.done})
            unpacker.bytes = sum(file_size for file_size, _ in unpacker.done.values())
            raise
        else:
            self.result.changed |= unpacker.changed
            self._judge_codec(codec, came, unpacker.bytes)
        finally:
            self.result.done |= unpacker.done
            self.result.refused |= unpacker.refused

    async def _begin(self, transport: Transport, entry: RemoteEntry) -> None:
        """Open a large file, see what is here of it, and cut the rest into ranges."""
        place = self._places.get(entry.path, entry.path)
        try:
            file = await asyncio.to_thread(LargeFile, self._tree, place, entry)
        except InTheWay as exc:
            self.result.refused[entry.path] = str(exc)
            return
        large = _Large(file)
        try:
            if file.worth_asking:
                blocks = await blocks_of(
                    transport, self._base, entry.path, file.worth_asking, BLOCK_BYTES
                )
                self._kept += await asyncio.to_thread(file.keep, blocks)
        except TransportError:
            large.close()
            self._unbegun.append(entry)
            raise
        self._open.append(large)
        large.missing = file.missing
        if not large.missing:
            await self._settle(transport, large)

    async def _range(self, source: Source, large: _Large, start: int, end: int) -> None:
        large.under_way += 1
        large.teller(source.transport, self._base)
        try:
            at = await self._fill(source, large, start, end, self._next_codec())
        except _Broke as broke:
            large.file.put_back(broke.at, end)
            large.missing -= broke.at - start
            raise broke.cause from None
        finally:
            large.under_way -= 1
        large.missing -= end - start
        if at < end:
            # It ends where it should not: what lies behind is not there either.
            large.short = True
            large.missing -= large.file.left
            large.file.give_up()
        if not large.missing and not large.under_way:
            await self._settle(source.transport, large)

    async def _fill(self, source: Source, large: _Large, start: int, end: int, codec: Codec) -> int:
        """Write a range as it comes; returns where the pod stopped sending."""
        name = large.file.entry.path
        filling = _Filling(large.file, start, end)
        at, came = start, 0
        batches = range_of(source, name, start, end - start, codec)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    here = await asyncio.to_thread(filling.take, batch)
                    self._written += here - at
                    at = here
                    size = sum(len(piece) for _, piece in batch)
                    came += size
                    self.travelled += size
                    self._moved(name)
                    if came > (end - start) * 2 + _BATCH_BYTES:
                        break
        except ValueError as exc:
            raise StepFailed("the pod sent a broken stream", cause="bad_archive") from exc
        except TransportError as exc:
            raise _Broke(at, exc) from exc
        self._judge_codec(codec, came, at - start)
        return at

    async def _settle(self, transport: Transport, large: _Large) -> None:
        """Prove a file that is whole here; it goes back when the connection breaks meanwhile."""
        entry = large.file.entry
        self._open.remove(large)
        if large.short:
            self.result.changed[entry.path] = "it is shorter than when it was listed"
            large.close()
            return
        try:
            told = await large.told(transport, self._base)
            why = await asyncio.to_thread(large.file.settle, told)
        except TransportError:
            self._unbegun.append(entry)
            self._kept -= entry.size
            raise
        except InTheWay as exc:
            self.result.refused[entry.path] = str(exc)
            large.file.drop()
        else:
            if why is None:
                self.result.done[entry.path] = (entry.size, str(told))
            else:
                self.result.changed[entry.path] = why
        finally:
            large.close()

    def _next_codec(self) -> Codec:
        if self._resting:
            self._resting -= 1
            return "none"
        return self._codec

    def _judge_codec(self, codec: Codec, came: int, content: int) -> None:
        """Give compression a rest when it did not pay."""
        if codec != "none" and content > BLOCK_BYTES and came > content * _SHRINKS:
            self._resting = _TRY_AGAIN_AFTER


class _Filling:
    """Writes what comes of a range."""

    def __init__(self, file: LargeFile, start: int, end: int) -> None:
        self._file = file
        self._at = start
        self._end = end
        self._expander: Expander | None = None

    def take(self, batch: Sequence[tuple[Codec, bytes]]) -> int:
        """Write pieces; return where the next one goes. An empty one ends a stream of its own.

        Raises:
            ValueError: They are no such stream.
            OSError: The disk refused.
        """
        for codec, packed in batch:
            if not packed:
                self._expander = None
                continue
            if self._expander is None:
                self._expander = expander(codec)
            for piece in self._expander.feed(packed):
                # Bytes beyond the end are nobody's; whether the range is right the digest tells.
                self._file.write(self._at, piece[: self._end - self._at])
                self._at = min(self._at + len(piece), self._end)
                if self._at == self._end:
                    return self._at
        return self._at


class _Broke(Exception):
    """A connection broke in the middle of a range, at `at`."""

    def __init__(self, at: int, cause: TransportError) -> None:
        super().__init__(str(cause))
        self.at = at
        self.cause = cause


class _Large:
    """A large file, how much of it is missing, and the pod's word on its digest to come."""

    def __init__(self, file: LargeFile) -> None:
        self.file = file
        self.missing = 0
        self.under_way = 0
        self.short = False
        self._teller: asyncio.Task[str | None] | None = None

    def teller(self, transport: Transport, base: str) -> None:
        """Let the pod begin to hash it, beside the transfer."""
        if self._teller is None:
            path = self.file.entry.path
            self._teller = asyncio.create_task(sha256_of(transport, base, path))

    async def told(self, transport: Transport, base: str) -> str | None:
        """Return what the pod says; asked again when the connection broke that was asked first."""
        self.teller(transport, base)
        assert self._teller is not None  # noqa: S101 - set just now
        try:
            return await asyncio.shield(self._teller)
        except TransportError:
            return await sha256_of(transport, base, self.file.entry.path)

    def close(self) -> None:
        if self._teller is not None:
            self._teller.cancel()
            self._teller.add_done_callback(_heard)
        self.file.close()


def _heard(task: asyncio.Task[str | None]) -> None:
    if not task.cancelled():
        task.exception()


def _batches(wanted: Mapping[str, RemoteEntry]) -> list[dict[str, int]]:
    """Return the small files in groups of one archive each: name to size."""
    batches: list[dict[str, int]] = []
    room = 0
    for name, entry in wanted.items():
        if entry.size >= LARGE_FROM:
            continue
        cost = entry.size + _TAR_COST
        if cost > room or len(batches[-1]) >= _BATCH_FILES:
            batches.append({})
            room = _BATCH_BYTES
        batches[-1][name] = entry.size
        room -= cost
    return batches
