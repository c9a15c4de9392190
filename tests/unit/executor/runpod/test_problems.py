"""The table from HTTP status to our errors."""

import json

import pytest

from runpod_deploy.errors import (
    AccountError,
    CandidateRefused,
    CloudError,
    Conflict,
    EffectUnknown,
    NotFound,
    RateLimited,
    RequestInvalid,
    RunpodDeployError,
    Unavailable,
)
from runpod_deploy.executor.runpod.problems import error_for

POD = "/v2/pods/abc"
ACTION = "/v2/pods/abc/action"
STOCK_OUT = (
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)


def problem(detail: str, errors: list[str] | None = None) -> bytes:
    """Return a problem document."""
    return json.dumps({"title": "t", "detail": detail, "errors": errors or []}).encode()


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("POST", "/v2/pods", 400, CandidateRefused),
        ("POST", "/v2/pods", 401, AccountError),
        ("POST", "/v2/pods", 402, AccountError),
        ("POST", "/v2/pods", 403, CandidateRefused),
        ("POST", "/v2/pods", 404, RequestInvalid),
        ("POST", "/v2/pods", 405, RequestInvalid),
        ("POST", "/v2/pods", 408, EffectUnknown),
        ("POST", "/v2/pods", 409, Conflict),
        ("POST", "/v2/pods", 410, RunpodDeployError),
        ("POST", "/v2/pods", 413, RequestInvalid),
        ("POST", "/v2/pods", 418, CloudError),
        ("POST", "/v2/pods", 422, RequestInvalid),
        ("POST", "/v2/pods", 429, RateLimited),
        ("POST", "/v2/pods", 500, EffectUnknown),
        ("POST", "/v2/pods", 502, EffectUnknown),
        ("POST", "/v2/pods", 503, EffectUnknown),
        ("POST", "/v2/pods", 524, EffectUnknown),
        ("POST", "/v2/pods", 302, CloudError),
        ("POST", ACTION, 400, CandidateRefused),
        ("POST", ACTION, 403, AccountError),
        ("POST", ACTION, 404, NotFound),
        ("POST", ACTION, 409, Conflict),
        ("POST", ACTION, 500, EffectUnknown),
        ("GET", POD, 400, RequestInvalid),
        ("GET", POD, 401, AccountError),
        ("GET", POD, 403, AccountError),
        ("GET", POD, 404, NotFound),
        ("GET", POD, 410, RunpodDeployError),
        ("GET", POD, 429, RateLimited),
        ("GET", POD, 500, Unavailable),
        ("DELETE", POD, 403, AccountError),
        ("DELETE", POD, 404, NotFound),
        ("DELETE", POD, 409, Conflict),
        ("DELETE", POD, 500, EffectUnknown),
    ],
)
def test_each_status_has_its_error(
    method: str, path: str, status: int, expected: type[RunpodDeployError]
) -> None:
    """Every status of the API's table becomes exactly the error that says what to do next."""
    error = error_for(method, status, {}, problem("why"), path=path)
    assert expected is type(error)
    assert "why" in error.message
    assert f"HTTP {status}" in error.message


def test_the_request_id_stands_in_the_error() -> None:
    """The id that RunPod's support asks for is kept and shown."""
    error = error_for("POST", 400, {"X-Request-Id": "req-7"}, problem(STOCK_OUT))
    assert isinstance(error, CloudError)
    assert error.request_id == "req-7"
    assert "(request req-7)" in error.message
    assert STOCK_OUT in error.message
    assert error.status == 400


def test_a_rejected_key_names_the_variable() -> None:
    """A 401 tells which variable to look at."""
    error = error_for("GET", 401, {}, problem("missing bearer token"), path=POD)
    assert error.help is not None
    assert "RUNPOD_API_KEY" in error.help
    assert error.exit_code == 5


def test_every_complaint_about_the_body_is_listed() -> None:
    """A 422 lists all of its `errors`, cut after twenty."""
    errors = [f"$: complaint {number}" for number in range(25)]
    message = error_for("POST", 422, {}, problem("Request validation failed.", errors)).message
    assert "Request validation failed. $: complaint 0; $: complaint 1" in message
    assert "$: complaint 19; and 5 more" in message
    assert "complaint 20" not in message


@pytest.mark.parametrize(
    "page",
    [
        b"<html><head><title>Access denied</title></head><body>error code: 1010</body></html>",
        b"error code: 1010",
        b"<html>Error 1010 Ray ID: 9 &bull; Cloudflare</html>",
    ],
)
def test_a_ban_by_cloudflare_is_not_taken_for_a_refused_candidate(page: bytes) -> None:
    """Error 1010 hits every call, so it must not send the ring to the next candidate."""
    error = error_for("POST", 403, {"content-type": "text/html"}, page)
    assert type(error) is CloudError
    assert "1010" in error.message
    assert "<" not in error.message


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"RateLimit": '"minute";r=0;t=12, "hour";r=5;t=900'}, 12.0),
        ({"Retry-After": "3", "RateLimit": '"minute";r=0;t=12, "hour";r=0;t=40'}, 40.0),
        ({"Retry-After": "30", "RateLimit": '"minute";r=0;t=12'}, 30.0),
        ({"RateLimit": '"minute"; r=0; t=12'}, 12.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"RateLimit": "garbage;;=,"}, None),
    ],
)
def test_the_wait_is_the_longest_that_the_headers_ask_for(
    headers: dict[str, str], expected: float | None
) -> None:
    """Retry-After and the reset of each exhausted window count, the longest wins."""
    error = error_for("POST", 429, headers, problem("rate limit exceeded for the minute window"))
    assert isinstance(error, RateLimited)
    assert expected == error.retry_after


def test_a_hiccup_in_the_clothes_of_a_refusal_is_retryable() -> None:
    """A 400 whose text says that something went wrong is no verdict on the candidate."""
    text = "Something went wrong. Please try again later or contact support."
    assert type(error_for("POST", 400, {}, problem(text))) is Unavailable


def test_values_of_the_request_are_masked() -> None:
    """A value that the API echoes does not reach the message, not even one with line breaks."""
    body = problem("bad env TOKEN=s3cr3t-value", ["PEM: -----BEGIN\nabc\n-----END"])
    secrets = ("s3cr3t-value", "-----BEGIN\nabc\n-----END")
    message = error_for("POST", 422, {}, body, secrets=secrets).message
    assert "bad env TOKEN=*** PEM: ***" in message


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[]", b"null", b'"text"', b"{", b'{"detail":5}']
)
def test_any_body_makes_a_message(body: bytes) -> None:
    """A body that is empty, binary or of another shape still gives one clean line."""
    message = error_for("POST", 500, {}, body).message
    assert message.startswith("POST /v2/pods answered HTTP 500")
    assert message.isprintable()


def test_control_characters_do_not_reach_the_terminal() -> None:
    """Escape sequences in the API's text are made visible."""
    message = error_for("POST", 400, {}, problem("a\x1b[31mb\u202ec\nd")).message
    assert "a\\x1b[31mb\\u202ec\\nd" in message
