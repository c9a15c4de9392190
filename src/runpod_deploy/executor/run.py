"""One run from a plan file to a manifest: the executor's front door."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runpod_deploy._version import __version__
from runpod_deploy.compiler.estimate import expected_usd
from runpod_deploy.compiler.observed import CandidateOffer
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import dumps
from runpod_deploy.errors import JobFailed, PlanRefused
from runpod_deploy.executor import lease
from runpod_deploy.executor.attendance import attending
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.endings import TakenOver
from runpod_deploy.executor.engine import Engine
from runpod_deploy.executor.follow import LOG_NAME
from runpod_deploy.executor.freshness import SHOWN, fresh
from runpod_deploy.executor.identity import owner_id, random_suffix
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.ports import Clock
from runpod_deploy.executor.price_now import offers_now
from runpod_deploy.executor.progress import Progress, Silent
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.secret_values import known_texts
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import SALT_BYTES, derive_key, read_public_key
from runpod_deploy.facts.approvals import SeenApproval
from runpod_deploy.facts.git import GitState, git_state, publishable
from runpod_deploy.facts.lockfile import find_lockfile
from runpod_deploy.facts.project import git_toplevel
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.failure import classify
from runpod_deploy.record.journal import JOURNAL_NAME, Journal, JournalError, Sink, utc_stamp
from runpod_deploy.record.manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestContext,
    accrued_usd,
    build_manifest,
    mask_manifest,
)
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.run import Run, fold
from runpod_deploy.record.run_folder import (
    PlanUse,
    RunFolder,
    claim_plan,
    claim_run_folder,
    note_plan_use,
)
from runpod_deploy.record.run_lock import LOCK_NAME, RunLock
from runpod_deploy.record.run_request import REQUEST_NAME

PLAN_NAME = "plan.json"
PATCH_NAME = "source.patch"
SALT_NAME = "ssh.salt"
KNOWN_HOSTS_NAME = "known_hosts"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The cloud a plan is applied to.

    Attributes:
        label: `runpod` or `emulator`, for the manifest.
        api_key: Never printed, masked in every sink.
    """

    label: str
    api_url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """What was said about a plan that comes from a file.

    Attributes:
        allow: Parts of the plan (`freshness.ALLOWABLE`) that may differ from the project.
        again: Whether it may be applied although it was before.
        approvals: Whose signatures were asked for and count; for the journal.
    """

    allow: frozenset[str] = frozenset()
    again: bool = False
    approvals: tuple[SeenApproval, ...] = ()


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
            help="Make room, or make the folder writable.",
        )
        self.run = run


@dataclass(frozen=True, kw_only=True, slots=True)
class Listeners:
    """Who is told what while the run works; `opened` is called once the run folder is claimed."""

    progress: Progress = field(default_factory=Silent)
    sinks: tuple[Sink, ...] = ()
    opened: Callable[[Path, str], None] = lambda _folder, _run_id: None


async def execute(
    plan_file: PlanFile,
    *,
    project_root: Path,
    target: Target,
    environ: Mapping[str, str],
    interrupts: Interrupts | None = None,
    listeners: Listeners | None = None,
    allow_paths: Sequence[Path] = (),
    saved: Saved | None = None,
) -> Outcome:
    """Apply a plan: hold it against the project, then carry it out and write the manifest.

    Args:
        project_root: Every local path of the plan is below it.
        environ: Source of `env` secrets and of who we are.
        allow_paths: Folders outside of the repository that the plan's paths may lead into.
        saved: Given when the plan was saved in a file, which can be applied once.

    Raises:
        PlanRefused: The project or a price changed since the plan was made, or it was used already.
        CloudError: The API that the plan's prices are from cannot be reached.
        AccountError: It refused the key.
        InvalidInput: `RUNPOD_DEPLOY_OWNER`, the API's address or a name in `saved.allow` cannot be.
        ManifestUnwritten: The run came to its end, and its manifest cannot be written.
        TakenOver: Another executor has the run now.
        OSError: The run folder cannot be created.
    """
    listeners = listeners or Listeners()
    clock = SystemClock()
    project_root = await asyncio.to_thread(project_root.resolve)
    offers = await _offers(plan_file, target) if saved else None
    checked = await asyncio.to_thread(
        fresh,
        plan_file,
        project_root,
        allow=saved.allow if saved else (),
        allow_paths=allow_paths,
        environ=environ,
        offers=offers,
    )
    plan_file = checked.plan_file
    git = await asyncio.to_thread(git_state, project_root, environ)
    owner = owner_id(environ)
    extra_keys = _extra_keys(plan_file)
    cloud = RunPodCloud(target.api_url, target.api_key, target.label)
    try:
        if saved:
            _use_up(plan_file, project_root, clock, again=saved.again)
        folder = _open_folder(plan_file, project_root, clock)
        if saved:
            at = utc_stamp(clock.now())
            note_plan_use(project_root, plan_file.plan_id, at, folder.path)
        run_id = f"{plan_file.plan.job.run_id_prefix}-{folder.stamp}"
        listeners.opened(folder.path, run_id)
        # From the first line on, no sink shows a secret that can be read now.
        texts, _ = known_texts(plan_file.plan.secrets, project_root, environ)
        masker = Masker([target.api_key, *texts])
        journal = Journal(folder.path, masker=masker, now=clock.now, sinks=listeners.sinks)
        lock = RunLock.take(folder.path, owner=owner, now=clock.now())
        ctx = RunContext(
            plan_file=plan_file,
            project_root=project_root,
            folder=folder,
            environ=environ,
            owner=owner,
            api_url=target.api_url,
            cloud=cloud,
            connector=_connector(folder, target),
            extra_public_keys=extra_keys,
            clock=clock,
            journal=journal,
            masker=masker,
            progress=listeners.progress,
            random_suffix=random_suffix,
            late_bound={
                "run_id": run_id,
                "run_dir": str(folder.path),
                "project_root": str(project_root),
                "config_dir": str((project_root / plan_file.plan.job.file).parent),
            },
        )
        journal.write(
            "run_started",
            run_id=run_id,
            job_name=plan_file.plan.job.name,
            plan_hash=plan_file.plan_hash,
            plan_id=plan_file.plan_id,
            tool_version=__version__,
            cloud=target.label,
            api_url=target.api_url,
            owner=owner,
            pid=os.getpid(),
        )
        for one in saved.approvals if saved else ():
            journal.write("plan_approved", principals=one.who, key=one.key, expires=one.expires)
        for drift in checked.drifts[:SHOWN]:
            journal.write("plan_drift", **dataclasses.asdict(drift))
        interrupts = interrupts or Interrupts()
        async with attending(lock, interrupts, clock):
            return await _carry_out(ctx, interrupts, git)
    finally:
        await cloud.close()


