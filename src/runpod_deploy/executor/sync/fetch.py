"""Brings content over a connection: archives of small files with their digests, and ranges of large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from runpod_deploy.errors import StepFailed, TransportError
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.agent import Agent
from runpod_deploy.executor.sync.codec import CODECS, Codec, Expander, expander
from runpod_deploy.executor.sync.listing import nul_fields
from runpod_deploy.executor.sync.remote import call, digests, plain_path
from runpod_deploy.executor.sync.tar_reader import TarReader
from runpod_deploy.executor.sync.unpack import Unpacker

_BATCH = 1024 * 1024
_SLACK = 256 * 1024 * 1024
_PER_FILE = 8 * 1024
_PER_PIECE = 128  # what one costs here that holds nothing
_LONGEST_LINE = 64 * 1024
_CODECS: dict[str, Codec] = {
    **{f"tar-{codec}": codec for codec in CODECS},
    **{f"data-{codec}": codec for codec in CODECS},
}

_DIGEST = 'cd -- "$1" || exit 44\ndigests 2>/dev/null\nexit 0\n'

_SHRINK = """
shrink() {
  case $1 in zstd) zstd -1 -cq ;; gzip) gzip -1 -c ;; *) cat ;; esac
}
"""

# A file that vanishes or shrinks makes tar complain; which ones are whole is found out here.
_TAR = (
    _SHRINK
    + r"""
cd -- "$1" || exit 44
tar --version 2>/dev/null | grep -q GNU || { echo 'the image lacks GNU tar' >&2; exit 43; }
tar -c --format=gnu --hard-dereference --no-recursion --no-unquote --null -T - -f - 2>/dev/null |
  shrink "$2"
"""
)

# $1 folder, $2 file, $3 offset, $4 length, $5 codec.
_RANGE = (
    _SHRINK
    + r"""
cd -- "$1" || exit 44
if dd --version 2>/dev/null | grep -q GNU; then
  dd if="$2" bs=256K iflag=skip_bytes,count_bytes skip="$3" count="$4" status=none
else
  tail -c +$(($3 + 1)) -- "$2" | head -c "$4"
fi 2>/dev/null | shrink "$5"
"""
)

# $1 folder, $2 file, $3 size of a block.
_BLOCKS = r"""
cd -- "$1" || exit 44
if command -v python3 >/dev/null 2>&1; then
  exec python3 -c '
import concurrent.futures, hashlib, os, sys
handle, size = os.open(sys.argv[1], os.O_RDONLY), int(sys.argv[2])
def line(start):
    return hashlib.sha256(os.pread(handle, size, start)).hexdigest() + "\0"
with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
    for text in pool.map(line, range(0, os.fstat(handle).st_size, size)):
        sys.stdout.write(text)
' "$2" "$3"
fi
n=0 all=$(($(wc -c <"$2")))
while [ $((n * $3)) -lt $all ]; do
  dd if="$2" bs="$3" skip=$n count=1 2>/dev/null | sha256sum | cut -c 1-64 | tr '\n' '\0'
  n=$((n + 1))
