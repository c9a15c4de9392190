"""stage: puts the payload on the pod and proves that it arrived as planned."""

from __future__ import annotations

from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.sync.upload import upload


async def do(ctx: RunContext) -> None:
    """Send each staging entry; every file is held against its planned sha256 on the way and on arrival.

    Raises:
        StepFailed: A file changed since the plan (cause `payload_changed`), or could not be written.
    """
    for staging in ctx.plan.staging:
        began = ctx.clock.monotonic()

        def progress(_name: str, done: int, total: int, label: str = staging.label) -> None:
            ctx.progress.transfer(label, done, total)

        await upload(
            ctx.need_transport(),
            root=ctx.project_root / staging.source,
            entries=ctx.plan_file.payload[staging.label],
            destination=ctx.fill(staging.destination),
            delete=staging.delete,
            progress=progress,
        )
        ctx.journal.write(
            "staging_completed",
            label=staging.label,
            files=staging.files,
            bytes=staging.bytes,
            tree_sha256=staging.tree_sha256,
            duration_sec=round(ctx.clock.monotonic() - began, 3),
        )
