"""What was brought home, kept beside the journal: lists of files are too long for an event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runpod_deploy.executor.context import RunContext
from runpod_deploy.record import tolerant
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.run import fold

PULLED_NAME = ".pulled.json"


@dataclass(frozen=True, slots=True)
class Pulled:
    """The files of one artifact, as the manifest lists them.

    Attributes:
        sha256: Over the list of files; None when it was not verified.
    """

    sha256: str | None
    entries: list[dict[str, Any]]
    refused: list[dict[str, Any]]


def remember(ctx: RunContext) -> None:
    """Write down the files of every artifact that was asked for so far.

    What cannot be written down is pulled again should the run be carried on.
    """
    rows = {
        label: {
            "sha256": ctx.tree_sha256.get(label),
            "entries": entries,
            "refused": ctx.refused_files.get(label, []),
        }
        for label, entries in ctx.artifact_files.items()
    }
    try:
        write_atomic(ctx.folder.path / PULLED_NAME, dump_json(rows))
    except OSError as error:
        ctx.warn("pulled-unwritten", f"{PULLED_NAME} cannot be written: {error.strerror or error}.")


def recall(ctx: RunContext, label: str) -> Pulled | None:
    """Return the files of an artifact; None where they are not those that the journal tells of."""
    record = fold(ctx.journal.events).artifacts.get(label)
    try:
        data = json.loads((ctx.folder.path / PULLED_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    row = data.get(label) if isinstance(data, dict) else None
    if record is None or not isinstance(row, dict):
        return None
    digest = tolerant.text(row, "sha256")
    if digest != record.sha256:
        return None
    return Pulled(digest, _rows(row.get("entries")), _rows(row.get("refused")))


def still_here(found: Pulled, local: Path) -> bool:
    """Return whether every file lies where it was verified, in its size."""
    return all(_there(local / str(row.get("path")), row.get("size")) for row in found.entries)


def _there(file: Path, size: object) -> bool:
    try:
        return file.lstat().st_size == size or not file.is_file()
    except OSError:
        return False


def _rows(value: object) -> list[dict[str, Any]]:
    return [dict(row) for row in value if isinstance(row, dict)] if isinstance(value, list) else []