done
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where content comes from.

    Attributes:
        transport: Connection to the pod.
        base: Folder on the pod.
        agent: Our script over that connection; None where the pod has no python3.
    """

    transport: Transport
    base: str
    agent: Agent | None = None


async def fetch(
    source: Source,
    wanted: Mapping[str, int],
    unpacker: Unpacker,
    moved: Callable[[int], None],
    *,
    codec: Codec = "none",
) -> None:
    """Fetch files of a folder and settle each by the digest that the pod computes.

    What arrives is bounded by the listed sizes and some slack for files that grow meanwhile; beyond
    that the stream is cut, and what is missing counts as changed.

    Args:
        source: Where from.
        wanted: Name below the folder to size, as listed.
        unpacker: Takes the files; closed at the end.
        moved: Told how many bytes came, compressed as they were.
        codec: What the pod compresses with.

    Raises:
        StepFailed: The far side cannot do it, or sent no archive.
        TransportError: The connection failed.
        OSError: The local disk refused.
    """
    names = b"".join(b"./" + name.encode("utf-8") + b"\0" for name in wanted)
    taking = _Taking(unpacker, wanted)
    try:
        if source.agent is not None:
            await _by_script(source.agent, source.base, names, codec, taking, moved)
        else:
            await _by_shell(source, names, codec, taking, moved)
        await asyncio.to_thread(unpacker.settle, taking.told)
    finally:
        await asyncio.to_thread(unpacker.close)


async def _by_script(
    agent: Agent,
    base: str,
    names: bytes,
    codec: Codec,
    taking: _Taking,
    moved: Callable[[int], None],
) -> None:
    agent.doing = f"reading {base}"
    body = plain_path(base).encode("utf-8", "surrogateescape") + b"\0" + names
    batches = word_batches(agent.flow(f"archive {codec}", body))
    async with aclosing(batches):
        async for batch in batches:
            await asyncio.to_thread(taking.take, batch)
            moved(sum(len(piece) for word, piece in batch if word != "digests"))
            if taking.over:
                return


async def _by_shell(
    source: Source,
    names: bytes,
    codec: Codec,
    taking: _Taking,
    moved: Callable[[int], None],
) -> None:
    transport, base = source.transport, source.base
    teller = asyncio.create_task(_tell(transport, base, names, taking.wanted, taking.told))
    try:
        stream = transport.stream(call(_TAR, plain_path(base), codec), stdin=names)
        batches = in_batches(stream)
        async with aclosing(batches):
            async for batch in batches:
                await asyncio.to_thread(taking.take, [(f"tar-{codec}", batch)])
                moved(len(batch))
                if taking.over or (teller.done() and teller.exception() is not None):
                    break
        await teller
    finally:
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)


class _Taking:
    """Expands what comes, unpacks it, and reads the digests that come with it."""

    def __init__(self, unpacker: Unpacker, wanted: Mapping[str, int]) -> None:
        self.wanted = wanted
        self.told: dict[str, str] = {}
        self._unpacker = unpacker
        self._reader = TarReader(unpacker)
        self._expander: Expander | None = None
        self._budget = sum(wanted.values()) + len(wanted) * _PER_FILE + _SLACK
        self._line = b""
        self._lines = 0

    @property
    def over(self) -> bool:
        """Whether more came than there can be."""
        return self._budget < 0

    def take(self, batch: Sequence[tuple[str, bytes]]) -> None:
        """Take pieces under their words; an empty one ends a stream of its own.

        Raises:
            StepFailed: They are none of an archive.
            OSError: The disk refused.
        """
        for word, piece in batch:
            self._budget -= _PER_PIECE
            if word == "digests":
                self._digests(piece)
            elif not piece:
                self._expander = None
            else:
                self._archive(word, piece)
            if self.over:
                return
        self._unpacker.settle(self.told)

    def _archive(self, word: str, piece: bytes) -> None:
        if self._expander is None:
            codec = _CODECS.get(word)
            if codec is None:
                raise StepFailed("the pod sent a broken archive", cause="bad_archive")
            self._expander = expander(codec)
        try:
            for plain in self._expander.feed(piece):
                self._reader.feed(plain)
                self._budget -= len(plain)
                if self.over:
                    return
        except ValueError as exc:
            raise StepFailed("the pod sent a broken archive", cause="bad_archive") from exc

    def _digests(self, piece: bytes) -> None:
        *fields, self._line = (self._line + piece).split(b"\0")
        self._lines += len(fields)
        if len(self._line) > _LONGEST_LINE:
            raise _no_digests()
        for one in fields:
            _note(one, self._lines, self.wanted, self.told)


async def word_batches(
    flow: AsyncGenerator[tuple[str, bytes]],
) -> AsyncGenerator[list[tuple[str, bytes]]]:
    """Yield words and pieces in lists that are worth a trip to a thread."""
    batch: list[tuple[str, bytes]] = []
    size = 0
    broken: TransportError | None = None
    async with aclosing(flow):
        try:
            async for item in flow:
                batch.append(item)
                size += len(item[1]) + _PER_PIECE
                if size >= _BATCH:
                    yield batch
                    batch, size = [], 0
        except TransportError as exc:
            broken = exc
    # What came before a cut need not come again.
    if batch:
        yield batch
    if broken is not None:
        raise broken


async def in_batches(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the chunks of a stream in pieces that are worth a trip to a thread."""
    pieces: list[bytes] = []
    size = 0
    try:
        async for chunk in stream:
            pieces.append(chunk)
            size += len(chunk)
            if size >= _BATCH:
                yield b"".join(pieces)
                pieces, size = [], 0
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
    if pieces:
        yield b"".join(pieces)


