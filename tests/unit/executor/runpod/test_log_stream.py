"""A pod's log over server-sent events: no line is lost or told twice, whatever the stream does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from runpod_deploy.errors import AccountError
from runpod_deploy.executor.ports import LogLine
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from support.virtual_time import FakeClock, run_virtual

T1, T2 = "2026-06-01T12:02:03Z", "2026-06-01T12:02:04Z"


def event(identity: str, line: str) -> bytes:
    """Return one event of the stream."""
    data = json.dumps({"ts": identity.partition("/")[0], "source": "container", "line": line})
    return f"id: {identity}\ndata: {data}\n\n".encode()


class Broken(httpx.AsyncByteStream):
    """Content that ends in the middle."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content
        raise httpx.ReadError("cut")


def lines_of(answers: list[Any]) -> tuple[list[str], list[str | None]]:
    """Read a log whose requests are answered so, one after the other, then 404.

    Returns the lines, and the Last-Event-ID of each request.
    """
    asked: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        assert request.url.path == "/v2/pods/p1/logs"
        assert request.headers["accept"] == "text/event-stream"
        if not answers:
            return httpx.Response(404, json={"title": "x", "status": 404})
        answer = answers.pop(0)
        if isinstance(answer, int):
            return httpx.Response(answer, json={"title": "x", "status": answer})
        if isinstance(answer, Broken):
            return httpx.Response(200, stream=answer)
        return httpx.Response(200, content=answer)

    async def read() -> list[LogLine]:
        cloud = RunPodCloud(
            "http://127.0.0.1:1",
            "rpa_KEY",
            transport=httpx.MockTransport(handle),
            clock=FakeClock(),
        )
        try:
            return [line async for line in cloud.logs("p1", tail=100)]
        finally:
            await cloud.close()

    return [line.line for line in run_virtual(read())], asked


@pytest.mark.parametrize("suffix", [True, False])
def test_stream_is_taken_up_where_it_was_cut(suffix: bool) -> None:
    """The time in front of the suffix is asked from; what comes a second time is told once."""
    ids = [f"{T1}/000000000001", f"{T1}/000000000002", f"{T2}/000000000003"]
    one, two, three = ids if suffix else [T1, T1, T2]
    whole = [event(one, "a"), event(two, "b"), event(three, "c")]
    told, asked = lines_of([Broken(b"".join(whole[:2])), b"".join(whole)])
    assert ["a", "b", "c"] == told
    assert [None, T1] == asked[:2]


def test_equal_lines_of_one_moment_are_all_told() -> None:
    """Without suffixes two equal lines of one second are two lines, also after a cut."""
    twice = event(T1, "same") * 2
    told, _ = lines_of([Broken(twice), twice + event(T1, "same") + event(T2, "end")])
    assert ["same", "same", "same", "end"] == told


def test_failures_are_waited_out_and_a_missing_pod_is_the_end() -> None:
    """A server error is no end of the log; 404 is."""
    told, asked = lines_of([503, event(T1, "a"), 500])
    assert ["a"] == told
    assert 4 == len(asked)


def test_what_is_no_line_is_passed_over() -> None:
    """Comments, other fields, and data that is no line of a log change nothing."""
    odd = b': keep-alive\n\nretry: 5\n\nid: x\ndata: [1]\n\ndata: {\n\ndata: {"line": 3}\n\n'
    assert ["a"] == lines_of([odd + event(T1, "a")])[0]


def test_refused_key_is_told() -> None:
    """A log that may not be read is an error of the account."""
    with pytest.raises(AccountError):
        lines_of([401])
