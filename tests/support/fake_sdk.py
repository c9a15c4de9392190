"""Stands in for RunPod's SDK, a hundred packages that the tests do not install: its GraphQL transport."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PACKAGE = """\
import os, sys
print("the SDK may print what it likes")
with open({log!r}, "a") as log:
    log.write(repr([sys.argv, dict(os.environ)]) + "\\n")
{extra}
"""
_GRAPHQL = """\
import json, os, urllib.request

def run_graphql_query(query, api_key=None):
    base = os.environ.get("RUNPOD_API_BASE_URL", "https://api.runpod.io")
    request = urllib.request.Request(
        base + "/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer " + api_key},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        document = json.load(answer)
    if "errors" in document:
        raise RuntimeError(document["errors"][0]["message"])
    return document
"""


def install_fake_sdk(folder: Path, extra: str = "") -> Path:
    """Write a package `runpod` below `folder` and return the file that each import is noted in.

    Args:
        extra: Python that it runs when it is imported.
    """
    log = folder / "imported"
    api = folder / "runpod" / "api"
    api.mkdir(parents=True)
    (folder / "runpod" / "__init__.py").write_text(_PACKAGE.format(log=str(log), extra=extra))
    (api / "__init__.py").write_text("")
    (api / "graphql.py").write_text(_GRAPHQL)
    return log


@dataclass
class GraphQL:
    """A GraphQL server on loopback.

    Attributes:
        status: Of the next answers, with `body`.
        delay: Seconds that it takes for them.
        asked: `(path, authorization, body)` of each request.
    """

    url: str = ""
    status: int = 200
    body: Any = None
    delay: float = 0.0
    asked: list[tuple[str, str, Any]] = field(default_factory=list)


@contextmanager
def graphql_server() -> Iterator[GraphQL]:
    """Serve from a thread for as long as the block runs."""
    server_state = GraphQL()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size))
            key = self.headers.get("authorization", "")
            server_state.asked.append((self.path, key, body))
            time.sleep(server_state.delay)
            text = json.dumps(server_state.body).encode()
            self.send_response(server_state.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server_state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield server_state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def python_path(*folders: Path) -> str:
    """Return a PYTHONPATH that finds packages in these folders first."""
    separator = ";" if sys.platform == "win32" else ":"
    return separator.join(map(str, folders))