async def _tell(
    transport: Transport,
    base: str,
    names: bytes,
    wanted: Mapping[str, int],
    told: dict[str, str],
) -> None:
    """Fill `told` with what the pod computes for the names that were asked for."""
    script = digests(len(wanted), sum(wanted.values())) + _DIGEST
    fields = nul_fields(transport.stream(call(script, plain_path(base)), stdin=names))
    lines = 0
    async with aclosing(fields):
        async for field in fields:
            lines += 1
            _note(field, lines, wanted, told)


def _note(field: bytes, lines: int, wanted: Mapping[str, int], told: dict[str, str]) -> None:
    """Note the digest that a field tells, the one of so many."""
    text = field.decode("utf-8", "surrogateescape")
    digest, name = text[:64], text[66:].removeprefix("./")
    if len(text) < 67 or text[64:66] != "  " or lines > len(wanted):
        raise _no_digests()
    if name in wanted:
        told[name] = digest


def _no_digests() -> StepFailed:
    return StepFailed("the pod sent no digests", cause="bad_listing")


async def range_of(
    source: Source, name: str, start: int, length: int, codec: Codec
) -> AsyncGenerator[list[tuple[Codec, bytes]]]:
    """Yield a range of a file in batches of pieces as the pod sends them, with how each is packed.

    An empty piece ends a stream of its own.

    Raises:
        StepFailed: The far side cannot do it (cause `bad_archive`: it sent something else).
        TransportError: The connection failed.
    """
    if source.agent is None:
        where, what = plain_path(source.base), f"./{name}"
        command = call(_RANGE, where, what, str(start), str(length), codec)
        batches = in_batches(source.transport.stream(command))
        async with aclosing(batches):
            async for batch in batches:
                yield [(codec, batch)]
        return
    source.agent.doing = f"reading {name}"
    body = f"{plain_path(source.base)}\0./{name}\0".encode("utf-8", "surrogateescape")
    words = word_batches(source.agent.flow(f"range {codec} {start} {length}", body))
    left = length + _SLACK
    async with aclosing(words):
        async for pieces in words:
            left -= sum(len(piece) + _PER_PIECE for _, piece in pieces)
            if left < 0 or any(word not in _CODECS for word, _ in pieces):
                raise StepFailed("the pod sent a broken stream", cause="bad_archive")
            yield [(_CODECS[word], piece) for word, piece in pieces]


async def blocks_of(transport: Transport, base: str, name: str, size: int, block: int) -> list[str]:
    """Return the sha256 of each block of a file on the pod, as many as `size` bytes have.

    Raises:
        StepFailed: The pod cannot tell.
        TransportError: The connection failed.
    """
    command = call(_BLOCKS, plain_path(base), f"./{name}", str(block))
    most = -(-size // block)
    told: list[str] = []
    fields = nul_fields(transport.stream(command))
    async with aclosing(fields):
        async for field in fields:
            if len(told) == most:
                break
            told.append(field.decode("ascii", "replace"))
    return told


async def sha256_of(transport: Transport, base: str, name: str) -> str | None:
    """Return the sha256 of a large file on the pod, None when it cannot be read.

    Raises:
        TransportError: The connection failed.
    """
    told: dict[str, str] = {}
    await _tell(transport, base, b"./" + name.encode() + b"\0", {name: 1 << 40}, told)
    return told.get(name)
