"""The page itself: one HTML file without a link to anywhere, its data inside as escaped JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from runpod_deploy._version import __version__
from runpod_deploy.forensics.report.run_data import run_data
from runpod_deploy.forensics.summary import summarise
from runpod_deploy.record import tolerant
from runpod_deploy.schema.plain import to_plain


def run_page(folder: Path) -> str:
    """Return the page about the run in `folder`."""
    return render(run_data(folder))


def runs_page(folders: Iterable[Path], title: str) -> str:
    """Return the page about many runs: a table to sort, their cost and their time."""
    rows = []
    for folder in folders:
        run = summarise(folder)
        row = to_plain(run)
        del row["artifacts"], row["telemetry_files"]
        started = tolerant.seconds(run.started_at or run.ended_at)
        rows.append({**row, "folder": folder.name, "start": started, "bytes": run.artifact_bytes})
    return render({"kind": "runs", "title": title, "runs": rows})


def render(data: Mapping[str, Any]) -> str:
    """Return the HTML of a page's data; whatever text is in it stays text."""
    made = {
        **data,
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "tool_version": __version__,
    }
    script, style = _read("report.js"), _read("report.css")
    environment = Environment(undefined=StrictUndefined, autoescape=True)
    page = environment.from_string(_read("report.html.j2"))
    return page.render(
        title=str(data["title"]),
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        data=embedded(made),
    )


def embedded(data: Any) -> str:
    """Return data as JSON that can neither end its element nor begin another one."""
    text = json.dumps(tolerant.finite(data), separators=(",", ":"), allow_nan=False, default=str)
    # json.dumps writes ASCII, so only what HTML itself looks for is left.
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"


def _read(name: str) -> str:
    return (files("runpod_deploy.templates") / "report" / name).read_text("utf-8")
