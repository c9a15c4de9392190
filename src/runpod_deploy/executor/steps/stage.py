"""stage: puts the payload on the pod, and what lost attempts left, and proves that it arrived."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable
from pathlib import Path

from runpod_deploy.compiler.plan import PlanStaging
from runpod_deploy.errors import StepFailed
from runpod_deploy.executor import checkpoints
from runpod_deploy.executor.bulk import bulk_lanes
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.named_files import place_of
from runpod_deploy.executor.sync.lanes import Lanes
from runpod_deploy.executor.sync.upload import UploadReport, upload
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.schema.boundary import is_within


async def do(ctx: RunContext) -> None:
    """Send what differs of each staging entry, held against the plan on the way and on arrival.

    Repeated over a new connection, it goes on where the old one broke.

    Raises:
        StepFailed: A file changed since the plan (cause `payload_changed`), or could not be written.
    """
    async with bulk_lanes(ctx) as lanes:
        for staging in ctx.plan.staging:
            if staging.label in ctx.earlier.staged:
                continue
            began = ctx.clock.monotonic()
            report = await _send(ctx, staging, lanes)
            ctx.journal.write(
                "staging_completed",
                label=staging.label,
                files=staging.files,
                bytes=staging.bytes,
                tree_sha256=staging.tree_sha256,
                duration_sec=round(ctx.clock.monotonic() - began, 3),
                sent_files=report.files + report.links,
                sent_bytes=report.sent,
            )
            if report.foreign:
                ctx.warn(
                    "not-deleted",
                    f"Nothing was deleted in {ctx.fill(staging.destination)}: no run of runpod-deploy "
                    "has made that folder.",
                )
        await checkpoints.restore(ctx, lanes)


def _laid_there(ctx: RunContext, staging: PlanStaging) -> Callable[[str, bool], bool]:
    """Return what no deletion may take: the run's own script and log, where they lie in a staging."""
    folder = ctx.fill(staging.destination)
    paths = (*(script.path for script in ctx.plan.scripts), ctx.plan.run.log_path)
    own = frozenset(posixpath.normpath(ctx.fill(path)) for path in paths)
    return lambda path, _folder: posixpath.normpath(posixpath.join(folder, path)) in own


def _source(ctx: RunContext, staging: PlanStaging) -> Path:
    """Return where the payload lies, links resolved, and judged once more.

    Raises:
        StepFailed: It leads out of the project by now.
    """
    try:
        place = place_of(staging.source, ctx.project_root)
    except OSError:
        place = ctx.project_root / staging.source
    if ctx.allowed is not None and not is_within(place, ctx.allowed):
        raise StepFailed(
            f"{printable(staging.source)} changed since the plan was made: it leads out of the project",
            cause="payload_changed",
        )
    return place


async def _send(ctx: RunContext, staging: PlanStaging, lanes: Lanes) -> UploadReport:
    return await upload(
        ctx.need_transport(),
        root=_source(ctx, staging),
        entries=ctx.plan_file.payload[staging.label],
        destination=ctx.fill(staging.destination),
        delete=staging.delete,
        protect=_laid_there(ctx, staging),
        progress=lambda _name, done, total: ctx.progress.transfer(staging.label, done, total),
        tag=hashlib.sha256(f"{ctx.run_id}\0{staging.label}".encode()).hexdigest()[:16],
        lanes=lanes,
    )
