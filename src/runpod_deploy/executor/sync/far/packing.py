"""Compression on the pod, by programs that it has: a piece at a time, so that no two pipes wait."""

from __future__ import annotations

import os
import zlib

from runpod_deploy.executor.sync.far.talk import Failed

GZIP = 31
"""What makes zlib write and read gzip's format."""


def programs() -> str:
    """Return what can be packed and expanded here besides plain bytes."""
    return "zstd gzip" if _found("zstd") is not None else "gzip"


def _found(name: str) -> str | None:
    for folder in os.environ.get("PATH", os.defpath).split(":"):
        path = os.path.join(folder or ".", name)
        if os.access(path, os.X_OK):
            return path
    return None


def expand(codec: str, body: bytes | bytearray) -> bytes | bytearray:
    """Return what was packed.

    Raises:
        Failed: It is broken.
    """
    if codec == "none":
        return body
    try:
        if codec == "gzip":
            return zlib.decompress(body, GZIP)
        return _piped("-dcq", body)
    except (zlib.error, OSError) as error:
        raise Failed(45, "a frame cannot be expanded: " + str(error)) from error


def pack(codec: str, piece: bytes | bytearray) -> tuple[str, bytes | bytearray]:
    """Return a piece packed, with the codec; as it is where it does not shrink by a tenth."""
    if codec == "none":
        return "none", piece
    try:
        if codec == "gzip":
            worker = zlib.compressobj(1, wbits=GZIP)
            packed = worker.compress(piece) + worker.flush()
        else:
            packed = _piped("-1cq", piece)
    except OSError:
        return "none", piece
    return (codec, packed) if len(packed) * 10 < len(piece) * 9 else ("none", piece)


def _piped(how: str, body: bytes | bytearray) -> bytes:
    """Return what zstd makes of `body`, which it reads from a file without a name."""
    program = _found("zstd")
    if program is None:
        raise OSError("zstd is not there")
    source = os.memfd_create("piece")
    mine, theirs = os.pipe()
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(source, view) :]
        os.lseek(source, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, theirs, 1)]
        process = os.posix_spawn(program, ["zstd", how], os.environ, file_actions=actions)
    except BaseException:
        os.close(mine)
        raise
    finally:
        os.close(source)
        os.close(theirs)
    with open(mine, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(process, 0)
    if status != 0:
        raise OSError("zstd failed")
    return said
