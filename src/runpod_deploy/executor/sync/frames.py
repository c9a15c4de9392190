"""What is left to send, cut into frames that can be sent over any of several connections."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.executor.sync.codec import Codec, pack
from runpod_deploy.executor.sync.planned_files import PlannedFile
from runpod_deploy.executor.sync.source_folder import SourceFolder

BLOCK_BYTES = 1024 * 1024
"""A piece of a large file: as much of it as a cut may cost for what is on its way."""

LARGE_FROM = 2 * BLOCK_BYTES
_BUNDLE_BYTES = 4 * 1024 * 1024
Small = Callable[[Path, Sequence[tuple[str, PayloadEntry]], Codec], tuple[str, bytes]]
_BATCH_FILES = 1024
_TAR_COST = 1024
_TRY_AGAIN_AFTER = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A frame ready to go.

    Attributes:
        name: A file that is in it, for progress.
        head: Its first line, which lacks the length only.
        content: Bytes that it holds of the files.
    """

    name: str
    head: str
    body: bytes
    content: int


class Frames:
    """Gives out frames, each once; safe for several takers of one event loop.

    Args:
        root: Where the entries lie, or the file itself for the entry `""`; links resolved.
        named: What is to be sent: name on the pod to entry.
        codec: What the pod can expand.
        blocks: Of large files, by sha256: the digests of blocks that the pod has.
        small: Makes head and body of small files and links.

    Attributes:
        large: The large files, with their modification times: known when each was begun.
        skipped: Bytes of content that need not travel: the pod has them already.
    """

    def __init__(
        self,
        root: Path,
        named: Mapping[str, PayloadEntry],
        codec: Codec,
        blocks: Mapping[str, Sequence[str]],
        small: Small,
    ) -> None:
        self.large: dict[str, tuple[PayloadEntry, int]] = {}
        self._root = root
        self._codec = codec
        self._blocks = blocks
        self._small = small
        self._batches = _batches(named)
        waiting = {name: entry for name, entry in named.items() if is_large(entry)}
        self._waiting = list(reversed(waiting.items()))
        self._open: _Large | None = None
        self._again: list[Frame] = []
        self._turn = asyncio.Lock()
        self.skipped = 0

    async def next(self) -> Frame | None:
        """Return the next frame, None when all were given out.

        Raises:
            StepFailed: A file is not what the plan says, or cannot be read.
        """
        if self._again:
            return self._again.pop()
        if self._batches:
            batch = self._batches.pop()
            return await asyncio.to_thread(self._tar, batch)
        async with self._turn:
            block = await asyncio.to_thread(self._next_block)
        if block is None:
            return None
        large, offset, content = block
        return await asyncio.to_thread(self._part, large, offset, content)

    def left(self) -> int:
        """Return the bytes of content that were not given out yet, or came back."""
        rest = 0 if self._open is None else self._open.file.left
        return (
            rest
            + sum(map(_size, self._batches))
            + sum(entry.size for _, entry in self._waiting)
            + sum(frame.content for frame in self._again)
        )

    def put_back(self, frame: Frame) -> None:
        """Take back a frame that got lost."""
        self._again.append(frame)

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open.file.close()
            self._open = None

    def _tar(self, batch: Sequence[tuple[str, PayloadEntry]]) -> Frame:
        head, body = self._small(self._root, batch, self._codec)
        return Frame(name=batch[0][0], head=head, body=body, content=_size(batch))

    def _next_block(self) -> tuple[_Large, int, bytes] | None:
        while True:
            if self._open is None and not self._begin():
                return None
            large = self._open
            assert large is not None  # noqa: S101 - what _begin just did
            offset, content = large.file.read(BLOCK_BYTES)
            if not content:
                self.close()
                continue
            known = large.known.get(offset // BLOCK_BYTES)
            if known is not None and known == hashlib.sha256(content).hexdigest():
                self.skipped += len(content)
                continue
            return large, offset, content

    def _begin(self) -> bool:
        while self._waiting:
            name, entry = self._waiting.pop()
            source = SourceFolder(self._root)
            try:
                file = PlannedFile(source, entry)
            finally:
                source.close()
            sent = {one.sha256 for one, _ in self.large.values()}
            self.large[name] = (entry, file.mtime)
            if entry.sha256 in sent:
                # Equal content travels once and is copied over there.
                file.close()
                self.skipped += entry.size
                continue
            known = dict(enumerate(self._blocks.get(entry.sha256, ())))
            self._open = _Large(entry=entry, file=file, known=known)
            return True
        return False

    def _part(self, large: _Large, offset: int, content: bytes) -> Frame:
        codec, body = large.pack(content, self._codec)
        head = f"part {codec} {large.entry.sha256} {offset}"
        return Frame(name=large.entry.path, head=head, body=body, content=len(content))


@dataclass(kw_only=True)
class _Large:
    """A large file under way; what did not shrink is not tried again at once."""

    entry: PayloadEntry
    file: PlannedFile
    known: Mapping[int, str]
    _resting: int = 0

    def pack(self, content: bytes, codec: Codec) -> tuple[Codec, bytes]:
        if self._resting:
            self._resting -= 1
            return "none", content
        used, body = pack(content, codec)
        if used == "none":
            self._resting = _TRY_AGAIN_AFTER
        return used, body


def is_large(entry: PayloadEntry) -> bool:
    """Tell whether an entry travels in pieces."""
    return entry.type == "file" and entry.size >= LARGE_FROM


def _size(batch: Sequence[tuple[str, PayloadEntry]]) -> int:
    return sum(entry.size for _, entry in batch if entry.type == "file")


def _batches(named: Mapping[str, PayloadEntry]) -> list[list[tuple[str, PayloadEntry]]]:
    """Return the small entries in groups of about as many bytes, the last group first."""
    batches: list[list[tuple[str, PayloadEntry]]] = []
    room = files = 0
    for name, entry in named.items():
        if is_large(entry):
            continue
        cost = entry.size + _TAR_COST
        if cost > room or not files:
            batches.append([])
            room, files = _BUNDLE_BYTES, _BATCH_FILES
        batches[-1].append((name, entry))
        room -= cost
        files -= 1
    batches.reverse()
    return batches
