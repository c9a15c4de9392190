"""Reading requests and writing answers, as every handler does it."""

import json
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runpod_deploy.emulator.clock import parse_rfc3339
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.problems import bad_request, invalid
from runpod_deploy.emulator.shape import Schema, violations


def cloud_of(request: Request) -> EmulatedCloud:
    """Give the cloud behind the application."""
    return cast("EmulatedCloud", request.app.state.cloud)


async def json_body(request: Request) -> object:
    """Decode the body.

    Raises:
        Problem: 400 when it is no JSON.
    """
    try:
        return json.loads(await request.body())
    except ValueError as exc:
        raise bad_request(f"the request body is not valid JSON: {exc}") from exc


async def checked_body(request: Request, schema: Schema) -> dict[str, Any]:
    """Decode the body and hold it against its schema.

    Raises:
        Problem: 400 when it is no JSON, 422 when it has another shape.
    """
    body = await json_body(request)
    errors = violations(body, schema)
    if errors or not isinstance(body, dict):
        raise invalid(errors)
    return body


def answer(document: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return JSONResponse(document, status_code=status)


def no_content() -> Response:
    """Answer 204."""
    return Response(status_code=204)


def choice(request: Request, name: str, allowed: tuple[str, ...]) -> str | None:
    """Read a query parameter that is one of a few words.

    Raises:
        Problem: 422 for another word.
    """
    value = request.query_params.get(name)
    if value is not None and value not in allowed:
        words = ", ".join(f"'{word}'" for word in allowed)
        raise invalid([f"query.{name}: value must be one of {words}"])
    return value


def choices(request: Request, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Read a comma-separated query parameter of such words.

    Raises:
        Problem: 422 for another word.
    """
    values = words_of(request, name)
    for value in values:
        if value not in allowed:
            words = ", ".join(f"'{word}'" for word in allowed)
            raise invalid([f"query.{name}: value must be one of {words}"])
    return values


def words_of(request: Request, name: str) -> tuple[str, ...]:
    """Read a comma-separated query parameter; empty when absent."""
    return tuple(filter(None, request.query_params.get(name, "").split(",")))


def whole_number(request: Request, name: str, least: int, most: int | None = None) -> int | None:
    """Read a query parameter that is a whole number in a range.

    Raises:
        Problem: 422 when it is none.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    limits: dict[str, Any] = {"minimum": least}
    if most is not None:
        limits["maximum"] = most
    try:
        value = int(text)
    except ValueError as exc:
        raise invalid([f"query.{name}: got string, want integer"]) from exc
    errors = violations(value, {"type": "integer", **limits}, f"query.{name}")
    if errors:
        raise invalid(errors)
    return value


def flag(request: Request, name: str) -> bool | None:
    """Read a query parameter that is true or false.

    Raises:
        Problem: 422 when it is neither.
    """
    value = choice(request, name, ("true", "false"))
    return None if value is None else value == "true"


def moment(request: Request, name: str) -> float | None:
    """Read a query parameter that is an RFC 3339 time; gives POSIX seconds.

    Raises:
        Problem: 422 when it is none.
    """
    # A plus sign that nobody escaped arrives as a blank.
    text = request.query_params.get(name, "").replace(" ", "+")
    if not text:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError as exc:
        raise invalid([f"query.{name}: '{text}' is not valid date-time"]) from exc
