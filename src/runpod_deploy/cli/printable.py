"""Foreign text made fit for a terminal: what would not show as itself is escaped or taken out."""

import json
import re
from collections.abc import Mapping
from typing import Any

from runpod_deploy.cli.diagnostics import visible
from runpod_deploy.record.tolerant import finite

# CSI, OSC and the other string sequences, then the two-character ones.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]"
)


def line(text: str) -> str:
    """Return `text` as one line: every control character as an escape, tabs as blanks."""
    return visible(text.replace("\t", "    "))


def block(text: str) -> str:
    """Return a text of several lines, each of them fit for a terminal."""
    return "\n".join(line(one) for one in text.split("\n"))


def log_line(text: str) -> str:
    """Return a line that a program printed, without its colours, titles and cursor movements."""
    return line(_SEQUENCE.sub("", text))


def json_line(document: Mapping[str, Any]) -> str:
    """Return one line of JSON; see `json_document`."""
    return _json(document, indent=None)


def json_document(document: Any) -> str:
    """Return data as JSON, the way every command writes it for programs.

    ASCII: no locale can spoil it, nothing in it steers a terminal, and half characters of file names
    survive. A CI runner finds no command of its own in it either. Paths are texts.
    """
    return _json(document, indent=2)


def _json(document: Any, *, indent: int | None) -> str:
    text = json.dumps(finite(document), indent=indent, default=str, allow_nan=False)
    return text.replace("##[", "#\\u0023[")
