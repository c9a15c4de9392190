"""The far side of an upload in memory: takes the frames and keeps the archives, files nothing."""

import importlib
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

NOTHING = b"\0m\0other\0\0\0\0\0"


@dataclass
class FarAgent:
    """Answers the frames of one upload after another.

    Attributes:
        standing: What is said to be there: programs, kind of the destination, and sections.
        verdict: Answer to `commit`.
        blocks: Answer to `blocks`.
        archives: The archives that came in `tar` and `commit` frames, expanded.
        parts: The pieces of large files: (sha256, offset, codec, content).
        heads: First line of each frame.
        asked: The names that were asked for, NUL-ended.
        breaks_after: Ends the connection's input after so many frames; None: never.
    """

    standing: bytes = NOTHING
    verdict: bytes = b"created 0\n"
    blocks: bytes = b""
    archives: list[bytes] = field(default_factory=list)
    parts: list[tuple[str, int, str, bytes]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    asked: bytes = b""

    @property
    def sent(self) -> bytes:
        """All members that came, as one archive."""
        return b"".join(archive.removesuffix(bytes(1024)) for archive in self.archives)

    async def serve(self, stdin: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Answer frame after frame."""
        rest = b""
        async for chunk in stdin:
            rest += chunk
            while (frame := self._frame(rest)) is not None:
                head, body, rest = frame
                yield self._answer(head, body)

    def _frame(self, rest: bytes) -> tuple[str, bytes, bytes] | None:
        line, found, after = rest.partition(b"\n")
        if not found:
            return None
        size = int(line.split()[-1])
        if len(after) < size:
            return None
        return line.decode(), after[:size], after[size:]

    def _answer(self, head: str, body: bytes) -> bytes:
        self.heads.append(head)
        verb, *words = head.split()
        if verb == "have":
            self.asked = body
            return b"have %d\n%b" % (len(self.standing), self.standing)
        if verb == "blocks":
            return b"blocks %d\n%b" % (len(self.blocks), self.blocks)
        if verb == "part":
            self.parts.append((words[1], int(words[2]), words[0], _expanded(body, words[0])))
            return b"ok 0\n"
        self.archives.append(_expanded(body, words[0]))
        return b"ok 0\n" if verb == "tar" else self.verdict


def _expanded(body: bytes, codec: str) -> bytes:
    if codec == "zstd":
        zstandard = importlib.import_module("zstandard")

        return zstandard.ZstdDecompressor().decompress(body)
    return zlib.decompress(body, 31) if codec == "gzip" else body
