"""An upload on the pod: what is there of it, what comes, and how it is put into place."""

from __future__ import annotations

import hashlib
import os
import stat
import time
import zlib

from runpod_deploy.executor.sync.far import digesting, moving, packing
from runpod_deploy.executor.sync.far.talk import Failed, Talk

PREFIX = ".rd-upload-"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 1024 * 1024
_WORTH_A_PROCESS = 400
_HINT = 6
_STATE = 34
_DAY_SEC = 86_400


class Taking:
    """One upload: a hidden folder beside the destination takes it until `commit`.

    Args:
        talk: The channel to whoever sends.
        target: The destination.
        parent: The folder that holds it.
        tag: Names the hidden folder.
        single: Whether the payload is one file that becomes `target`.
    """

    def __init__(
        self, talk: Talk, target: bytes, parent: bytes, tag: bytes, *, single: bool
    ) -> None:
        self._talk = talk
        home = os.getcwdb()
        self._target = os.path.join(home, target)
        self._parent = os.path.join(home, parent)
        self._single = single
        self._beside = self._parent
        if not single and os.path.isdir(self._target):
            self._beside = self._target
        self._hidden = os.path.join(self._beside, PREFIX.encode() + tag)
        self._made: set[bytes] | None = None

    def have(self, count: int, body: bytearray) -> None:
        """Tell which entries are as they should be, in the destination and in the hidden folder.

        `body` holds six bytes of what is hoped for of each, then the names, packed. The answer has
        a bit for each, and the sha256 over the whole states of those that look right.
        """
        hints = bytes(body[: count * _HINT])
        names = zlib.decompress(body[count * _HINT :]).split(b"\0")[:count]
        kind = "m"
        if os.path.isdir(self._target):
            kind = "d"
        elif os.path.lexists(self._target):
            kind = "o"
        where = self._parent if self._single else self._target
        here = _looked(where, names, hints)
        staged = _looked(self._in("tree"), names, hints)
        partial = []
        large = self._in("large")
        for name in os.listdir(large) if os.path.isdir(large) else ():
            size = os.stat(os.path.join(large, name)).st_size
            partial.append(f"{name.decode('ascii', 'replace')} {size}")
        there = f"{int(bool(here))}{int(bool(staged))}"
        fields = (packing.programs(), kind, "\n".join(partial), there, "")
        self._talk.answer("have", "\0".join(fields).encode() + here + staged)

    def files(self, body: bytes | bytearray) -> None:
        """Write small files and links; each file is held against its sha256 on the way.

        `body`: the length of the head in 4 bytes, the head, and the contents. The head has five
        fields for each, NUL-ended: `f`, `x` or `l`, mtime, size, name, sha256 or target.
        """
        tree, made = self._room()
        os.chdir(tree)
        view = memoryview(body)
        at = 4 + int.from_bytes(body[:4], "big")
        fields = bytes(view[4:at]).split(b"\0")
        for n in range(0, len(fields) - 4, 5):
            kind, name, proof = fields[n], fields[n + 3], fields[n + 4]
            folder = name.rpartition(b"/")[0]
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            mtime = int(fields[n + 1]) * 1_000_000_000
            if kind == b"l":
                _link(name, proof, mtime)
                continue
            content = view[at : at + int(fields[n + 2])]
            at += len(content)
            if hashlib.sha256(content).hexdigest().encode() != proof:
                raise Failed(42, "other content on arrival: " + name.decode("utf-8", "replace"))
            _write(name, content, 0o755 if kind == b"x" else 0o644, mtime)
        self._talk.answer("ok")

    def part(self, codec: str, sha256: str, offset: int, length: int) -> None:
        """Write a piece of a large file."""
        self._room()
        handle = os.open(os.path.join(self._in("large"), sha256.encode()), _KEPT, 0o644)
        try:
            if codec == "none":
                buffer = memoryview(bytearray(min(length, _BLOCK)))
                while length:
                    size = self._talk.read_into(buffer[: min(length, _BLOCK)])
                    _write_at(handle, buffer[:size], offset)
                    offset += size
                    length -= size
            else:
                body = packing.expand(codec, self._talk.take(length))
                _write_at(handle, memoryview(body), offset)
        finally:
            os.close(handle)
        self._talk.answer("ok")

    def blocks(self, sha256: str, size: int) -> None:
        """Tell the digest of each whole or last block of what is there of a large file."""
        path = os.path.join(self._in("large"), sha256.encode())
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            starts = range(0, os.fstat(handle).st_size, size)

            def said(offsets: object) -> bytes:
                assert isinstance(offsets, list)
                return b"".join(
                    hashlib.sha256(os.pread(handle, size, int(at))).hexdigest().encode() + b"\n"
                    for at in offsets
                )

            told = digesting.spread(said, [b"%d" % at for at in starts], 4)
        finally:
            os.close(handle)
        self._talk.answer("blocks", b"".join(told))

    def commit(self, body: bytes) -> None:
        """Put what came into place.

        `body` has five fields for each entry, NUL-ended: `f`, `x`, `l`, or `F`, `X` for one that
        came in pieces; mtime, size, name, sha256.
        """
        tree, _ = self._room()
        fields = zlib.decompress(body).split(b"\0")
        entries = [fields[n : n + 5] for n in range(0, len(fields) - 4, 5)]
        self._large([entry for entry in entries if entry[0] in (b"F", b"X")])
        os.chdir(tree)
        for kind, _, size, name, _ in entries:
            status = os.lstat(name)
            right = stat.S_ISLNK if kind == b"l" else stat.S_ISREG
            if not right(status.st_mode) or (kind != b"l" and status.st_size != int(size)):
                raise Failed(42, "other content on arrival: " + name.decode("utf-8", "replace"))
        word = moving.put(tree, self._target, [entry[3] for entry in entries], single=self._single)
        os.chdir("/")
        self.drop()
        self._sweep()
        self._talk.answer(word)

    def drop(self) -> None:
        """Remove the hidden folder."""
        moving.remove(self._hidden)
        self._made = None

    def _large(self, entries: list[list[bytes]]) -> None:
        """Prove the files that came in pieces, and lay them into the tree; equal ones came once."""
        os.chdir(self._in("large"))
        wanted = {entry[4] for entry in entries}
        names = sorted(wanted)
        states = b"".join(digesting.spread(_states, names, 1))
        for n, name in enumerate(names):
            if states[n * _STATE + 2 : (n + 1) * _STATE].hex().encode() != name:
                last = next(entry[3] for entry in entries if entry[4] == name)
                raise Failed(42, "other content on arrival: " + last.decode("utf-8", "replace"))
        for n, (kind, mtime, _, name, sha256) in enumerate(entries):
            place = os.path.join(self._in("tree"), name)
            os.makedirs(place.rpartition(b"/")[0], exist_ok=True)
            if any(entry[4] == sha256 for entry in entries[n + 1 :]):
                moving.copy(sha256, place)
            else:
                os.replace(sha256, place)
            os.chmod(place, 0o755 if kind == b"X" else 0o644)
            stamp = int(mtime) * 1_000_000_000
            os.utime(place, ns=(stamp, stamp))

    def _room(self) -> tuple[bytes, set[bytes]]:
        tree = self._in("tree")
        if self._made is None:
            self._made = {b""}
            os.makedirs(self._beside, exist_ok=True)
            if not os.path.lexists(self._hidden):
                os.mkdir(self._hidden, 0o700)
            os.makedirs(self._in("large"), exist_ok=True)
            os.makedirs(tree, exist_ok=True)
        return tree, self._made

    def _in(self, name: str) -> bytes:
        return os.path.join(self._hidden, name.encode())

    def _sweep(self) -> None:
        """Remove what uploads left beside it that were given up long ago."""
        for name in os.listdir(self._beside):
            path = os.path.join(self._beside, name)
            if name.startswith(PREFIX.encode()):
                try:
                    if time.time() - os.lstat(path).st_mtime > 2 * _DAY_SEC:
                        moving.remove(path)
                except OSError:
                    continue


