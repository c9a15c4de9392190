"""One run from a plan file to a manifest: the executor's front door."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runpod_deploy._version import __version__
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import dumps
from runpod_deploy.executor.applied import note_applied
from runpod_deploy.executor.attendance import attending
from runpod_deploy.executor.beforehand import Here, refuse_unready
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.concluding import (
    KNOWN_HOSTS_NAME,
    SALT_NAME,
    ManifestUnwritten,
    Outcome,
    carry_out,
)
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.forwarding import ForwardedPorts
from runpod_deploy.executor.freshness import SHOWN, fresh
from runpod_deploy.executor.identity import owner_id, random_suffix
from runpod_deploy.executor.image_now import image_now
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.local_commands import LocalCommands, refuse_commands
from runpod_deploy.executor.ports import Clock
from runpod_deploy.executor.price_now import Offers, offers_now
from runpod_deploy.executor.progress import Progress, Silent
from runpod_deploy.executor.runpod.account import WholeAccount
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.clusters import ClusterCloud
from runpod_deploy.executor.runpod.sdk_funds import funds_of
from runpod_deploy.executor.secret_values import known_texts
from runpod_deploy.executor.single_use import give_back_unused, refuse_used, use_up
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import SALT_BYTES, derive_key, read_public_key
from runpod_deploy.executor.webhook import webhook_texts
from runpod_deploy.facts.approvals import SeenApproval
from runpod_deploy.facts.git import git_state
from runpod_deploy.facts.project import project_at
from runpod_deploy.record.atomic import write_atomic
from runpod_deploy.record.journal import Journal, Sink, utc_stamp
from runpod_deploy.record.ledger import Ledger, ledger_file
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.run_folder import (
    RunFolder,
    claim_run_folder,
    note_plan_use,
)
from runpod_deploy.record.run_lock import RunLock

__all__ = ["Listeners", "ManifestUnwritten", "Outcome", "Saved", "Target", "execute"]

PLAN_NAME = "plan.json"


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
        file: How the file was named, for messages.
    """

    allow: frozenset[str] = frozenset()
    again: bool = False
    approvals: tuple[SeenApproval, ...] = ()
    file: str = "plan.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listeners:
    """Who is told what while the run works; `opened` is called once the run folder is claimed."""

    progress: Progress = field(default_factory=Silent)
    sinks: tuple[Sink, ...] = ()
    opened: Callable[[Path, str], None] = lambda _folder, _run_id: None


async def execute(  # noqa: PLR0913 - each is something else that only the caller knows
    plan_file: PlanFile,
    *,
    project_root: Path,
    target: Target,
    environ: Mapping[str, str],
    interrupts: Interrupts | None = None,
    listeners: Listeners | None = None,
    allow_paths: Sequence[Path] = (),
    saved: Saved | None = None,
    commands: LocalCommands | None = None,
) -> Outcome:
    """Apply a plan: hold it against the project, then carry it out and write the manifest.

    Args:
        project_root: Every local path of the plan is below it.
        environ: Source of `env` secrets and of who we are.
        allow_paths: Folders outside of the repository that the plan's paths may lead into.
        saved: Given when the plan was saved in a file, which can be applied once.
        commands: The leave to run the plan's own commands on this machine, if somebody gave it.

    Raises:
        PlanRefused: The project, a price or the image changed since the plan was made, or it was used up.
        CloudError: The API that the plan's prices are from cannot be reached.
        AccountError: It refused the key.
        InvalidInput: `RUNPOD_DEPLOY_OWNER`, the API's address or a name in `saved.allow` cannot be;
            or the plan runs commands here, and nobody allowed that; or a port is taken; or a saved
            plan's secrets or files are missing.
        ManifestUnwritten: The run came to its end, and its manifest cannot be written.
        TakenOver: Another executor has the run now.
        OSError: The run folder cannot be created.
    """
    listeners = listeners or Listeners()
    clock = SystemClock()
    refuse_commands([plan_file.plan], commands)
    project_root = await asyncio.to_thread(project_root.resolve)
    if saved and not saved.again:
        refuse_used(plan_file.plan_id, project_root, file=saved.file)
    offers = await offers_at(plan_file, target) if saved else None
    image = await image_now(plan_file, target.label) if saved else None
    checked = await asyncio.to_thread(
        fresh,
        plan_file,
        project_root,
        allow=saved.allow if saved else (),
        allow_paths=allow_paths,
        environ=environ,
        offers=offers,
        image=image,
        growing=saved is None,
        file=saved.file if saved else None,
    )
    plan_file = checked.plan_file
    git = await asyncio.to_thread(git_state, project_root, environ)
    owner = owner_id(environ)
    allowed = project_at(project_root, plan_file.plan.job.file, allow_paths).allowed
    extra_keys = _extra_keys(plan_file)
    if saved:
        # A plan that cannot begin here and now is refused, and not used up.
        here = Here(project_root=project_root, environ=environ, allowed=allowed, commands=commands)
        await refuse_unready([plan_file.plan], here)
    ports = await ForwardedPorts.bound(plan_file.plan.forward, listeners.progress.message)
    pods = RunPodCloud(target.api_url, target.api_key, target.label)
    cloud = pods if plan_file.plan.cluster is None else ClusterCloud(pods)
    try:
        folder = _claimed(plan_file, project_root, clock, saved)
        run_id = f"{plan_file.plan.job.run_id_prefix}-{folder.stamp}"
        listeners.opened(folder.path, run_id)
        # From the first line on, no sink shows a secret that can be read now.
        texts, _ = known_texts(plan_file.plan.secrets, project_root, environ, allowed=allowed)
        hidden = webhook_texts(plan_file.plan.notify, project_root, environ, allowed=allowed)
        masker = Masker([target.api_key, *texts, *hidden])
        journal = Journal(folder.path, masker=masker, now=clock.now, sinks=listeners.sinks)
        lock = RunLock.take(folder.path, owner=owner, now=clock.now())
        connector = _connector(folder, target)
        late_bound = local_values(plan_file, run_id, folder.path, project_root)
        applied = await asyncio.to_thread(
            note_applied,
            folder.path,
            project_root,
            git,
            masker,
            public_key=connector.public_key,
            late_bound=late_bound,
        )
        ctx = RunContext(
            plan_file=plan_file,
            project_root=project_root,
            folder=folder,
            environ=environ,
            owner=owner,
            api_url=target.api_url,
            cloud=cloud,
            account=WholeAccount.over(pods),
            connector=connector,
            extra_public_keys=extra_keys,
            funds=funds_of(target.label, target.api_url, target.api_key),
            clock=clock,
            journal=journal,
            masker=masker,
            ledger=Ledger(ledger_file(environ)),
            progress=listeners.progress,
            random_suffix=random_suffix,
            late_bound=late_bound,
            commands=commands,
            allowed=allowed,
        )
        ports.dial = ctx.dial
        note_start(ctx)
        for one in saved.approvals if saved else ():
            journal.write("plan_approved", principals=one.who, key=one.key, expires=one.expires)
        for drift in checked.drifts[:SHOWN]:
            journal.write("plan_drift", **dataclasses.asdict(drift))
        interrupts = interrupts or Interrupts()
        async with attending(lock, interrupts, clock):
            outcome = await carry_out(ctx, interrupts, applied)
        if saved:
            give_back_unused(plan_file.plan_id, project_root, outcome.run, folder.path)
        return outcome
    finally:
        await ports.close()
        await cloud.close()


