"""What a pull asks of a pod: a list with digests, archives of small files, ranges of large ones."""

from __future__ import annotations

import hashlib
import os
import stat
import sys

from runpod_deploy.executor.sync.far import digesting, packing
from runpod_deploy.executor.sync.far.talk import Talk

if sys.version_info >= (3, 9):
    from collections.abc import Iterator, Sequence
else:
    from typing import Iterator, Sequence

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK = 512
_PIECE = 1024 * 1024
_PACKED_PIECE = 4 * 1024 * 1024
_WORTH_A_PROCESS = 400
_PLAIN_NAME = 100
_PLAIN_SIZE = 8**11
_TRY_AGAIN_AFTER = 16
_CHANGED = b"0" * 64


def tell(talk: Talk, body: bytes) -> None:
    """List a path: NUL-ended fields as the shell's listing has them, with digests of what was asked.

    `body`: the path, then `./NAME` of what is to be hashed, each NUL-ended.
    """
    path, *names = body.split(b"\0")[:-1]
    kind = "m"
    if os.path.isdir(path):
        kind = "d"
    elif os.path.isfile(path):
        kind = "f"
    elif os.path.exists(path):
        kind = "o"
    talk.answer("data", f"{kind}\0{packing.programs()}\0".encode())
    bad: list[str] = []
    pieces: list[bytes] = []
    for piece in _entries(path, kind, bad):
        pieces.append(piece)
        if len(pieces) >= 2048:
            talk.answer("data", b"".join(pieces))
            pieces.clear()
    words = "\n".join(bad).encode("utf-8", "surrogateescape")[:8192]
    pieces.append(b"E%d\0%b\0" % (int(bool(bad)), words))
    talk.answer("data", b"".join(pieces))
    if names and kind in ("d", "f"):
        os.chdir(path if kind == "d" else os.path.dirname(path) or b".")
        if kind == "f":
            names = [b"./" + os.path.basename(path)]
        for said in digesting.spread(_digests, names, _WORTH_A_PROCESS):
            talk.answer("data", said)
    talk.answer("end")


def _entries(path: bytes, kind: str, bad: list[str]) -> Iterator[bytes]:
    if kind == "f":
        yield _line(os.path.basename(path), b"", os.stat(path))
    pending = [(path, b"")] if kind == "d" else []
    while pending:
        folder, prefix = pending.pop()
        try:
            found = list(os.scandir(folder))
        except OSError as error:
            bad.append(str(error))
            continue
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
                link = stat.S_ISLNK(status.st_mode)
                target = os.readlink(entry.path) if link else b""
            except OSError as error:
                bad.append(str(error))
                continue
            yield _line(prefix + entry.name, target, status)
            if stat.S_ISDIR(status.st_mode):
                pending.append((entry.path, prefix + entry.name + b"/"))


def _line(name: bytes, target: bytes, status: os.stat_result) -> bytes:
    mode = status.st_mode
    letter = b"p"
    for test, one in ((stat.S_ISREG, b"f"), (stat.S_ISDIR, b"d"), (stat.S_ISLNK, b"l")):
        if test(mode):
            letter = one
    mtime, ctime = (divmod(ns, 10**9) for ns in (status.st_mtime_ns, status.st_ctime_ns))
    stamp = b"%o %d.%09d %d.%09d %d" % (stat.S_IMODE(mode), *mtime, *ctime, status.st_ino)
    return b"%b\0%d\0%b\0%b\0%b\0" % (letter, status.st_size, stamp, target, name)


def _digests(names: Sequence[bytes]) -> bytes:
    told = []
    for name in names:
        state = digesting.state(name)
        if state[:1] == b"f":
            told.append(state[2:].hex().encode() + b"  " + name + b"\0")
    return b"".join(told)


