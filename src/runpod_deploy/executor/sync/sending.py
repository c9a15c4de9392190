"""One upload under way: looks what is there, sends what differs over several connections, commits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.errors import TransportError
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.agent import Agent
from runpod_deploy.executor.sync.answers import SHORT
from runpod_deploy.executor.sync.codec import Codec, best
from runpod_deploy.executor.sync.frames import BLOCK_BYTES, Frame, Frames, is_large
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.look import Standing
from runpod_deploy.executor.sync.speech import Speech

_PER_BLOCK = 66
Progress = Callable[[str, int, int], None]
Answer = asyncio.Future[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What was done: entries put in place, bytes that travelled, whether the destination is new."""

    placed: tuple[PayloadEntry, ...]
    bytes: int
    created: bool


class Sending:
    """A `Load` for the connections of `Lanes`.

    Args:
        control: The connection for the talk.
        speech: How to talk to the pod.
        root: Where the entries lie.
        named: Name on the pod to entry.
        progress: Called with a name, bytes done and bytes in all.
    """

    def __init__(
        self,
        control: Transport,
        speech: Speech,
        root: Path,
        named: Mapping[str, PayloadEntry],
        progress: Progress,
    ) -> None:
        self._control = control
        self._speech = speech
        self._root = root
        self._named = named
        self._progress = progress
        self._agents: dict[Agent, int] = {}
        self._frames = Frames(root, {}, "none", {}, speech.small)
        self._talk: Agent | None = None
        self._before = self._total = self._arrived = 0

    async def run(self, lanes: Lanes) -> Sent:
        """Bring the pod to where it should be.

        Raises:
            StepFailed: As `upload`.
            TransportError: The connection broke.
        """
        try:
            return await self._run(lanes)
        except BaseException:
            await asyncio.gather(*(agent.abandon() for agent in self._agents))
            raise
        finally:
            self._frames.close()

    async def _run(self, lanes: Lanes) -> Sent:
        talk = await self._agent(self._control)
        self._talk = talk
        standing = await self._speech.look(talk, self._named)
        todo = {name: e for name, e in self._named.items() if name not in standing.in_place}
        created = False
        # An empty payload is a folder that is to be there.
        if todo or not (standing.there or self._named):
            codec = best(standing.programs)
            await self._prepare(talk, standing, todo, codec)
            await lanes.spread(self._control, self)
            word, _ = await talk.ask(*self._speech.commit(todo, self._frames.large, codec))
            created = word == "created"
        self._speech.leave(talk)
        travelled = sum(agent.sent - before for agent, before in self._agents.items())
        return Sent(placed=tuple(todo.values()), bytes=travelled, created=created)

    async def _agent(self, transport: Transport) -> Agent:
        agent = await self._speech.agent(transport)
        self._agents.setdefault(agent, agent.sent)
        return agent

    async def _prepare(
        self, talk: Agent, standing: Standing, todo: Mapping[str, PayloadEntry], codec: Codec
    ) -> None:
        to_send = {name: entry for name, entry in todo.items() if name not in standing.staged}
        blocks = {}
        large = {entry.sha256: entry.size for entry in to_send.values() if is_large(entry)}
        for digest, size in large.items():
            if standing.partial.get(digest):
                _, answer = await talk.ask(
                    f"blocks {digest} {BLOCK_BYTES}",
                    most=SHORT + _PER_BLOCK * (size // BLOCK_BYTES),
                )
                blocks[digest] = answer.decode("ascii", "replace").split()
        self._total = _content(todo)
        self._before = self._total - _content(to_send)
        self._frames = Frames(self._root, to_send, codec, blocks, self._speech.small)

    async def work(self, transport: Transport) -> None:
        """Send frames over one connection until none is left.

        Raises:
            StepFailed: As `upload`.
            TransportError: This connection broke; what it had not delivered goes back.
        """
        ours = transport is self._control
        agent = self._talk if ours and self._talk else await self._agent(transport)
        pending: dict[Answer, Frame] = {}
        try:
            while (frame := await self._frames.next()) is not None:
                await self._send(agent, frame, pending)
            for answer in list(pending):
                await answer
        except TransportError:
            for frame in pending.values():
                self._frames.put_back(frame)
            raise
        if not ours:
            self._speech.leave(agent)

    async def _send(self, agent: Agent, frame: Frame, pending: dict[Answer, Frame]) -> None:
        try:
            answer = await agent.send(frame.head, frame.body)
        except TransportError:
            self._frames.put_back(frame)
            raise
        pending[answer] = frame

        def answered(done: Answer) -> None:
            if not done.cancelled() and done.exception() is None:
                self._delivered(pending.pop(done))

        answer.add_done_callback(answered)

    def _delivered(self, frame: Frame) -> None:
        self._arrived += frame.content
        self._progress(frame.name, self.done(), self._total)

    def done(self) -> int:
        """Return the bytes of content that are there."""
        return self._before + self._frames.skipped + self._arrived

    def left(self) -> int:
        """Return the bytes of content that were not given out yet."""
        return self._frames.left()


def _content(entries: Mapping[str, PayloadEntry]) -> int:
    return sum(entry.size for entry in entries.values() if entry.type == "file")