def local_values(
    plan_file: PlanFile, run_id: str, folder: Path, project_root: Path
) -> dict[str, str]:
    """Return what stands for the late-bound tokens before there is a pod."""
    return {
        "run_id": run_id,
        "run_dir": str(folder),
        "project_root": str(project_root),
        "config_dir": str((project_root / plan_file.plan.job.file).parent),
    }


def note_start(ctx: RunContext) -> None:
    """Write down who carries the run on from here."""
    ctx.journal.write(
        "run_started",
        run_id=ctx.run_id,
        job_name=ctx.plan.job.name,
        plan_hash=ctx.plan_file.plan_hash,
        plan_id=ctx.plan_file.plan_id,
        tool_version=__version__,
        cloud=ctx.cloud.label,
        api_url=ctx.api_url,
        owner=ctx.owner,
        pid=os.getpid(),
    )


async def offers_at(plan_file: PlanFile, target: Target) -> Offers:
    """Return what the catalog says now about a saved plan; None where it shows no prices."""
    cloud = RunPodCloud(target.api_url, target.api_key, target.label)
    try:
        return await offers_now(plan_file, cloud)
    finally:
        await cloud.close()


def _claimed(
    plan_file: PlanFile, project_root: Path, clock: Clock, saved: Saved | None
) -> RunFolder:
    """Claim a saved plan and a run folder; the claim names the folder."""
    if saved is None:
        return _open_folder(plan_file, project_root, clock)
    use_up(plan_file.plan_id, project_root, clock, again=saved.again, file=saved.file)
    folder = _open_folder(plan_file, project_root, clock)
    note_plan_use(project_root, plan_file.plan_id, utc_stamp(clock.now()), folder.path)
    return folder


def _open_folder(plan_file: PlanFile, project_root: Path, clock: Clock) -> RunFolder:
    matrix = plan_file.plan.matrix
    shard = None if matrix is None else matrix.name
    folder = claim_run_folder(project_root, clock.now(), shard=shard)
    write_atomic(folder.path / PLAN_NAME, dumps(plan_file))
    return folder


def _connector(folder: RunFolder, target: Target) -> AsyncsshConnector:
    salt = os.urandom(SALT_BYTES)
    write_atomic(folder.path / SALT_NAME, salt, mode=0o600)
    return AsyncsshConnector(derive_key(target.api_key, salt), folder.path / KNOWN_HOSTS_NAME)


def _extra_keys(plan_file: PlanFile) -> tuple[str, ...]:
    path = plan_file.plan.pod.ssh_key_path
    return (read_public_key(Path(path).expanduser()),) if path else ()
