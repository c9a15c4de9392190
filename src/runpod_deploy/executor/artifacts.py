"""Brings an artifact home: at the end of a run, and now and then while the job runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from runpod_deploy.compiler.plan import PlanArtifact
from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor import checkpoints
from runpod_deploy.executor.bulk import bulk_lanes
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.sync.download import DownloadReport, download
from runpod_deploy.executor.sync.local_files import PullMemory
from runpod_deploy.facts.filters import filter_rules
from runpod_deploy.facts.rules import FOLDER, PathRules

SHORTEST_PAUSE_SEC = 1.0


def local_path(ctx: RunContext, artifact: PlanArtifact) -> Path:
    """Return where an artifact lands."""
    return Path(ctx.fill(artifact.local_path))


async def bring(ctx: RunContext, artifact: PlanArtifact, *, final: bool) -> DownloadReport:
    """Bring over what of an artifact is not here yet.

    Args:
        ctx: The run, connected.
        artifact: What to bring.
        final: Whether every file is held against the pod's digest; else what looks as it did when
            it was last brought is taken to be so, and a file that is being written may stay behind.

    Raises:
        StepFailed: The pod cannot list, hash or pack, or sends what is none of that.
        TransportError: The connection failed.
        OSError: The local folder cannot be written.
    """
    rules = filter_rules(artifact.excludes)
    async with bulk_lanes(ctx) as lanes:
        return await download(
            ctx.need_transport(),
            remote_path=ctx.fill(artifact.remote_path),
            local=local_path(ctx, artifact),
            keep=lambda path, is_folder: _kept(rules, path, is_folder=is_folder),
            progress=lambda _name, done, total: ctx.progress.transfer(artifact.label, done, total),
            lanes=lanes,
            memory=ctx.pull_memory.setdefault(artifact.label, PullMemory()),
            final=final,
            delete=artifact.delete,
        )


async def bring_now_and_then(ctx: RunContext) -> None:
    """Bring each artifact that asks for it, at its pace, until cancelled; never fails the run."""
    await asyncio.gather(
        *(_every(ctx, artifact) for artifact in ctx.plan.artifacts if artifact.every_minutes)
    )


async def _every(ctx: RunContext, artifact: PlanArtifact) -> None:
    pause = max(SHORTEST_PAUSE_SEC, (artifact.every_minutes or 0) * 60)
    said: str | None = None
    while True:
        await ctx.clock.sleep(pause)
        # A connection that is being made again is somebody else's care; the next time is soon.
        if ctx.transport is None:
            continue
        began = ctx.clock.monotonic()
        error: str | None = None
        report = DownloadReport()
        try:
            report = await bring(ctx, artifact, final=False)
        except (RunpodDeployError, OSError) as problem:
            error = str(problem) or type(problem).__name__
        if error is not None and error == said:
            continue
        said = error
        if report.fetched:
            await asyncio.to_thread(checkpoints.remember, ctx, artifact.label, report)
        if error is not None or report.fetched:
            ctx.note(
                "artifact_synced",
                label=artifact.label,
                duration_sec=round(ctx.clock.monotonic() - began, 3),
                files=report.files,
                bytes=report.bytes,
                fetched_files=report.fetched,
                fetched_bytes=report.fetched_bytes,
                error=error,
            )


def _kept(rules: PathRules, path: str, *, is_folder: bool) -> bool:
    raw = path.encode("utf-8", "surrogateescape")
    ending = FOLDER if is_folder else b""
    return not rules.drops(b"/" + raw + ending, raw.rpartition(b"/")[2] + ending)
