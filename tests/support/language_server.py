"""Drives a language server as an editor does: JSON-RPC over its standard input and output."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

_QUIET_SETTINGS: dict[str, Any] = {
    "yaml": {
        "validate": True,
        "hover": True,
        "completion": True,
        # The schema comes from the file's own first line; nothing is asked of the network.
        "schemaStore": {"enable": False, "url": ""},
        "kubernetesCRDStore": {"enable": False},
    }
}
_CAPABILITIES = {
    "workspace": {"configuration": True},
    "textDocument": {
        "completion": {
            "completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}
        },
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {},
    },
}


class LanguageServer:
    """A language server in a process of its own; use it as a context manager.

    Attributes:
        folder: The folder that the editor has open.
    """

    def __init__(
        self, command: list[str], folder: Path, env: Mapping[str, str], timeout: float = 60
    ) -> None:
        self.folder = folder
        self._timeout = timeout
        self._ids = iter(range(1, 10_000))
        self._answers: dict[int, Any] = {}
        self._diagnostics: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> LanguageServer:
        self.ask(
            "initialize",
            {"processId": None, "rootUri": self.folder.as_uri(), "capabilities": _CAPABILITIES},
        )
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": _QUIET_SETTINGS})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def open(self, name: str, text: str) -> Document:
        """Open `text` as the file `name` of the folder; the file need not exist."""
        uri = (self.folder / name).as_uri()
        item = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": item})
        return Document(self, uri, text)

    def ask(self, method: str, params: Any) -> Any:
        """Send a request and return its result."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        return self._wait(lambda: self._answers.pop(number, _NOTHING))

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """Return what the server says about an open document, in the order of the text."""
        found = self._wait(lambda: self._diagnostics.get((uri, 1), _NOTHING))
        ordered: list[dict[str, Any]] = sorted(
            found, key=lambda one: tuple(one["range"]["start"].values())
        )
        return ordered

    def _tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _wait(self, take: Any) -> Any:
        deadline = time.monotonic() + self._timeout
        while (found := take()) is _NOTHING:
            message = self._arrived.get(timeout=max(0.001, deadline - time.monotonic()))
            assert message is not None, "the language server ended"
            self._handle(message)
        return found

    def _handle(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is None:
            assert "error" not in message, message["error"]
            self._answers[message["id"]] = message.get("result")
        elif method == "textDocument/publishDiagnostics":
            said = message["params"]
            self._diagnostics[said["uri"], said.get("version", 1)] = said["diagnostics"]
        elif "id" in message:
            self._send({"id": message["id"], "result": _reply(method, message.get("params"))})

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            if header.lower().startswith(b"content-length:"):
                length = int(header.partition(b":")[2])
                while stream.readline().strip():
                    pass
                body = stream.read(length)
                if len(body) < length:
                    break  # the server was ended in the middle of a message
                self._arrived.put(json.loads(body))
        self._arrived.put(None)


_NOTHING = object()


def _reply(method: str, params: Any) -> Any:
    if method == "workspace/configuration":
        return [_QUIET_SETTINGS.get(item.get("section"), {}) for item in params["items"]]
    return None


class Document:
    """An open document; places in it are named by the text that stands there."""

    def __init__(self, server: LanguageServer, uri: str, text: str) -> None:
        self._server = server
        self._uri = uri
        self._text = text

    @property
    def diagnostics(self) -> list[tuple[str, str]]:
        """What is wrong: the text that is underlined, and the message."""
        return [
            (self._between(**one["range"]), one["message"])
            for one in self._server.diagnostics(self._uri)
        ]

    def hover(self, at: str) -> str:
        """Return what is shown with the pointer at the first letter of `at`, "" for nothing."""
        said = self._server.ask("textDocument/hover", self._place(self._text.index(at)))
        return "" if said is None else said["contents"]["value"]

    def completions(self, after: str) -> dict[str, str]:
        """Return what is offered behind the first `after`: labels and what is said of each."""
        place = self._place(self._text.index(after) + len(after))
        said = self._server.ask("textDocument/completion", place)
        items = said["items"] if isinstance(said, dict) else said or []
        return {item["label"]: _text_of(item.get("documentation", "")) for item in items}

    def _place(self, offset: int) -> dict[str, Any]:
        before = self._text[:offset]
        position = {"line": before.count("\n"), "character": offset - (before.rfind("\n") + 1)}
        return {"textDocument": {"uri": self._uri}, "position": position}

    def _between(self, start: dict[str, int], end: dict[str, int]) -> str:
        return self._text[self._offset(**start) : self._offset(**end)]

    def _offset(self, line: int, character: int) -> int:
        return sum(len(one) for one in self._text.splitlines(keepends=True)[:line]) + character


def _text_of(documentation: Any) -> str:
    return documentation["value"] if isinstance(documentation, dict) else str(documentation)
