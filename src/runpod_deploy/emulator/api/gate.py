"""What happens to every request before and after its handler: who may, how often, what was seen."""

import asyncio
import hmac
import time
import uuid
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runpod_deploy.emulator.clock import rfc3339
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.problems import MEDIA_TYPE, TRANSIENT, Problem
from runpod_deploy.emulator.request_log import redacted_body

MAX_BODY_BYTES = 102_400
ADMIN = "/_emulator/"
API = "/v2/"

CLOUDFLARE_1010 = b"""<!DOCTYPE html>
<html><head><title>Access denied</title></head>
<body><h1>Error 1010</h1><p>error code: 1010</p></body></html>
"""


class Gate:
    """ASGI middleware round the whole application."""

    def __init__(self, app: ASGIApp, cloud: EmulatedCloud) -> None:
        self._app = app
        self._cloud = cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        try:
            await self._pass(visit, scope, receive)
        except Problem as problem:
            await visit.answer(problem)
        finally:
            if visit.owner:
                self._cloud.seen()
                self._cloud.requests.add(visit.document())

    async def _pass(self, visit: "_Visit", scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        path: str = scope["path"]
        if not _is_loopback(headers.get("host", "")):
            raise Problem(403, "the Host header must name a loopback address")
        if headers.get("user-agent", "").startswith("Python-urllib"):
            await visit.refuse_agent()
            return
        if path.startswith((ADMIN, API)):
            visit.owner = self._authenticate(headers, scope["method"], path)
            visit.headers = {"x-request-id": str(uuid.uuid4())}
            body = await _read_body(receive)
            visit.body = body
            receive = _replay(body, receive)
        if path.startswith(API):
            await self._hold_back(visit, scope["method"], path)
        await self._app(scope, receive, self._sender(visit, scope["method"], path))
        if visit.swallowed is not None:
            raise visit.swallowed

    def _sender(self, visit: "_Visit", method: str, path: str) -> Send:
        """Choose how the answer goes out: at once, late, or not at all."""
        board, context = self._cloud.board, {"method": method, "path": path}
        if not path.startswith(API) or method in {"GET", "HEAD"}:
            return visit.send
        if lost := board.take("lost-answer", **context):
            visit.swallowed = Problem(int(lost.number("status")), TRANSIENT)
            return _swallow
        if slow := board.take("slow-answer", **context):
            visit.late = slow.number("seconds")
        return visit.send

    async def _hold_back(self, visit: "_Visit", method: str, path: str) -> None:
        board, context = self._cloud.board, {"method": method, "path": path}
        exceeded = self._cloud.limiter.count()
        visit.headers.update(self._cloud.limiter.headers())
        if exceeded:
            raise _too_many(exceeded.window, exceeded.retry_after)
        if limited := board.take("rate-limit", **context):
            raise _too_many("minute", int(limited.number("retry_after")))
        if slow := board.take("slow", **context):
            await asyncio.sleep(slow.number("seconds"))
        if broken := board.take("server-error", **context):
            raise Problem(int(broken.number("status")), TRANSIENT)

    def _authenticate(self, headers: Headers, method: str, path: str) -> str:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Problem(401, "missing bearer token")
        if _same(key, self._cloud.api_key):
            return "account"
        for pod_id, tenant in self._cloud.fleet.tenants.items():
            if _same(key, tenant.pod.api_key):
                if refused := self._cloud.board.take("pod-key-refused", name=tenant.pod.name):
                    raise Problem(int(refused.number("status")), "access denied")
                own = f"/v2/pods/{pod_id}"
                allowed = {("GET", own), ("DELETE", own), ("POST", f"{own}/action")}
                if tenant.pod.cluster_id:
                    allowed.add(("DELETE", f"/v2/clusters/{tenant.pod.cluster_id}"))
                if (method, path) in allowed:
                    return f"pod:{pod_id}"
                raise Problem(403, "access denied")
        raise Problem(401, "invalid bearer token")


class _Visit:
    """One request on its way: adds our headers to the answer and remembers its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._begun = time.time()
        self.owner = ""
        self.status = 0
        self.body = b""
        self.headers: dict[str, str] = {}
        self.late = 0.0
        self.swallowed: Problem | None = None

    async def send(self, message: Message) -> None:
        late, self.late = self.late, 0.0
        await asyncio.sleep(late)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            extra = [(k.lower().encode(), v.encode()) for k, v in self.headers.items()]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await self._send(message)

    async def answer(self, problem: Problem) -> None:
        await self._whole(problem.status, MEDIA_TYPE, problem.encode(), problem.headers)

    async def refuse_agent(self) -> None:
        await self._whole(403, "text/html; charset=UTF-8", CLOUDFLARE_1010, {})

    async def _whole(
        self, status: int, media_type: str, body: bytes, headers: Mapping[str, str]
    ) -> None:
        fields = {"content-type": media_type, "content-length": str(len(body)), **headers}
        raw = [(key.lower().encode(), value.encode()) for key, value in fields.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    def document(self) -> dict[str, Any]:
        return {
            "time": rfc3339(self._begun, micros=True),
            "seconds": round(time.time() - self._begun, 6),
            "method": self._scope["method"],
            "path": self._scope["path"],
            "query": self._scope["query_string"].decode("latin-1"),
            "status": self.status,
            "key": self.owner,
            "body": redacted_body(self.body),
        }


async def _swallow(_message: Message) -> None:
    """Let an answer get lost."""


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > MAX_BODY_BYTES:
            raise Problem(413, f"the request body is larger than {MAX_BODY_BYTES} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def replayed() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replayed


def _is_loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _too_many(window: str, retry_after: int) -> Problem:
    return Problem(
        429,
        f"rate limit exceeded for the {window} window",
        headers={"Retry-After": str(retry_after)},
    )
