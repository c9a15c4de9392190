"""How an upload talks to a pod: to our script where there is python3, to a shell where not."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import TransportError
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.agent import Agent
from runpod_deploy.executor.sync.codec import Codec, pack
from runpod_deploy.executor.sync.look import LOOK_BYTES, PER_NAME, Standing, look, nonsense
from runpod_deploy.executor.sync.placing import placing
from runpod_deploy.executor.sync.planned_files import bundle_of, tar_of
from runpod_deploy.executor.sync.worker import Workers

_HINT = 6
_NUL = "\0"


class Speech(Protocol):
    """What differs between the two."""

    async def agent(self, transport: Transport) -> Agent:
        """Return a script that takes frames of this upload over a connection."""

    async def look(self, agent: Agent, named: Mapping[str, PayloadEntry]) -> Standing:
        """Ask what of `named` is there."""

    def small(
        self, root: Path, batch: Sequence[tuple[str, PayloadEntry]], codec: Codec
    ) -> tuple[str, bytes]:
        """Return head and body of a frame with small files and links."""

    def commit(
        self,
        todo: Mapping[str, PayloadEntry],
        large: Mapping[str, tuple[PayloadEntry, int]],
        codec: Codec,
    ) -> tuple[str, bytes]:
        """Return head and body of the frame that puts everything into place."""

    def leave(self, agent: Agent) -> None:
        """This upload has nothing more to say to a script."""


class ShellSpeech:
    """To a POSIX shell with coreutils, started for this upload.

    Args:
        command: Starts the script.
        doing: What for, in messages.
    """

    def __init__(self, command: str, doing: str) -> None:
        self._command = command
        self._doing = doing

    async def agent(self, transport: Transport) -> Agent:
        """Start one."""
        return Agent(transport, self._command, self._doing)

    async def look(self, agent: Agent, named: Mapping[str, PayloadEntry]) -> Standing:
        """Ask for names; the whole list comes back unless all is as hoped."""
        return await look(agent, named)

    def small(
        self, root: Path, batch: Sequence[tuple[str, PayloadEntry]], codec: Codec
    ) -> tuple[str, bytes]:
        """Return an archive for tar."""
        used, body = pack(tar_of(root, batch), codec)
        return f"tar {used}", body

    def commit(
        self,
        todo: Mapping[str, PayloadEntry],
        large: Mapping[str, tuple[PayloadEntry, int]],
        codec: Codec,
    ) -> tuple[str, bytes]:
        """Return an archive of lists and scripts."""
        used, body = pack(placing(todo, large), codec)
        return f"commit {used}", body

    def leave(self, agent: Agent) -> None:
        """Let it end."""
        agent.goodbye()


class WorkerSpeech:
    """To our script, which stays for what comes after.

    Args:
        workers: Has it.
        target: Destination on the pod.
        parent: The folder that holds it.
        tag: Names the hidden folder.
        single: Whether the payload is one file.
        doing: What for, in messages.
    """

    def __init__(
        self, workers: Workers, target: str, parent: str, tag: str, *, single: bool, doing: str
    ) -> None:
        self._workers = workers
        kind = "file" if single else "tree"
        self._opening = _NUL.join((target, parent, tag, kind)).encode("utf-8", "surrogateescape")
        self._doing = doing

    async def agent(self, transport: Transport) -> Agent:
        """Return the one of a connection, told about this upload."""
        agent = await self._workers.of(transport)
        if agent is None:
            # The pod's other connection had it.
            raise TransportError("python3 on the pod could not be started once more")
        agent.doing = self._doing
        await agent.send("open", self._opening)
        return agent

    async def look(self, agent: Agent, named: Mapping[str, PayloadEntry]) -> Standing:
        """Ask with names and a piece of each digest: what fits is told in bits, under one digest."""
        states = [_state(entry) for entry in named.values()]
        hints = b"".join(state[:_HINT] for state in states)
        names = zlib.compress(_NUL.join(named).encode(), 1)
        word, answer = await agent.ask(
            f"have {len(states)}", hints + names, most=LOOK_BYTES + PER_NAME * len(states)
        )
        try:
            programs, kind, partial, there, blocks = answer.split(b"\0", 4)
            size = 32 + -(-len(states) // 8)
            if word != "have" or len(there) != 2 or len(blocks) != size * there.count(b"1"):
                raise ValueError(word)
            parts = [line.split() for line in partial.decode("ascii").splitlines()]
            sizes = {digest: int(told) for digest, told in parts}
        except ValueError as exc:
            raise nonsense() from exc
        names_here, names_staged = (
            _right(blocks[at : at + size], states, named) if has == b"1" else frozenset()
            for has, at in ((there[:1], 0), (there[1:], size if there[:1] == b"1" else 0))
        )
        return Standing(
            programs=frozenset(programs.decode("ascii", "replace").split()),
            there=kind == b"d",
            in_place=names_here,
            staged=names_staged - names_here,
            partial=sizes,
        )

    def small(
        self, root: Path, batch: Sequence[tuple[str, PayloadEntry]], codec: Codec
    ) -> tuple[str, bytes]:
        """Return heads and contents."""
        used, body = pack(bundle_of(root, batch), codec)
        return f"files {used}", body

    def commit(
        self,
        todo: Mapping[str, PayloadEntry],
        large: Mapping[str, tuple[PayloadEntry, int]],
        codec: Codec,  # noqa: ARG002 - zlib is there with python3
    ) -> tuple[str, bytes]:
        """Return a list of what is to be there."""
        fields: list[str] = []
        for name, entry in todo.items():
            kind = "l" if entry.type == "link" else "x" if entry.exec else "f"
            if name in large:
                kind = kind.upper()
            mtime = large[name][1] if name in large else 0
            fields += (kind, str(mtime), str(entry.size), name, entry.sha256)
        body = "".join(f"{field}\0" for field in fields).encode()
        return "commit", zlib.compress(body, 1)

    def leave(self, agent: Agent) -> None:
        """Keep it for the next."""
        agent.doing = "the talk about files"


def _state(entry: PayloadEntry) -> bytes:
    if entry.type == "link":
        return b"l-" + hashlib.sha256((entry.target or "").encode()).digest()
    return (b"fx" if entry.exec else b"f-") + bytes.fromhex(entry.sha256)


def _right(
    block: bytes, states: Sequence[bytes], named: Mapping[str, PayloadEntry]
) -> frozenset[str]:
    """Return the names whose bit is set, if the digest over their whole states is as it must be."""
    proof, bits = block[:32], block[32:]
    names: list[str] = []
    digest = hashlib.sha256()
    for n, (name, state) in enumerate(zip(named, states, strict=True)):
        if bits[n >> 3] >> (n & 7) & 1:
            names.append(name)
            digest.update(state)
    return frozenset(names) if digest.digest() == proof else frozenset()
