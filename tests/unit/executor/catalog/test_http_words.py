"""What broke on the way to a server is said without the names of our libraries."""

import httpx
import pytest

from runpod_deploy.executor.http_words import broke


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout("x"), "not in time"),
        (httpx.ReadTimeout("x"), "not in time"),
        (httpx.ConnectError("x"), "no connection could be made"),
        (httpx.RemoteProtocolError("x"), "the connection broke"),
        (OSError("x"), "the connection broke"),
        (httpx.InvalidURL("x"), "its address or its answer cannot be used"),
    ],
)
def test_every_failure_has_words(error: Exception, words: str) -> None:
    """Whatever broke, a person can read it."""
    assert broke(error) == words
