"""What a pod may say at most, however it cuts it into answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.sync import fetch
from runpod_deploy.executor.sync.agent import Agent
from runpod_deploy.executor.sync.answers import SHORT


class Says:
    """A connection over which a pod says one thing, and then whatever there is more of it.

    Attributes:
        taken: Bytes that were taken of it.
    """

    def __init__(self, head: bytes, more: bytes) -> None:
        self.head, self.more, self.taken = head, more, 0

    async def stream(self, _command: str, *, stdin: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Answer once something was asked."""
        await anext(stdin)
        yield self.head
        for _ in range(1000):
            self.taken += len(self.more)
            yield self.more
            await asyncio.sleep(0)


def asked(pod: Any, **most: int) -> tuple[str, bytes]:
    """Return the answer to a frame."""

    async def ask() -> tuple[str, bytes]:
        agent = Agent(pod, "script", "asking")
        try:
            return await agent.ask("part none x 0", b"", **most)
        finally:
            await agent.abandon()

    return asyncio.run(ask())


def test_an_answer_of_a_gigabyte_to_a_small_question_is_refused() -> None:
    """It is refused by the length that it claims, before it is read."""
    pod = Says(b"ok 1073741824\n", bytes(SHORT))
    with pytest.raises(StepFailed) as error:
        asked(pod)
    assert error.value.cause == "bad_answer"
    assert pod.taken <= 2 * SHORT


def test_a_question_may_have_a_long_answer() -> None:
    """Who asks says how long it can be."""
    pod = Says(b"have %d\n" % (2 * SHORT), bytes(SHORT))
    assert ("have", bytes(2 * SHORT)) == asked(pod, most=2 * SHORT)


class Empty:
    """A script that answers with nothing, over and over.

    Attributes:
        said: How often it did.
    """

    def __init__(self, word: str) -> None:
        self.word, self.said, self.doing = word, 0, ""

    async def flow(self, _head: str, _body: bytes = b"") -> AsyncGenerator[tuple[str, bytes]]:
        """Say it."""
        while self.said < 10_000:
            self.said += 1
            yield self.word, b""


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a thousand of them be too many."""
    monkeypatch.setattr(fetch, "_SLACK", 1000 * fetch._PER_PIECE)
    monkeypatch.setattr(fetch, "_PER_FILE", 0)


@pytest.mark.parametrize("word", ["digests", "tar-none"])
def test_answers_without_content_come_to_an_end(word: str) -> None:
    """Each is counted: neither memory nor time is theirs without bound."""

    class Nothing:
        def settle(self, told: dict[str, str]) -> None:
            assert told == {}

        def close(self) -> None:
            pass

    pod = Empty(word)
    source: Any = fetch.Source(transport=None, base="/x", agent=pod)
    asyncio.run(fetch.fetch(source, {"a": 1}, Nothing(), lambda _size: None))
    assert pod.said < 10_000


def test_a_range_of_nothing_comes_to_an_end() -> None:
    """As of what is fetched whole."""
    pod = Empty("data-none")
    source: Any = fetch.Source(transport=None, base="/x", agent=pod)

    async def read() -> None:
        async for _ in fetch.range_of(source, "a", 0, 10, "none"):
            pass

    with pytest.raises(StepFailed) as error:
        asyncio.run(read())
    assert error.value.cause == "bad_archive"


def test_answers_without_content_are_passed_on_in_time() -> None:
    """A list of them does not grow until the pod comes to an end."""

    async def sizes() -> list[int]:
        return [len(batch) async for batch in fetch.word_batches(Empty("digests").flow(""))]

    assert max(asyncio.run(sizes())) <= fetch._BATCH // fetch._PER_PIECE
