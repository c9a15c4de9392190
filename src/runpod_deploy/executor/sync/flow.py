"""Answers on their way to whoever takes them; a few wait, then the pod does."""

from __future__ import annotations

import asyncio
from collections import deque

_AHEAD = 16


class Flow:
    """A bounded queue between the talk and its reader.

    Attributes:
        ended: Whether the last answer was taken.
    """

    def __init__(self) -> None:
        self._items: deque[tuple[str, bytes] | None] = deque()
        self._moved = asyncio.Event()
        self._problem: BaseException | None = None
        self.ended = False

    async def put(self, item: tuple[str, bytes] | None) -> None:
        """Add a word with a piece of its answer, or None for the end, once there is room."""
        while len(self._items) >= _AHEAD:
            self._moved.clear()
            await self._moved.wait()
        self._items.append(item)
        self._moved.set()

    def fail(self, problem: BaseException) -> None:
        """Let the reader know, after what there is, that no more will come."""
        self._problem = problem
        self._moved.set()

    async def get(self) -> tuple[str, bytes] | None:
        """Return the next item; raises what `fail` was told."""
        while not self._items:
            if self._problem is not None:
                self.ended = True
                raise self._problem
            self._moved.clear()
            await self._moved.wait()
        item = self._items.popleft()
        self._moved.set()
        self.ended = item is None
        return item
