"""What an answer that is not a success means to us: one pure table from status to error."""

import json
import re
from collections.abc import Mapping

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
from runpod_deploy.executor.untrusted import printable

PODS = "/v2/pods"
CLUSTERS = "/v2/clusters"

_LISTED = 20
_TRANSIENT = "something went wrong. please try again later"
_CLOUDFLARE_BAN = re.compile(
    r"error code:? *1010|\b1010\b.*cloudflare|cloudflare.*\b1010\b", re.IGNORECASE | re.DOTALL
)
_WINDOW = re.compile(r'"[^"]*"((?:\s*;\s*\w+=\d+)*)')
_PARAMETER = re.compile(r";\s*(\w+)=(\d+)")


def error_for(
    method: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    path: str = PODS,
    secrets: tuple[str, ...] = (),
) -> RunpodDeployError:
    """Return the error that an answer of the API stands for.

    Args:
        method: HTTP method of the request, upper case.
        status: HTTP status, anything but a success.
        headers: Headers of the answer; names in any case.
        body: Body of the answer.
        path: Path of the request; a POST to `/v2/pods` or `/v2/clusters` is the create call.
        secrets: Values that must not appear in the message even if the API repeats them.

    Returns:
        A `CloudError` with status and request id, an `AccountError`, or, for a retired API,
        a plain `RunpodDeployError`.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    request_id = lowered.get("x-request-id")
    said = _said(body, secrets)
    message = f"{method} {path} answered HTTP {status}"
    if said:
        message = f"{message}: {said}"
    if request_id:
        message = f"{message} (request {printable(request_id, 100)})"
    account = _account_error(status, message, creates=_creates(method, path), body=body)
    if account is not None:
        return account
    kind = _kind(method, path, status, said)
    return kind(
        message,
        status=status,
        request_id=request_id,
        retry_after=_retry_after(lowered) if status in {429, 503} else None,
        help=_HELP.get(kind),
    )


_HELP: dict[type[CloudError], str] = {
    RequestInvalid: "Neither a retry nor another GPU can help: the request itself is wrong.",
    Conflict: "The resource is in a state that does not allow this; look at it and try again.",
}


def _creates(method: str, path: str) -> bool:
    return method == "POST" and path in {PODS, CLUSTERS}


def _account_error(
    status: int, message: str, *, creates: bool, body: bytes
) -> RunpodDeployError | None:
    """Return the error for an answer that concerns the caller and not this one request."""
    if status == 401:
        return AccountError(message, help="Check RUNPOD_API_KEY: the API does not accept the key.")
    if status == 402:
        return AccountError(message, help="Add funds to the RunPod account, then try again.")
    if status == 403 and _CLOUDFLARE_BAN.search(body.decode("utf-8", "replace")):
        return CloudError(
            f"{message}. Cloudflare, in front of the API, turned the client away (error 1010)",
            status=status,
            help="A proxy or VPN on the way may strip the User-Agent, or its address is banned.",
        )
    if status == 403 and not creates:
        return AccountError(
            message,
            help="The key in RUNPOD_API_KEY lacks the permission; a read-only key cannot write.",
        )
    if status == 410:
        return RunpodDeployError(
            f"{message}. This version of RunPod's API is retired",
            help="Upgrade runpod-deploy.",
        )
    return None


def _kind(method: str, path: str, status: int, said: str) -> type[CloudError]:
    """Return the class of error for a status that concerns this request."""
    if status == 408 or status >= 500:
        return Unavailable if method == "GET" else EffectUnknown
    if status == 400 and method == "POST":
        # A hiccup of the backend wears the same status as a refusal; only the text tells.
        return Unavailable if _TRANSIENT in said.lower() else CandidateRefused
    if status == 404:
        return RequestInvalid if _creates(method, path) else NotFound
    table: dict[int, type[CloudError]] = {
        400: RequestInvalid,
        403: CandidateRefused,
        405: RequestInvalid,
        409: Conflict,
        413: RequestInvalid,
        415: RequestInvalid,
        422: RequestInvalid,
        429: RateLimited,
    }
    return table.get(status, CloudError)


def _said(body: bytes, secrets: tuple[str, ...]) -> str:
    """Return what the body says, without markup, control characters and `secrets`."""
    text = body[:65536].decode("utf-8", "replace").strip()

    def fit(value: object, limit: int = 300) -> str:
        said = str(value)
        for secret in sorted(secrets, key=len, reverse=True):
            said = said.replace(secret, "***")
        return printable(said, limit)

    try:
        problem = json.loads(text)
    except ValueError:
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        plain = title.group(1) if title else ("" if text.startswith("<") else text)
        return fit(" ".join(plain.split()))
    if not isinstance(problem, dict):
        return fit(problem)
    said = next((problem[key] for key in ("detail", "error", "title") if problem.get(key)), "")
    errors = problem.get("errors")
    if not isinstance(errors, list) or not errors:
        return fit(said, 1000)
    listed = [fit(error) for error in errors[:_LISTED]]
    if len(errors) > _LISTED:
        listed.append(f"and {len(errors) - _LISTED} more")
    return f"{fit(said, 1000)} {'; '.join(listed)}".strip()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait: Retry-After, and the reset of each exhausted window."""
    waits = []
    given = headers.get("retry-after", "").strip()
    if given.isdigit():
        waits.append(float(given))
    for window in _WINDOW.finditer(headers.get("ratelimit", "")):
        parameters = dict(_PARAMETER.findall(window.group(1)))
        if parameters.get("r") == "0" and "t" in parameters:
            waits.append(float(parameters["t"]))
    return max(waits, default=None)
