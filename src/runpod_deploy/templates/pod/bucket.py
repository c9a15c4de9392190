"""Speaks S3: signs requests, repeats them where that may help, and says in words why a store refuses.

Runs on the pod, beside upload.py; needs Python 3.7 alone.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

TRIES = 6
PAUSE_SEC = 0.5
TIMEOUT_SEC = 120
VARIABLES = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"),
    *("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
)
AGAIN = frozenset((408, 429, 500, 502, 503, 504))
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class Problem(Exception):
    """Why it cannot be done, fit for a person."""


class Refused(Problem):
    """The store said no; `code` is its own word for why."""

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        said = f"{code}: {message}" if message else code
        super().__init__(f"the store refused to {what} ({status}{said and f', {said}'})")
        self.status = status
        self.code = code


class Store(NamedTuple):
    """A bucket, and how to speak to it."""

    scheme: str
    host: str
    path: str  # what stands before each key, with its slash
    region: str
    key_id: str
    secret: str
    token: str


class Answer(NamedTuple):
    """What the store answered."""

    headers: Any
    body: bytes


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a signature is for one host."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Return no request."""


_open = urllib.request.build_opener(_Stay).open
_wait = time.sleep


def store_of(bucket: str, endpoint: str | None, environ: Any) -> Store:
    """Return the store of a bucket, from the variables that every S3 client knows."""
    said = {name: _clean(name, environ.get(name, "")) for name in VARIABLES}
    missing = [n for n in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not said[n]]
    if missing:
        raise Problem(f"the secret does not set {' and '.join(missing)}")
    region = said["AWS_REGION"] or said["AWS_DEFAULT_REGION"] or "us-east-1"
    url = endpoint or said["AWS_ENDPOINT_URL_S3"] or said["AWS_ENDPOINT_URL"]
    if not url:
        # Amazon wants the bucket in the host's name, where its certificate allows that.
        host = f"s3.{region}.amazonaws.com"
        url = f"https://{host}" if "." in bucket else f"https://{bucket}.{host}"
        before = f"/{bucket}/" if "." in bucket else "/"
    else:
        before = f"{urllib.parse.urlsplit(url).path.rstrip('/')}/{bucket}/"
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (parts.hostname or "") in LOOPBACK
    ):
        raise Problem("the endpoint is not https: results would travel in clear")
    return Store(
        scheme=parts.scheme,
        host=parts.netloc.rpartition("@")[2],
        path=before,
        region=region,
        key_id=said["AWS_ACCESS_KEY_ID"],
        secret=said["AWS_SECRET_ACCESS_KEY"],
        token=said["AWS_SESSION_TOKEN"],
    )


def _clean(name: str, value: str) -> str:
    """Return a value without what a file of another system leaves at its end; it is never shown."""
    value = value.strip()
    if not re.fullmatch("[!-~]*", value):
        raise Problem(
            f"{name} of the secret holds what no such value can: blanks or other than ASCII"
        )
    return value


def signature(store: Store, request: list[str], headers: dict[str, str], stamp: str) -> str:
    """Return the header `Authorization` of a request: method, path, query and digest of its body."""
    method, path, query, digest = request
    names = sorted(headers)
    lines = [f"{name}:{headers[name]}\n" for name in names]
    signed = ";".join(names)
    canonical = "\n".join([method, path, query, "".join(lines), signed, digest])
    scope = f"{stamp[:8]}/{store.region}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    key = f"AWS4{store.secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    credential = f"Credential={store.key_id}/{scope}"
    return f"AWS4-HMAC-SHA256 {credential},SignedHeaders={signed},Signature={key.hex()}"


def request_of(
    store: Store, method: str, key: str, query: dict[str, str], body: bytes | None, more: Any
) -> urllib.request.Request:
    """Return a signed request."""
    quoted = urllib.parse.quote(store.path, safe="/-_.~") + urllib.parse.quote(key, safe="/-_.~")
    asked = "&".join(
        f"{name}={urllib.parse.quote(query[name], safe='-_.~')}" for name in sorted(query)
    )
    digest = hashlib.sha256(body or b"").hexdigest()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {"host": store.host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    if store.token:
        headers["x-amz-security-token"] = store.token
    headers.update(more)
    headers["authorization"] = signature(
        store, [method, quoted, asked, digest], dict(headers), stamp
    )
    if body is not None:
        headers["content-type"] = "application/octet-stream"
    headers["user-agent"] = "runpod-deploy-pod"
    url = f"{store.scheme}://{store.host}{quoted}{asked and '?'}{asked}"
    return urllib.request.Request(url, data=body, headers=headers, method=method)


def ask(
    store: Store,
    what: str,
    method: str,
    key: str,
    query: dict[str, str] | None = None,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    read: Callable[[Any], bytes] = lambda answer: answer.read(1 << 20),
) -> Answer:
    """Ask the store, again where that may help.

    Raises:
        Refused: It said no.
        Problem: It does not answer.
    """
    problem = Problem(f"{store.host} does not answer")
    for attempt in range(TRIES):
        if attempt:
            _wait(PAUSE_SEC * 2 ** (attempt - 1))
        try:
            request = request_of(store, method, key, query or {}, body, headers or {})
            with _open(request, timeout=TIMEOUT_SEC) as answer:
                return Answer(answer.headers, read(answer))
        except urllib.error.HTTPError as error:
            problem = _refusal(what, error)
            if error.code not in AGAIN:
                raise problem from None
        except (OSError, http.client.HTTPException) as error:
            problem = Problem(f"{store.host} does not answer: {getattr(error, 'reason', error)}")
    raise problem


def _refusal(what: str, error: urllib.error.HTTPError) -> Refused:
    # Of the body only these two: elsewhere it repeats what was signed.
    text = error.read(1 << 16).decode("utf-8", "replace")
    return Refused(what, error.code, tag(text, "Code"), tag(text, "Message"))


def tag(text: str, name: str) -> str:
    """Return what stands in the first element of a name."""
    found = re.search(f"<{name}>([^<]*)</{name}>", text)
    return html.unescape(found.group(1)) if found else ""
