"""Brings a set of files over: one stream of content and, beside it, one of digests."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.listing import nul_fields
from runpod_deploy.executor.sync.remote import call, digests, plain_path
from runpod_deploy.executor.sync.sending import Progress
from runpod_deploy.executor.sync.tar_reader import TarReader
from runpod_deploy.executor.sync.unpack import Unpacker

_BATCH = 1024 * 1024
_SLACK = 256 * 1024 * 1024
_PER_FILE = 8 * 1024

_DIGEST = 'cd -- "$1" || exit 44\ndigests 2>/dev/null\nexit 0\n'

# A file that vanishes or shrinks makes tar complain; which ones are whole is found out here.
_TAR = r"""
cd -- "$1" || exit 44
tar --version 2>/dev/null | grep -q GNU || { echo 'the image lacks GNU tar' >&2; exit 43; }
tar -c --format=gnu --hard-dereference --no-recursion --no-unquote --null -T - -f - 2>/dev/null
[ $? -le 2 ]
"""


async def fetch(
    transport: Transport,
    base: str,
    wanted: Mapping[str, int],
    unpacker: Unpacker,
    progress: Progress,
) -> None:
    """Fetch files of the folder `base` and settle each by the digest that the pod computes.

    What arrives is bounded by the listed sizes and some slack for files that grow meanwhile; beyond
    that the stream is cut, and what is missing counts as changed.

    Args:
        transport: Connection to the pod.
        base: Folder on the pod.
        wanted: Name below `base` to size, as listed.
        unpacker: Takes the files; closed at the end.
        progress: Called with a name, bytes done and bytes in all.

    Raises:
        StepFailed: The far side cannot do it, or sent no archive.
        TransportError: The connection failed.
        OSError: The local disk refused.
    """
    names = b"".join(b"./" + name.encode("utf-8") + b"\0" for name in wanted)
    told: dict[str, str] = {}
    teller = asyncio.create_task(_tell(transport, base, names, wanted, told))
    try:
        await _receive(transport, base, names, wanted, unpacker, progress, told, teller)
        await teller
        await asyncio.to_thread(unpacker.settle, told)
    finally:
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)
        await asyncio.to_thread(unpacker.close)


async def _receive(
    transport: Transport,
    base: str,
    names: bytes,
    wanted: Mapping[str, int],
    unpacker: Unpacker,
    progress: Progress,
    told: dict[str, str],
    teller: "asyncio.Task[None]",
) -> None:
    total = sum(wanted.values())
    budget = total + len(wanted) * _PER_FILE + _SLACK
    reader = TarReader(unpacker)
    stream = transport.stream(call(_TAR, plain_path(base)), stdin=names)

    def take(batch: bytes) -> None:
        reader.feed(batch)
        unpacker.settle(told)

    batches = _batches(stream)
    async with aclosing(batches):
        async for batch in batches:
            await asyncio.to_thread(take, batch)
            progress(unpacker.current, min(unpacker.bytes, total), total)
            budget -= len(batch)
            if budget < 0 or (teller.done() and teller.exception() is not None):
                return


async def _batches(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
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
    async with aclosing(fields):
        async for field in fields:
            text = field.decode("utf-8", "surrogateescape")
            digest, name = text[:64], text[66:].removeprefix("./")
            if len(text) < 67 or text[64:66] != "  ":
                raise StepFailed("the pod sent no digests", cause="bad_listing")
            if name in wanted:
                told[name] = digest
