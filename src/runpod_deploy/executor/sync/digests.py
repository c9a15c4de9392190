"""sha256 of files on the far side, many of them in one command."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence

from runpod_deploy.errors import CommandFailed
from runpod_deploy.executor.ports import Transport

_CHUNK = 256 * 1024


async def far_digests(transport: Transport, folder: str, paths: Sequence[str]) -> dict[str, str]:
    """Return path to hex digest of those of `paths`, relative to `folder`, that could be read.

    Raises:
        TransportError: The connection broke.
    """
    if not paths:
        return {}
    # The names travel over stdin: they may hold anything but NUL, and there may be many.
    command = f"cd {shlex.quote(folder)} && xargs -0 -r sha256sum -z --"
    output = bytearray()
    try:
        async for piece in transport.stream(command, stdin=name_list(paths)):
            output += piece
    except CommandFailed:
        # A file that vanished or cannot be read is missing from the answer; the rest counts.
        pass
    digests = {}
    for line in bytes(output).split(b"\0"):
        digest, _, name = line.partition(b"  ")
        if len(digest) == 64 and name.startswith(b"./"):
            digests[name[2:].decode("utf-8", "surrogateescape")] = digest.decode("ascii", "replace")
    return digests


async def name_list(paths: Sequence[str]) -> AsyncIterator[bytes]:
    """Yield the paths, each led by `./` and ended by NUL, in pieces of about 256 KiB."""
    piece = bytearray()
    for path in paths:
        piece += b"./" + path.encode("utf-8", "surrogateescape") + b"\0"
        if len(piece) >= _CHUNK:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
