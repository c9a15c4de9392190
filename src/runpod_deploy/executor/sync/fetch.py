"""Brings content over a connection: archives of small files with their digests, and ranges of large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.codec import Codec, expander
from runpod_deploy.executor.sync.listing import nul_fields
from runpod_deploy.executor.sync.remote import call, digests, plain_path
from runpod_deploy.executor.sync.tar_reader import TarReader
from runpod_deploy.executor.sync.unpack import Unpacker

_BATCH = 1024 * 1024
_SLACK = 256 * 1024 * 1024
_PER_FILE = 8 * 1024

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


async def fetch(
    transport: Transport,
    base: str,
    wanted: Mapping[str, int],
    unpacker: Unpacker,
    moved: Callable[[int], None],
    *,
    codec: Codec = "none",
) -> None:
    """Fetch files of the folder `base` and settle each by the digest that the pod computes.

    What arrives is bounded by the listed sizes and some slack for files that grow meanwhile; beyond
    that the stream is cut, and what is missing counts as changed.

    Args:
        transport: Connection to the pod.
        base: Folder on the pod.
        wanted: Name below `base` to size, as listed.
        unpacker: Takes the files; closed at the end.
        moved: Told how many bytes came, compressed as they were.
        codec: What the pod compresses with.

    Raises:
        StepFailed: The far side cannot do it, or sent no archive.
        TransportError: The connection failed.
        OSError: The local disk refused.
    """
    names = b"".join(b"./" + name.encode("utf-8") + b"\0" for name in wanted)
    told: dict[str, str] = {}
    teller = asyncio.create_task(_tell(transport, base, names, wanted, told))
    try:
        stream = transport.stream(call(_TAR, plain_path(base), codec), stdin=names)
        await _receive(stream, wanted, unpacker, moved, told, teller, codec)
        await teller
        await asyncio.to_thread(unpacker.settle, told)
    finally:
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)
        await asyncio.to_thread(unpacker.close)


async def _receive(
    stream: AsyncIterator[bytes],
    wanted: Mapping[str, int],
    unpacker: Unpacker,
    moved: Callable[[int], None],
    told: dict[str, str],
    teller: asyncio.Task[None],
    codec: Codec,
) -> None:
    reader = TarReader(unpacker)
    expand = expander(codec)
    budget = sum(wanted.values()) + len(wanted) * _PER_FILE + _SLACK

    def take(batch: bytes) -> None:
        nonlocal budget
        try:
            for piece in expand.feed(batch):
                reader.feed(piece)
                budget -= len(piece)
                if budget < 0:
                    return
        except ValueError as exc:
            raise StepFailed("the pod sent a broken archive", cause="bad_archive") from exc
        unpacker.settle(told)

    batches = in_batches(stream)
    async with aclosing(batches):
        async for batch in batches:
            await asyncio.to_thread(take, batch)
            moved(len(batch))
            if budget < 0 or (teller.done() and teller.exception() is not None):
                return


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
            text = field.decode("utf-8", "surrogateescape")
            digest, name = text[:64], text[66:].removeprefix("./")
            lines += 1
            if len(text) < 67 or text[64:66] != "  " or lines > len(wanted):
                raise StepFailed("the pod sent no digests", cause="bad_listing")
            if name in wanted:
                told[name] = digest


def range_of(
    transport: Transport, base: str, name: str, start: int, length: int, codec: Codec
) -> AsyncIterator[bytes]:
    """Yield a range of a file as the pod sends it, compressed with `codec`."""
    command = call(_RANGE, plain_path(base), f"./{name}", str(start), str(length), codec)
    return transport.stream(command)


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
