"""Carries on a run that an earlier executor left: killed, detached from, or on another machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.compiler.plan import PlanFile, PlanForward
from runpod_deploy.compiler.planfile import loads
from runpod_deploy.errors import AccountError, InvalidInput, RunpodDeployError
from runpod_deploy.executor import nodes
from runpod_deploy.executor.applied import Applied, read_applied
from runpod_deploy.executor.attendance import attending
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.concluding import (
    KNOWN_HOSTS_NAME,
    SALT_NAME,
    Outcome,
    carry_out,
)
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.forwarding import ForwardedPorts
from runpod_deploy.executor.identity import random_suffix
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.left_over import left_over
from runpod_deploy.executor.local_commands import LocalCommands
from runpod_deploy.executor.notifying import untold
from runpod_deploy.executor.run import PLAN_NAME, Listeners, Target, local_values, note_start
from runpod_deploy.executor.runpod.account import WholeAccount
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.clusters import ClusterCloud
from runpod_deploy.executor.secret_values import known_texts
from runpod_deploy.executor.ssh.connector import AsyncsshConnector
from runpod_deploy.executor.ssh.keys import derive_key, read_private_key, read_public_key
from runpod_deploy.executor.standing import Standing, goes_on_alone, read_standing
from runpod_deploy.executor.webhook import webhook_texts
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME, Journal, read_events
from runpod_deploy.record.ledger import Ledger, ledger_file
from runpod_deploy.record.manifest import MANIFEST_NAME, Manifest
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.run import Run, RunState, fold
from runpod_deploy.record.run_folder import RUNS, RunFolder
from runpod_deploy.record.run_lock import Holder, RunLock, holder_of, refuse_if_busy
from runpod_deploy.record.run_request import answered
from runpod_deploy.record.tolerant import seconds, text


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What the folder of a run tells of it before anything is done.

    Attributes:
        cloud: `runpod` or `emulator`.
        project_root: Where the run began, if the folder still lies in its project.
    """

    folder: Path
    plan_file: PlanFile
    run: Run
    run_id: str
    owner: str
    cloud: str
    api_url: str
    project_root: Path | None


def read_begun(folder: Path) -> Begun:
    """Read which run a folder is of.

    Raises:
        InvalidInput: It holds no run, or too little of one to carry it on.
        PlanRefused: Its plan was changed.
        OSError: The folder cannot be read.
    """
    folder = folder.resolve()
    run = fold(read_events(folder / JOURNAL_NAME))
    started = run.started
    run_id, owner = text(started, "run_id"), text(started, "owner")
    cloud, api_url = text(started, "cloud"), text(started, "api_url")
    if run_id is None or owner is None or cloud is None or api_url is None:
        raise InvalidInput(
            f"{folder} cannot be carried on: its {JOURNAL_NAME} does not tell which run began there.",
            help="Give the folder of a run. If its journal was lost, find what it left rented:\n"
            "  runpod-deploy reap",
        )
    try:
        plan_file = loads((folder / PLAN_NAME).read_bytes(), str(folder / PLAN_NAME))
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{folder} cannot be carried on: {PLAN_NAME} is missing there.",
            help="Bring it back, or end the run's pod once its lease is over:\n  runpod-deploy reap",
        ) from error
    inside = folder.parent.parts[-len(RUNS.parts) :] == RUNS.parts
    return Begun(
        folder=folder,
        plan_file=plan_file,
        run=run,
        run_id=run_id,
        owner=owner,
        cloud=cloud,
        api_url=api_url,
        project_root=folder.parents[len(RUNS.parts)] if inside else None,
    )