class Archive:
    """One archive of small files on its way; each file is hashed as it is read.

    Args:
        talk: The channel to whoever asks.
        codec: What pieces are packed with, where they shrink.
    """

    def __init__(self, talk: Talk, codec: str) -> None:
        self._talk = talk
        self._codec = codec
        self._resting = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._digests: list[bytes] = []

    def send(self, body: bytes) -> None:
        """Send the files named in `body`: the folder, then `./NAME` of each, NUL-ended."""
        base, *names = body.split(b"\0")[:-1]
        os.chdir(base)
        for name in names:
            try:
                handle = os.open(name, _FILE)
            except OSError:
                continue
            try:
                self._file(handle, name)
            except OSError:
                continue
            finally:
                os.close(handle)
        self._add(bytes(2 * _BLOCK))
        self._flush()
        self._talk.answer("end")

    def _file(self, handle: int, name: bytes) -> None:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            return
        left = before.st_size
        self._add(_header(name, before))
        digest = hashlib.sha256()
        while left:
            block = os.read(handle, min(left, _PIECE))
            if not block:
                # It shrank meanwhile: the archive goes on, and its digest will fit nothing.
                block = bytes(min(left, _PIECE))
            digest.update(block)
            left -= len(block)
            self._add(block)
        self._add(bytes(-before.st_size % _BLOCK))
        after = os.fstat(handle)
        told = digest.hexdigest().encode()
        if _moment(before) != _moment(after):
            told = _CHANGED
        self._digests.append(told + b"  " + name + b"\0")

    def _add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        packing_pays = self._codec != "none" and not self._resting
        if self._size >= (_PACKED_PIECE if packing_pays else _PIECE):
            self._flush()

    def _flush(self) -> None:
        codec, body = "none", b"".join(self._pieces)
        if self._resting:
            self._resting -= 1
        else:
            codec, packed = packing.pack(self._codec, body)
            body = bytes(packed)
            self._resting = _TRY_AGAIN_AFTER if codec == "none" != self._codec else 0
        self._talk.answer("tar-" + codec, body)
        self._talk.answer("digests", b"".join(self._digests))
        self._pieces, self._size, self._digests = [], 0, []


def _moment(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _header(name: bytes, status: os.stat_result) -> bytes:
    """Return what GNU tar writes before a regular file."""
    long = b""
    if len(name) > _PLAIN_NAME:
        padded = name + bytes(_BLOCK - len(name) % _BLOCK)
        long = _block(b"././@LongLink", 0, len(name) + 1, 0, b"L") + padded
        name = name[:_PLAIN_NAME]
    mode = stat.S_IMODE(status.st_mode)
    return long + _block(name, mode, status.st_size, max(0, int(status.st_mtime)), b"0")


def _block(name: bytes, mode: int, size: int, mtime: int, kind: bytes) -> bytes:
    told = b"%011o\0" % size if size < _PLAIN_SIZE else b"\x80" + size.to_bytes(11, "big")
    before = b"%b%07o\0000000000\0000000000\0%b%011o\0" % (
        name.ljust(100, b"\0"),
        mode,
        told,
        mtime,
    )
    after = (kind + bytes(100) + b"ustar  \0").ljust(_BLOCK - 156, b"\0")
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return b"%b%06o\0 %b" % (before, checksum, after)


def send_range(talk: Talk, codec: str, start: int, length: int, body: bytes) -> None:
    """Send a range of a file; where it ends early, what there is.

    `body`: the folder and the name, NUL-ended.
    """
    base, name = body.split(b"\0")[:2]
    handle = os.open(os.path.join(base, name), _FILE)
    try:
        end = min(start + length, os.fstat(handle).st_size)
        resting = 0
        while start < end:
            size = min(end - start, _PACKED_PIECE)
            if codec == "none" or resting:
                resting -= 1
                talk.copy("data-none", handle, start, size)
            else:
                used, packed = packing.pack(codec, os.pread(handle, size, start))
                resting = _TRY_AGAIN_AFTER if used == "none" else 0
                talk.answer("data-" + used, packed)
            start += size
    finally:
        os.close(handle)
    talk.answer("end")
