"""A pod's log as server-sent events: read, taken up again where it broke, no line told twice."""

import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from runpod_deploy.errors import NotFound, Unavailable
from runpod_deploy.executor.ports import Clock, LogLine
from runpod_deploy.executor.runpod.api import Api

PAUSE_SEC = 1.0
LONGEST_LINE = 64 * 1024

Key = tuple[str, str, str]


async def log_lines(api: Api, path: str, clock: Clock, tail: int) -> AsyncGenerator[LogLine, None]:
    """Yield the last `tail` lines and then what comes, until the pod is gone or the caller has enough.

    `Last-Event-ID` is the time in front of the `/` of an event's id, so lines of that very time come a
    second time; they are known by time, suffix and content.

    Raises:
        CloudError: The API refused.
    """
    last = ""
    told: Counter[Key] = Counter()
    while True:
        again = told.copy()
        headers = {"Last-Event-ID": last} if last else {}
        try:
            async with aclosing(_events(api, path, headers, tail)) as events:
                async for identity, data in events:
                    line = _line(data)
                    moment, _, suffix = identity.partition("/")
                    key = (moment, suffix, data)
                    if line is None or again[key] > 0:
                        again[key] -= 1
                        continue
                    if moment != last:
                        last = moment
                        told.clear()
                    told[key] += 1
                    yield line
        except NotFound:
            return
        except Unavailable:
            pass
        await clock.sleep(PAUSE_SEC)


async def _events(
    api: Api, path: str, headers: dict[str, str], tail: int
) -> AsyncGenerator[tuple[str, str], None]:
    identity, data = "", ""
    stream = api.stream_lines(path, params={"tail": str(tail)}, headers=headers)
    async with aclosing(stream) as texts:
        async for text in texts:
            field, _, value = text[:LONGEST_LINE].partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                identity = value
            elif field == "data":
                data = (data + value)[:LONGEST_LINE]
            elif not text:
                if data:
                    yield identity, data
                data = ""


def _line(data: str) -> LogLine | None:
    try:
        row: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("line"), str):
        return None
    return LogLine(source=str(row.get("source") or ""), line=row["line"])