async def resume(
    begun: Begun,
    *,
    project_root: Path,
    target: Target,
    environ: Mapping[str, str],
    interrupts: Interrupts | None = None,
    listeners: Listeners | None = None,
    commands: LocalCommands | None = None,
    forwards: Sequence[PlanForward] = (),
) -> Outcome:
    """Carry a run on to its end, from where its journal says that it stands.

    A run that has come to its end, with nothing left to do, is only told again.

    Args:
        project_root: Every local path of the plan is below it.
        target: The cloud that the run began on, with a key of that account.
        environ: Source of `env` secrets.
        commands: The leave to run the plan's own commands on this machine again.
        forwards: Ports that are reached on this machine meanwhile, beside the plan's own.

    Raises:
        RunBusy: Another executor carries it on.
        JournalError: The folder cannot be written, or another process writes the journal.
        InvalidInput: A secret, or a file of the run folder, is missing, or a command not allowed;
            or a port of this machine is taken.
        AccountError: The API refused the key, or it is not the one the run began with.
        CloudError: The API cannot be reached; the run is as it was.
        ManifestUnwritten: The run came to its end, and its manifest cannot be written.
        TakenOver: Another executor has the run now.
        OSError: The run folder cannot be written.
    """
    listeners = listeners or Listeners()
    finished = _finished(begun)
    if finished is not None:
        listeners.opened(begun.folder, begun.run_id)
        return finished
    interrupts = interrupts or Interrupts()
    # A job that goes on alone can be left to itself from the first moment on.
    interrupts.can_detach = _goes_on_alone(begun)
    clock = SystemClock()
    await asyncio.to_thread(refuse_if_busy, begun.folder, clock.now())
    applied = await asyncio.to_thread(read_applied, begun.folder)
    connector = _connector(begun, applied, target)
    plan = begun.plan_file.plan
    texts, _ = known_texts(plan.secrets, project_root, environ)
    hidden = webhook_texts(plan.notify, project_root, environ)
    masker = Masker([target.api_key, *texts, *hidden])
    going_on = not begun.run.state.final
    ports = await ForwardedPorts.bound(
        (*plan.forward, *forwards) if going_on else (), listeners.progress.message
    )
    pods = RunPodCloud(target.api_url, target.api_key, target.label)
    cloud = pods if plan.cluster is None else ClusterCloud(pods)
    try:
        before = holder_of(begun.folder)
        journal = Journal(begun.folder, masker=masker, now=clock.now, sinks=listeners.sinks)
        lock = RunLock.take(begun.folder, owner=begun.owner, now=clock.now())
        standing = read_standing([step.name for step in plan.steps], journal.events)
        listeners.opened(begun.folder, begun.run_id)
        ctx = RunContext(
            plan_file=begun.plan_file,
            project_root=project_root,
            folder=RunFolder(path=begun.folder, stamp=begun.folder.name),
            environ=environ,
            owner=begun.owner,
            api_url=target.api_url,
            cloud=cloud,
            account=WholeAccount.over(pods),
            connector=connector,
            extra_public_keys=_extra_keys(begun.plan_file),
            clock=clock,
            journal=journal,
            masker=masker,
            ledger=Ledger(ledger_file(environ)),
            progress=listeners.progress,
            random_suffix=random_suffix,
            late_bound=local_values(begun.plan_file, begun.run_id, begun.folder, project_root),
            origin=applied.late_bound,
            commands=commands,
            seen_until=_last_heard(journal.events, before),
        )
        ports.dial = ctx.dial
        return await _carry_on(ctx, lock, interrupts, applied, standing)
    finally:
        await ports.close()
        await cloud.close()


async def _carry_on(
    ctx: RunContext,
    lock: RunLock,
    interrupts: Interrupts,
    applied: Applied,
    standing: Standing,
) -> Outcome:
    if not standing.over:
        note_start(ctx)
    elif standing.state.final:
        # Whatever was asked of it came too late.
        await asyncio.to_thread(answered, ctx.folder.path)
    async with attending(lock, interrupts, ctx.clock):
        return await carry_out(ctx, interrupts, applied, standing)


def _finished(begun: Begun) -> Outcome | None:
    """Return how a run ended of which nothing is left to do; None when there is."""
    steps = [step.name for step in begun.plan_file.plan.steps]
    standing = read_standing(steps, list(read_events(begun.folder / JOURNAL_NAME)))
    if not standing.over or begun.run.leaked or standing.state is RunState.LEAKED:
        return None
    if left_over(begun.plan_file.plan, begun.run):
        return None
    if untold(
        begun.plan_file.plan.notify, standing.state, read_events(begun.folder / JOURNAL_NAME)
    ):
        return None
    try:
        manifest = json.loads((begun.folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("state") != standing.state:
        return None
    return Outcome(
        run=begun.run, manifest=Manifest(manifest), folder=begun.folder, failure=standing.failure
    )


def _goes_on_alone(begun: Begun) -> bool:
    events = list(read_events(begun.folder / JOURNAL_NAME))
    steps = [step.name for step in begun.plan_file.plan.steps]
    alone = goes_on_alone(read_standing(steps, events), events)
    return alone and nodes.all_begun(begun.plan_file.plan, begun.folder)


def _last_heard(events: Sequence[Event], holder: Holder | None) -> float:
    """Return when an executor of the run last said that it lived, seconds since the epoch."""
    told = seconds(events[-1].ts_utc) if events else None
    return max(told or 0.0, holder.beat if holder is not None else 0.0)


def _connector(begun: Begun, applied: Applied, target: Target) -> AsyncsshConnector:
    """Derive the run's SSH key again.

    Raises:
        InvalidInput: The salt is not in the folder.
        AccountError: The API key is another one, and no other way into the pod is known.
    """
    try:
        salt = (begun.folder / SALT_NAME).read_bytes()
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{begun.folder} cannot be carried on: {SALT_NAME} is missing there, and with it the SSH "
            "key of the run.",
            help="Copy the whole folder, hidden files included.",
        ) from error
    path = begun.plan_file.plan.pod.ssh_key_path
    extra = []
    if path is not None:
        try:
            extra = [read_private_key(Path(path).expanduser())]
        except InvalidInput:
            extra = []  # of another machine: the run's own key does
    connector = AsyncsshConnector(
        derive_key(target.api_key, salt), begun.folder / KNOWN_HOSTS_NAME, extra
    )
    if applied.public_key not in (None, connector.public_key) and not extra:
        raise AccountError(
            "This is not the API key that the run began with: the SSH key of the run comes from that "
            "one, so its pod would let nobody in. The run is as it was.",
            help="Set RUNPOD_API_KEY to the key that was used then, or end the pod without its "
            "results in the RunPod console.",
        )
    return connector


def _extra_keys(plan_file: PlanFile) -> tuple[str, ...]:
    path = plan_file.plan.pod.ssh_key_path
    try:
        return (read_public_key(Path(path).expanduser()),) if path else ()
    except RunpodDeployError:
        return ()  # of another machine; only a pod that is still to be made would get it
