"""Calls that may be repeated, and lists that come in pages."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from runpod_deploy.errors import CloudError
from runpod_deploy.executor.ports import Clock
from runpod_deploy.executor.runpod.api import Api
from runpod_deploy.executor.runpod.backoff import Backoff

T = TypeVar("T")

_PAGES = 1000


class Calls:
    """An API client with patience; `jitter` gives numbers from 0 to 1 that spread the waits."""

    def __init__(
        self, api: Api, *, clock: Clock, jitter: Callable[[], float], backoff: Backoff
    ) -> None:
        self.api = api
        self.clock = clock
        self._jitter = jitter
        self._backoff = backoff

    async def again(
        self,
        method: Literal["GET", "DELETE", "PATCH"],
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Any:
        """Send a request whose effect is the same however often it arrives; repeated on failure."""
        return await self._backoff.repeat(
            lambda: self.api.send(method, path, params=params, json=json, secrets=secrets),
            clock=self.clock,
            jitter=self._jitter,
        )

    async def rows(
        self,
        path: str,
        envelope: str,
        parse: Callable[[Any], T | None],
        params: Mapping[str, str] | None = None,
    ) -> list[T]:
        """Return all rows of a list, following the cursor where the API hands one out."""
        rows: list[T] = []
        asked = dict(params or {})
        seen: set[str] = set()
        for _ in range(_PAGES):
            answer = await self.again("GET", path, params=asked or None)
            page = answer.get(envelope) if isinstance(answer, dict) else None
            if not isinstance(page, list):
                # An empty list here would read as "nothing exists" where a pod may be running.
                msg = f"GET {path} succeeded without the list {envelope!r}"
                raise CloudError(msg)
            rows.extend(row for row in map(parse, page) if row is not None)
            cursor = _next_cursor(answer)
            if cursor is None or cursor in seen:
                return rows
            seen.add(cursor)
            asked["cursor"] = cursor
        msg = f"GET {path} has more than {_PAGES} pages"
        raise CloudError(msg)


def _next_cursor(answer: dict[str, Any]) -> str | None:
    pagination = answer.get("pagination")
    if not isinstance(pagination, dict) or pagination.get("hasNextPage") is False:
        return None
    cursor = pagination.get("nextCursor")
    return cursor if isinstance(cursor, str) and cursor else None
