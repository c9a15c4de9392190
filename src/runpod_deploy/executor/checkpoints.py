"""The last results that came home while the job ran: what the next attempt begins with."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import posixpath
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runpod_deploy.compiler.plan import PayloadEntry, PlanArtifact
from runpod_deploy.compiler.pod_paths import inside
from runpod_deploy.compiler.steps import SLOWEST_BYTES_PER_SEC
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.retrying import attempts_lost
from runpod_deploy.executor.sync.download import DownloadReport
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import upload
from runpod_deploy.record import tolerant
from runpod_deploy.record.atomic import dump_json, write_atomic

CHECKPOINTS_NAME = ".checkpoints.json"


def remember(ctx: RunContext, label: str, report: DownloadReport) -> None:
    """Write down which files of an artifact are here, each proven; only where another attempt may come.

    A file that was being written while it was read counts as it was brought before.
    """
    if ctx.plan.lifecycle.retry == 0 or report.missing:
        return
    rows = _read(ctx)
    before = {row.get("path"): row for row in rows.get(label, {}).get("files", ())}
    changing = [before[one["path"]] for one in report.refused if one["path"] in before]
    files = [*map(dict, report.entries), *changing]
    rows[label] = {"single": report.single, "files": files}
    try:
        write_atomic(ctx.folder.path / CHECKPOINTS_NAME, dump_json(rows))
    except OSError as error:
        why = error.strerror or error
        ctx.warn("checkpoint-unwritten", f"{CHECKPOINTS_NAME} cannot be written: {why}.")


async def restore(ctx: RunContext, lanes: Lanes) -> None:
    """Put back where they came from what lost attempts brought home; nothing in a first attempt.

    What lies on a network volume is there already, and newer.

    Raises:
        StepFailed: It could not be written there.
        TransportError: The connection broke.
    """
    number = attempts_lost(ctx.journal.events)
    for artifact, row in _to_restore(ctx):
        await _put_back(ctx, artifact, row, lanes, number)


def more_sec(ctx: RunContext) -> float:
    """Return how much longer `stage` may take than its plan says, which knows of the payload alone."""
    rows = [one for _, row in _to_restore(ctx) for one in row["files"]]
    size = sum(max(0, tolerant.integer(one, "size") or 0) for one in rows)
    return size / SLOWEST_BYTES_PER_SEC


def _to_restore(ctx: RunContext) -> list[tuple[PlanArtifact, Mapping[str, Any]]]:
    saved = _read(ctx) if attempts_lost(ctx.journal.events) else {}
    return [
        (artifact, saved[artifact.label])
        for artifact in ctx.plan.artifacts
        if artifact.label in saved
        and artifact.every_minutes is not None
        and not _outlives(ctx, artifact)
    ]


async def _put_back(
    ctx: RunContext, artifact: PlanArtifact, row: Mapping[str, Any], lanes: Lanes, number: int
) -> None:
    began = ctx.clock.monotonic()
    remote = ctx.fill(artifact.remote_path)
    files, single = row.get("files", ()), row.get("single") is True
    name = posixpath.basename(remote.rstrip("/")) if single else None
    local = Path(ctx.fill(artifact.local_path))
    root, entries = await asyncio.to_thread(_unchanged, local, files, name)
    if len(entries) < len(files):
        missing = len(files) - len(entries)
        ctx.warn(
            "checkpoint-changed",
            f"{missing} files of {artifact.label} are not as they were brought home, and are not put "
            "back.",
        )
    if not entries:
        return
    report = await upload(
        ctx.need_transport(),
        root=root,
        entries=entries,
        destination=remote,
        delete=False,
        progress=lambda _name, done, total: ctx.progress.transfer(artifact.label, done, total),
        tag=hashlib.sha256(f"{ctx.run_id}\0{artifact.label}\0{number}".encode()).hexdigest()[:16],
        lanes=lanes,
    )
    ctx.journal.write(
        "checkpoint_restored",
        label=artifact.label,
        files=len(entries),
        bytes=sum(entry.size for entry in entries),
        sent_bytes=report.sent,
        duration_sec=round(ctx.clock.monotonic() - began, 3),
    )


def _unchanged(local: Path, files: Any, name: str | None) -> tuple[Path, tuple[PayloadEntry, ...]]:
    """Return where the files are, and those that are as they were proven; `name` is a single file's."""
    root = local.resolve()
    if name is not None and root.is_dir():
        root /= name
    found = (_entry(root, row, single=name is not None) for row in files)
    return root, tuple(entry for entry in found if entry is not None)


def _entry(root: Path, row: Mapping[str, Any], *, single: bool) -> PayloadEntry | None:
    path = "" if single else tolerant.text(row, "path") or ""
    try:
        handle = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    if digest != row.get("sha256") or not stat.S_ISREG(status.st_mode):
        return None
    executable = bool(status.st_mode & stat.S_IXUSR)
    size = status.st_size
    return PayloadEntry(path=path, type="file", size=size, exec=executable, sha256=digest)


def _outlives(ctx: RunContext, artifact: PlanArtifact) -> bool:
    storage = ctx.plan.storage
    if storage.mode != "network_volume" or storage.mount is None:
        return False
    return inside(ctx.fill(artifact.remote_path), storage.mount)


def _read(ctx: RunContext) -> dict[str, dict[str, Any]]:
    """Return what was written down: label to its row; nothing for what cannot be read."""
    try:
        data = json.loads((ctx.folder.path / CHECKPOINTS_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    rows = data if isinstance(data, dict) else {}
    return {
        label: {**row, "files": [one for one in row["files"] if isinstance(one, dict)]}
        for label, row in rows.items()
        if isinstance(row, dict) and isinstance(row.get("files"), list)
    }
