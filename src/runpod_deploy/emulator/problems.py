"""The error documents of the API: RFC 9457 problems, with the texts that were recorded."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"

NO_CAPACITY = (
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)
NO_BALANCE = "Your account balance is too low to rent a pod. Please add funds to your account."
HOST_FULL = "There are not enough free GPUs on the host machine to start this pod."
BAD_IMAGE = 'Invalid container image name. Expected format: "name[:tag][@digest]"'
INVALID_BODY = "Request validation failed."
TRANSIENT = "Something went wrong. Please try again later or contact support."


class Problem(Exception):
    """An answer that is not the one that was asked for.

    Args:
        status: HTTP status code.
        detail: What a reader of the API sees.
        errors: One line per violation, for 422.
        headers: Further response headers, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Give the body as the API words it: title, status, detail and, where there are, errors."""
        body: dict[str, Any] = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.status == 422:
            # HTTPStatus.phrase of 422 changed its wording in Python 3.13.
            body["title"] = "Unprocessable Entity"
        if self.errors:
            body["errors"] = list(self.errors)
        return body

    def encode(self) -> bytes:
        """Give the body as UTF-8 JSON."""
        return json.dumps(self.document()).encode()


def bad_request(detail: str) -> Problem:
    """Answer 400: the body is well formed but breaks a rule, or nothing is in stock."""
    return Problem(400, detail)


def not_found(what: str = "resource not found") -> Problem:
    """Answer 404."""
    return Problem(404, what)


def invalid(errors: Sequence[str], detail: str = INVALID_BODY) -> Problem:
    """Answer 422: the request does not match the schema."""
    return Problem(422, detail, errors=errors)
