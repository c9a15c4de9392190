"""collect: brings the results home by sha256, and has the pod send on what goes to a bucket."""

from __future__ import annotations

import asyncio

from runpod_deploy.compiler.plan import PlanArtifact
from runpod_deploy.errors import StepFailed, TransportError
from runpod_deploy.executor import checkpoints, pulled, telemetry, uploading
from runpod_deploy.executor.artifacts import bring, local_path
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.steps import connect
from runpod_deploy.executor.sync.download import DownloadReport

TRIES = 3


async def do(ctx: RunContext) -> None:
    """Pull every artifact of a run that ended by itself.

    Raises:
        StepFailed: A required artifact is not on the pod (cause `artifact_missing`), or could not be
            brought over, or sent to its bucket, and verified (cause `not_verified`): then the pod
            must not be deleted.
    """
    await telemetry.end(ctx)
    missing: list[str] = []
    unverified: list[str] = []
    for artifact in ctx.plan.artifacts:
        if artifact.label in ctx.verified:
            continue
        problem = await pull(ctx, artifact)
        if problem is not None and artifact.required:
            (missing if problem == MISSING else unverified).append(f"{artifact.label}: {problem}")
    # Everything was tried; from here on a failure has nothing more to save.
    ctx.undo.drop("artifacts")
    if unverified:
        raise StepFailed(
            "Required artifacts are on the pod but could not be verified here: "
            + "; ".join(unverified),
            cause="not_verified",
        )
    if missing:
        raise StepFailed(
            "Required artifacts are missing: " + "; ".join(missing), cause="artifact_missing"
        )
    await _upload(ctx)


async def _upload(ctx: RunContext) -> None:
    """Have the pod send what goes on to a bucket, now that it is here.

    Raises:
        StepFailed: A store was not seen to hold what is required there (cause `not_verified`).
    """
    failed: list[str] = []
    for artifact in uploading.outstanding(ctx):
        problem = await uploading.send(ctx, artifact)
        if problem is not None and artifact.required:
            failed.append(f"{artifact.label}: {problem}")
        elif problem is not None:
            ctx.warn("not-uploaded", f"{artifact.label} could not be uploaded: {problem}.")
    if failed:
        raise StepFailed(
            "Required artifacts are here, and their bucket does not hold them: "
            + "; ".join(failed),
            cause="not_verified",
        )


async def salvage(ctx: RunContext) -> None:
    """Pull what there is after a failure; nothing here fails the run any further.

    What then stands in `ctx.unproven()` may lie on the pod alone.
    """
    if ctx.transport is None and not await _again(ctx):
        return
    await telemetry.end(ctx)
    for artifact in ctx.plan.artifacts:
        if artifact.label not in ctx.verified:
            await pull(ctx, artifact)


MISSING = "not there on the pod"


async def pull(ctx: RunContext, artifact: PlanArtifact) -> str | None:
    """Pull one artifact; returns why it could not be had, None when it is verified here."""
    began = ctx.clock.monotonic()
    label = artifact.label
    op_id = f"pull-{label}"
    ctx.note("pull_intended", op_id=op_id, label=label)
    ctx.note("artifact_pull_started", label=label)
    try:
        report, error = await _download(ctx, artifact)
    except BaseException as problem:
        _failed(ctx, label, began, str(problem) or type(problem).__name__)
        raise
    if report is not None and error is None:
        ctx.tree_sha256[label] = report.tree_sha256
    pulled.remember(ctx)
    if report is None or error is not None:
        _failed(ctx, label, began, error or "")
        return error
    ctx.note(
        "artifact_pull_completed",
        label=label,
        duration_sec=round(ctx.clock.monotonic() - began, 3),
        files=report.files,
        bytes=report.bytes,
        sha256=report.tree_sha256,
        fetched_files=report.fetched,
        fetched_bytes=report.fetched_bytes,
    )
    ctx.verified.add(label)
    ctx.note("pull_settled", op_id=op_id, outcome="verified", label=label, error=None)
    return None


def _failed(ctx: RunContext, label: str, began: float, error: str) -> None:
    duration = round(ctx.clock.monotonic() - began, 3)
    ctx.note("artifact_pull_failed", label=label, duration_sec=duration, error=error)
    ctx.note("pull_settled", op_id=f"pull-{label}", outcome="failed", label=label, error=error)


async def _download(
    ctx: RunContext, artifact: PlanArtifact
) -> tuple[DownloadReport | None, str | None]:
    error = "not tried"
    for attempt in range(1, TRIES + 1):
        try:
            report = await bring(ctx, artifact, final=True)
        except (TransportError, TimeoutError) as problem:
            error = str(problem) or "the pod did not answer in time"
            if attempt < TRIES and not await _again(ctx):
                break
            continue
        except StepFailed as problem:
            return None, problem.message
        except OSError as problem:
            return None, f"{local_path(ctx, artifact)} cannot be written: {problem}"
        if artifact.every_minutes is not None:
            # What lies here now is what another attempt begins with.
            await asyncio.to_thread(checkpoints.remember, ctx, artifact.label, report)
        return _remember(ctx, artifact, report)
    return None, error


def _remember(
    ctx: RunContext, artifact: PlanArtifact, report: DownloadReport
) -> tuple[DownloadReport, str | None]:
    ctx.artifact_files[artifact.label] = [dict(entry) for entry in report.entries]
    ctx.refused_files[artifact.label] = [dict(entry) for entry in report.refused]
    if report.missing:
        ctx.missing.add(artifact.label)
        return report, MISSING
    ctx.missing.discard(artifact.label)
    if report.refused and artifact.required:
        names = ", ".join(str(entry["path"]) for entry in report.refused[:5])
        return report, f"{len(report.refused)} entries were refused or changed: {names}"
    return report, None


async def _again(ctx: RunContext) -> bool:
    try:
        await connect.again(ctx)
    except (TransportError, StepFailed):
        return False
    return True
