"""Leads a run to its end and writes its manifest, whoever began it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from runpod_deploy._version import __version__
from runpod_deploy.compiler.estimate import expected_usd
from runpod_deploy.errors import JobFailed
from runpod_deploy.executor import lease
from runpod_deploy.executor.applied import APPLIED_NAME, Applied
from runpod_deploy.executor.checkpoints import CHECKPOINTS_NAME
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.engine import Engine
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.log_mirror import LOG_NAME
from runpod_deploy.executor.notifying import tell
from runpod_deploy.executor.pulled import PULLED_NAME
from runpod_deploy.executor.standing import Standing
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.failure import classify
from runpod_deploy.record.journal import JOURNAL_NAME, JournalError, utc_stamp
from runpod_deploy.record.manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestContext,
    build_manifest,
    mask_manifest,
)
from runpod_deploy.record.nodes import node_records
from runpod_deploy.record.run import Run, fold
from runpod_deploy.record.run_lock import LOCK_NAME
from runpod_deploy.record.run_request import REQUEST_NAME
from runpod_deploy.record.spending import accrued_usd, disks_of

SALT_NAME = "ssh.salt"
KNOWN_HOSTS_NAME = "known_hosts"
_OURS = frozenset(
    (
        *(SALT_NAME, KNOWN_HOSTS_NAME, MANIFEST_NAME),
        *(LOCK_NAME, REQUEST_NAME, APPLIED_NAME, PULLED_NAME, CHECKPOINTS_NAME),
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        failure: What kept it from succeeding, None for a success.
    """

    run: Run
    manifest: Manifest
    folder: Path
    failure: BaseException | None


class ManifestUnwritten(JobFailed):
    """The run came to its end, and its manifest cannot be written.

    Attributes:
        run: How it ended, which no file may tell.
    """

    def __init__(self, folder: Path, run: Run, error: OSError) -> None:
        super().__init__(
            f"The manifest in {folder} cannot be written: {error.strerror or error}. "
            f"The run ended as {run.state}; {JOURNAL_NAME} there tells how.",
            help="Make room, or make the folder writable; then write it with:\n"
            f"  runpod-deploy resume {folder}",
        )
        self.run = run


async def carry_out(
    ctx: RunContext, interrupts: Interrupts, applied: Applied, earlier: Standing | None = None
) -> Outcome:
    """Run the engine to the run's end and write the manifest; the journal is closed afterwards.

    Args:
        earlier: Where an earlier executor of the run left it; None for a new run.

    Raises:
        ManifestUnwritten: The run came to its end, and its manifest cannot be written.
        TakenOver: Another executor has the run now.
        RunpodDeployError: The run of an earlier executor cannot be carried on now; it is as it was.
    """
    engine = Engine(ctx, interrupts, earlier)
    try:
        try:
            await engine.run()
        finally:
            for node in ctx.nodes:
                lease.stop_beating(node)
                if node.transport is not None:
                    await node.transport.close()
        if engine.given_up and engine.failure is not None:
            raise engine.failure
        run, manifest = await _conclude(ctx, engine, applied)
    finally:
        for node in ctx.nodes:
            with contextlib.suppress(JournalError):
                node.journal.close()
    return Outcome(run=run, manifest=manifest, folder=ctx.folder.path, failure=engine.failure)


async def _conclude(ctx: RunContext, engine: Engine, applied: Applied) -> tuple[Run, Manifest]:
    """Write the manifest and tell of the end whoever is to be told."""
    run = _ended(ctx, engine)
    telling = partial(tell, ctx, run, engine.failure, engine.interrupts)
    try:
        manifest = await asyncio.to_thread(_write_manifest, ctx, run, applied)
    except OSError as error:
        await telling()
        raise ManifestUnwritten(ctx.folder.path, run, error) from error
    if not await telling():
        run = _ended(ctx, engine)
        with contextlib.suppress(OSError):  # it stands, and lacks one warning
            manifest = await asyncio.to_thread(_write_manifest, ctx, run, applied)
    return run, manifest


def _ended(ctx: RunContext, engine: Engine) -> Run:
    return replace(ctx.concluded(fold(ctx.journal.events)), state=engine.state)


def _write_manifest(ctx: RunContext, run: Run, applied: Applied) -> Manifest:
    now = utc_stamp(ctx.clock.now())
    data = build_manifest(ctx.plan_file, run, _manifest_context(ctx, run, now, applied))
    masked = mask_manifest(data, ctx.masker)
    write_atomic(ctx.folder.path / MANIFEST_NAME, dump_json(masked))
    return Manifest(masked)


def _manifest_context(ctx: RunContext, run: Run, now: str, applied: Applied) -> ManifestContext:
    log_bytes, log_sha256 = _digest(ctx.folder.path / LOG_NAME)
    return ManifestContext(
        written_at=now,
        tool_version=__version__,
        cloud=ctx.cloud.label,
        late_bound=ctx.late_bound,
        git=applied.git,
        lockfile=applied.lockfile,
        patch_file=applied.patch_file,
        filled_scripts=ctx.filled_scripts,
        accrued_usd=accrued_usd(
            run, now, ctx.plan.budget.assumed_hourly_rate_usd, disks_of(ctx.plan)
        ),
        estimated_usd=expected_usd(ctx.plan_file.observed.estimate),
        log_bytes=log_bytes,
        log_sha256=log_sha256,
        artifact_files=ctx.artifact_files,
        refused_files=ctx.refused_files,
        telemetry_files=_telemetry_files(ctx),
        failure=classify(run, ctx.folder.path),
        nodes=tuple(node_records(ctx.folder.path)) if ctx.plan.cluster else (),
    )


def _digest(file: Path) -> tuple[int | None, str | None]:
    """Return size and sha256 of a file of any size; None for one that is not there."""
    try:
        with file.open("rb") as stream:
            return file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None, None


def _telemetry_files(ctx: RunContext) -> tuple[str, ...]:
    names = {path.name for path in ctx.folder.path.iterdir() if path.is_file()}
    return tuple(sorted(names - _OURS | {JOURNAL_NAME}))
