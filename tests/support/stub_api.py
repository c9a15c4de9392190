"""The part of RunPod's API that a pod asks about itself, on loopback, remembering who asked for what."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class StubApi:
    """Requests so far, and how the next ones are answered.

    Attributes:
        refuse: Statuses of the next answers; afterwards all is well.
        asked: `(monotonic seconds, method, path, body, headers)` of each request.
    """

    url: str = ""
    key: str = "pod-key"
    pod_id: str = "pod1"
    refuse: list[int] = field(default_factory=list)
    asked: list[tuple[float, str, str, Any, dict[str, str]]] = field(default_factory=list)

    @property
    def container_env(self) -> dict[str, str]:
        """What RunPod and the create call put into the container's environment."""
        return {
            "RUNPOD_API_KEY": self.key,
            "RUNPOD_POD_ID": self.pod_id,
            "RUNPOD_DEPLOY_API_URL": self.url,
        }

    def actions(self) -> list[str]:
        """Return what was granted, in order."""
        return [body["action"] for _, method, _, body, _ in self.asked if method == "POST"]

    def answer(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Judge one request as RunPod would; gives the status."""
        agent = headers.get("user-agent", "")
        if not agent or agent.startswith(("Python-urllib", "curl", "Wget")):
            return 403
        if headers.get("authorization") != f"Bearer {self.key}":
            return 401
        if self.refuse:
            return self.refuse.pop(0)
        own = f"/v2/pods/{self.pod_id}"
        if method == "GET" and path == own:
            status, read = 200, None
        elif method == "POST" and path == f"{own}/action":
            read = json.loads(body)
            status = 204 if read == {"action": "terminate"} else 200
            if read not in ({"action": "stop"}, {"action": "terminate"}):
                return 422
        else:
            return 404
        self.asked.append((time.monotonic(), method, path, read, headers))
        return status


@contextmanager
def stub_api() -> Iterator[StubApi]:
    """Serve from a thread for as long as the block runs."""
    api = StubApi()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(size)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = api.answer(self.command, self.path, body, headers)
            self.send_response(status)
            text = b"" if status == 204 else b'{"id":"pod1"}'
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