async def _offers(plan_file: PlanFile, target: Target) -> tuple[CandidateOffer, ...] | None:
    cloud = RunPodCloud(target.api_url, target.api_key, target.label)
    try:
        return await offers_now(plan_file, cloud)
    finally:
        await cloud.close()


async def _carry_out(ctx: RunContext, interrupts: Interrupts, git: GitState | None) -> Outcome:
    engine = Engine(ctx, interrupts)
    try:
        try:
            await engine.run()
        finally:
            lease.stop_beating(ctx)
            if ctx.transport is not None:
                await ctx.transport.close()
        if isinstance(engine.failure, TakenOver):
            raise engine.failure
        run = replace(ctx.concluded(fold(ctx.journal.events)), state=engine.state)
        try:
            manifest = await asyncio.to_thread(_write_manifest, ctx, run, git)
        except OSError as error:
            raise ManifestUnwritten(ctx.folder.path, run, error) from error
    finally:
        with contextlib.suppress(JournalError):
            ctx.journal.close()
    return Outcome(run=run, manifest=manifest, folder=ctx.folder.path, failure=engine.failure)


def _use_up(plan_file: PlanFile, project_root: Path, clock: Clock, *, again: bool) -> None:
    used = claim_plan(project_root, plan_file.plan_id, utc_stamp(clock.now()))
    if used and not again:
        raise PlanRefused(
            f"This plan was applied already, {_when(used[-1])}; a saved plan is applied once.",
            help="Make a new plan from the job file, or carry this one out once more:\n"
            "  runpod-deploy apply PLAN --again",
        )


def _when(use: PlanUse) -> str:
    where = f"in {use.run}" if use.run else "and its run did not get as far as a run folder"
    return f"at {use.at}, {where}"


def _open_folder(plan_file: PlanFile, project_root: Path, clock: Clock) -> RunFolder:
    folder = claim_run_folder(project_root, clock.now())
    write_atomic(folder.path / PLAN_NAME, dumps(plan_file))
    return folder


def _connector(folder: RunFolder, target: Target) -> AsyncsshConnector:
    salt = os.urandom(SALT_BYTES)
    write_atomic(folder.path / SALT_NAME, salt, mode=0o600)
    return AsyncsshConnector(derive_key(target.api_key, salt), folder.path / KNOWN_HOSTS_NAME)


def _extra_keys(plan_file: PlanFile) -> tuple[str, ...]:
    path = plan_file.plan.pod.ssh_key_path
    return (read_public_key(Path(path).expanduser()),) if path else ()


def _write_manifest(ctx: RunContext, run: Run, git: GitState | None) -> Manifest:
    now = utc_stamp(ctx.clock.now())
    data = build_manifest(ctx.plan_file, run, _manifest_context(ctx, run, now, git))
    masked = mask_manifest(data, ctx.masker)
    write_atomic(ctx.folder.path / MANIFEST_NAME, dump_json(masked))
    return Manifest(masked)


def _manifest_context(ctx: RunContext, run: Run, now: str, git: GitState | None) -> ManifestContext:
    patch_file = None
    if git is not None and git.patch:
        text = publishable(git.patch).decode("utf-8", "surrogateescape")
        masked = ctx.masker.text(text).encode("utf-8", "surrogateescape")
        write_atomic(ctx.folder.path / PATCH_NAME, masked)
        patch_file = PATCH_NAME
    log_bytes, log_sha256 = _digest(ctx.folder.path / LOG_NAME)
    return ManifestContext(
        written_at=now,
        tool_version=__version__,
        cloud=ctx.cloud.label,
        late_bound=ctx.late_bound,
        git=None if git is None else git.facts,
        lockfile=find_lockfile(ctx.project_root, git_toplevel(ctx.project_root)),
        patch_file=patch_file,
        filled_scripts=ctx.filled_scripts,
        accrued_usd=accrued_usd(run, now, ctx.plan.budget.assumed_hourly_rate_usd),
        estimated_usd=expected_usd(ctx.plan_file.observed.estimate),
        log_bytes=log_bytes,
        log_sha256=log_sha256,
        artifact_files=ctx.artifact_files,
        refused_files=ctx.refused_files,
        telemetry_files=_telemetry_files(ctx),
        failure=classify(run, ctx.folder.path),
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
    ours = {SALT_NAME, KNOWN_HOSTS_NAME, MANIFEST_NAME, LOCK_NAME, REQUEST_NAME}
    return tuple(sorted(names - ours | {JOURNAL_NAME}))
