"""One HTTP request to the emulator, with nothing but the standard library."""

import json
from typing import Any
from urllib.parse import urlsplit

from runpod_deploy.emulator.contact import EmulatorInfo

USER_AGENT = "runpod-deploy-emulator-client"


class WireError(Exception):
    """The emulator did not answer, or not as it should; `status` is 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def call(
    info: EmulatorInfo, method: str, path: str, body: object = None, *, timeout: float = 5.0
) -> Any:
    """Send one request and decode the answer; None for an empty one.

    Raises:
        WireError: No answer in `timeout` seconds, or a status of 400 and above.
    """
    import http.client  # noqa: PLC0415 - 15 ms that only callers pay

    target = urlsplit(info.url)
    headers = {
        "Authorization": f"Bearer {info.api_key}",
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
        "Connection": "close",
    }
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=timeout)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, body=payload, headers=headers)
        response = connection.getresponse()
        raw = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise WireError(f"no answer from the emulator at {info.url}: {exc}") from exc
    finally:
        connection.close()
    if response.status >= 400:
        text = raw.decode("utf-8", "replace")
        raise WireError(f"{method} {path}: {response.status} {text}", response.status)
    return json.loads(raw) if raw else None
