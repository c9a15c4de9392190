"""A message over real HTTP, and a program that is told over a real pipe."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from runpod_deploy.executor.local_commands import LocalCommandFailed, LocalCommands
from runpod_deploy.executor.webhook import WebhookFailed, post


class Room(HTTPServer):
    """A chat's server: its path says the status of the answer.

    Attributes:
        got: Path, type and body of each message.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Takes messages."""

    server: Room

    def do_POST(self) -> None:
        """Take one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], body))
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def room() -> Iterator[Room]:
    """Return a server that is there."""
    server = Room()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_message_is_posted_once_and_no_redirect_is_followed(room: Room) -> None:
    """What comes back is the status; a server that is gone is told by its host alone."""
    base = f"http://127.0.0.1:{room.server_port}"
    statuses = [asyncio.run(post(f"{base}/{code}", b'{"a": 1}')) for code in (200, 302, 503)]

    assert [200, 302, 503] == statuses
    assert [(f"/{code}", "application/json", b'{"a": 1}') for code in statuses] == room.got
    with pytest.raises(WebhookFailed) as raised:
        asyncio.run(post("http://127.0.0.1:9/planted", b"{}"))
    assert "127.0.0.1 did not answer: no connection could be made" == str(raised.value)


def told(words: list[str], folder: Path, within_sec: float = 20.0) -> None:
    """Tell a program."""
    environ = {"PATH": os.environ["PATH"], "STATE": "it's $HOME"}
    commands = LocalCommands(within_sec=within_sec)
    asyncio.run(commands.told(words, b'{"a": 1}', folder, environ))


def test_a_program_is_told_without_a_shell(tmp_path: Path) -> None:
    """It has the document as its input; words are its own, whatever a shell would make of them."""
    told(["tee", "$HOME; x"], tmp_path)
    assert b'{"a": 1}' == (tmp_path / "$HOME; x").read_bytes()
    told(["true"], tmp_path)  # one that does not read is well, too


def test_a_program_that_fails_or_hangs_says_so(tmp_path: Path) -> None:
    """Its complaint is told, what it prints is not kept."""
    with pytest.raises(LocalCommandFailed, match=r"status 3: oh no$"):
        told(["sh", "-c", "echo planted; echo oh no >&2; exit 3"], tmp_path)
    with pytest.raises(LocalCommandFailed, match=r"did not end within 0\.3 s"):
        told(["sleep", "300"], tmp_path, within_sec=0.3)
    with pytest.raises(OSError, match="no-such-program"):
        told(["no-such-program"], tmp_path)