def _looked(folder: bytes, names: list[bytes], hints: bytes) -> bytes:
    """Return the sha256 over the states that fit their hints, and a bit for each name; or nothing."""
    try:
        os.chdir(folder)
    except OSError:
        return b""
    states = b"".join(digesting.spread(_states, names, _WORTH_A_PROCESS))
    bits = bytearray(-(-len(names) // 8))
    proof = hashlib.sha256()
    for n in range(len(names)):
        at = n * _STATE
        if states[at : at + _HINT] == hints[n * _HINT : (n + 1) * _HINT]:
            bits[n >> 3] |= 1 << (n & 7)
            proof.update(states[at : at + _STATE])
    return proof.digest() + bits


def _states(names: object) -> bytes:
    assert isinstance(names, list)
    return b"".join(map(digesting.state, names))


def _write(name: bytes, content: memoryview, mode: int, mtime: int) -> None:
    try:
        handle = os.open(name, _NEW, mode)
    except FileExistsError:
        os.unlink(name)
        handle = os.open(name, _NEW, mode)
    try:
        _write_at(handle, content, None)
        os.utime(handle, ns=(mtime, mtime))
    finally:
        os.close(handle)


def _write_at(handle: int, view: memoryview, offset: int | None) -> None:
    while len(view):
        if offset is None:
            size = os.write(handle, view)
        else:
            size = os.pwrite(handle, view, offset)
            offset += size
        view = view[size:]


def _link(name: bytes, target: bytes, mtime: int) -> None:
    try:
        os.symlink(target, name)
    except FileExistsError:
        os.unlink(name)
        os.symlink(target, name)
    os.utime(name, ns=(mtime, mtime), follow_symlinks=False)
