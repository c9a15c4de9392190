"""A sweep from its file to its manifest: the executor's front door for several runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runpod_deploy._version import __version__
from runpod_deploy.compiler.plan import Plan, PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile, dumps
from runpod_deploy.errors import Kept, RunpodDeployError
from runpod_deploy.executor.attendance import attending
from runpod_deploy.executor.beforehand import Here, refuse_unready
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.endings import cause_of
from runpod_deploy.executor.identity import owner_id
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.local_commands import LocalCommands, refuse_commands
from runpod_deploy.executor.resuming import read_begun, resume
from runpod_deploy.executor.run import (
    Listeners,
    ManifestUnwritten,
    Outcome,
    Target,
    execute,
)
from runpod_deploy.executor.single_use import refuse_used, use_up
from runpod_deploy.executor.sweep import Begin, Opened, Resume, ShardEnd, Sweep, parallel, shard
from runpod_deploy.executor.sweep_freshness import refuse_stale
from runpod_deploy.facts.approvals import SeenApproval
from runpod_deploy.facts.project import project_at
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import (
    JOURNAL_NAME,
    Journal,
    JournalError,
    Sink,
    read_events,
    utc_stamp,
)
from runpod_deploy.record.masking import Masker
from runpod_deploy.record.run import Run, RunState, step
from runpod_deploy.record.run_folder import note_plan_use
from runpod_deploy.record.run_lock import RunLock
from runpod_deploy.record.run_request import answered, asked
from runpod_deploy.record.spending import accrued_usd, disks_of
from runpod_deploy.record.sweep import (
    SWEEP_MANIFEST_NAME,
    SWEEP_NAME,
    SweepRun,
    claim_sweep_folder,
    fold_sweep,
    sweep_manifest,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepListeners:
    """Who is told what while the runs of a sweep work.

    Attributes:
        sinks: Told of the sweep's own events.
        opened: Called with the sweep's folder.
        of_run: Returns who is told of the run with that plan; its mailbox says whether it can be left.
    """

    sinks: tuple[Sink, ...] = ()
    opened: Callable[[Path], None] = lambda _folder: None
    of_run: Callable[[PlanFile, Interrupts], Listeners] = lambda _plan, _mailbox: Listeners()


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepWishes:
    """What the command line says about how a sweep is carried out.

    Attributes:
        only: Names of the runs that are carried out; None: all.
        max_parallel: Runs under way at a time; None: as planned.
        saved: Whether the sweep is from a file, which can be applied once.
        retry: Whether runs that ended without success are begun again.
        again: Whether a saved sweep may be applied that was applied before.
        approvals: Whose signatures were asked for and count; for the journal.
        file: How a saved sweep's file was named, for messages.
    """

    only: frozenset[str] | None = None
    max_parallel: int | None = None
    saved: bool = False
    retry: bool = False
    again: bool = False
    approvals: tuple[SeenApproval, ...] = ()
    file: str = "sweep.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepOutcome:
    """How a sweep ended."""

    run: SweepRun
    folder: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Where the runs of a sweep are carried out."""

    project_root: Path
    target: Target
    environ: Mapping[str, str]
    allow_paths: Sequence[Path]
    listeners: SweepListeners
    commands: LocalCommands | None = None


async def execute_sweep(  # noqa: PLR0913 - each is something else that only the caller knows
    sweep_file: SweepFile,
    *,
    project_root: Path,
    target: Target,
    environ: Mapping[str, str],
    wishes: SweepWishes | None = None,
    interrupts: Interrupts | None = None,
    listeners: SweepListeners | None = None,
    allow_paths: Sequence[Path] = (),
    commands: LocalCommands | None = None,
) -> SweepOutcome:
    """Carry out the runs of a sweep; each is held against the project when it begins.

    Args:
        project_root: Every local path of the plans is below it.
        environ: Source of `env` secrets and of who we are.
        wishes: What the command line says, and whether the sweep is from a file.
        commands: The leave to run the plans' own commands on this machine, if somebody gave it.

    Raises:
        InvalidInput: They have some, and nobody allowed that; or a saved sweep's secrets are missing.
        PlanRefused: The file was applied already, or the project is not as it was planned.
        CloudError: The API that a saved sweep's prices are from cannot be reached.
        AccountError: It refused the key.
        OSError: The sweep's folder cannot be made or written.
        JournalError: Its journal cannot.
    """
    wishes, listeners = wishes or SweepWishes(), listeners or SweepListeners()
    clock = SystemClock()
    refuse_commands([one.plan for one in sweep_file.shards], commands)
    root = await asyncio.to_thread(project_root.resolve)
    if wishes.saved:
        if not wishes.again:
            refuse_used(sweep_file.plan_id, root, file=wishes.file)
        chosen = _chosen(sweep_file, wishes)
        await refuse_stale(chosen, root, target=target, environ=environ, allow_paths=allow_paths)
        allowed = project_at(root, sweep_file.first.plan.job.file, allow_paths).allowed
        here = Here(project_root=root, environ=environ, allowed=allowed, commands=commands)
        await refuse_unready([one.plan for one in chosen], here)
        use_up(sweep_file.plan_id, root, clock, again=wishes.again, file=wishes.file)
    folder = claim_sweep_folder(root, clock.now()).path
    write_atomic(folder / SWEEP_NAME, dumps(sweep_file))
    if wishes.saved:
        note_plan_use(root, sweep_file.plan_id, utc_stamp(clock.now()), folder)
    world = World(
        project_root=root,
        target=target,
        environ=environ,
        allow_paths=allow_paths,
        listeners=listeners,
        commands=commands,
    )
    return await continue_sweep(
        sweep_file, folder, world=world, wishes=wishes, interrupts=interrupts or Interrupts()
    )


async def continue_sweep(
    sweep_file: SweepFile,
    folder: Path,
    *,
    world: World,
    wishes: SweepWishes,
    interrupts: Interrupts,
) -> SweepOutcome:
    """Carry out what is left to do of the sweep in `folder`; its journal says what that is.

    Raises:
        OSError: The sweep's folder cannot be written.
        JournalError: Its journal cannot, or another process carries the sweep out.
    """
    clock = SystemClock()
    matrix = shard(sweep_file.first)
    names = [shard(one).name for one in sweep_file.shards]
    keeper = _Keeper(sweep_file=sweep_file, folder=folder, names=names)
    journal = Journal(
        folder,
        masker=Masker([world.target.api_key]),
        now=clock.now,
        sinks=(*world.listeners.sinks, keeper.event),
    )
    keeper.journal = journal
    chosen = _chosen(sweep_file, wishes)
    try:
        world.listeners.opened(folder)
        journal.write(
            "sweep_started",
            job_name=sweep_file.first.plan.job.name,
            plan_hash=sweep_file.plan_hash,
            plan_id=sweep_file.plan_id,
            shards=len(sweep_file.shards),
            only=None if wishes.only is None else sorted(wishes.only),
            max_parallel=wishes.max_parallel,
            saved=wishes.saved,
            tool_version=__version__,
            cloud=world.target.label,
            api_url=world.target.api_url,
            owner=owner_id(world.environ),
            pid=os.getpid(),
        )
        for one in wishes.approvals:
            journal.write("plan_approved", principals=one.who, key=one.key, expires=one.expires)
        if wishes.retry:
            _queue_failed(journal, names, {shard(one).name for one in chosen})
        lock = RunLock.take(folder, owner=owner_id(world.environ), now=clock.now())
        if wishes.retry:
            answered(folder)  # what was asked of the earlier try
        cancelled = asked(folder) in {"cancel", "hurry"}
        interrupts.undoing = cancelled
        sweep = Sweep(
            shards=chosen,
            all_names=names,
            begin=_beginner(world),
            resume=_resumer(world),
            journal=journal,
            clock=clock,
            project_root=world.project_root,
            max_parallel=parallel(sweep_file.shards, wishes.max_parallel),
            fail_fast=matrix.fail_fast,
            cap_usd=matrix.cap_usd,
            interrupts=interrupts,
            cancelled=cancelled,
        )
        async with attending(lock, interrupts, clock):
            run = await sweep.run()
        if cancelled:
            answered(folder)
        return SweepOutcome(run=run, folder=folder)
    finally:
        with contextlib.suppress(JournalError):
            journal.close()


def _chosen(sweep_file: SweepFile, wishes: SweepWishes) -> list[PlanFile]:
    only = wishes.only
    return [one for one in sweep_file.shards if only is None or shard(one).name in only]


def _queue_failed(journal: Journal, names: Sequence[str], chosen: set[str]) -> None:
    """Let those of `chosen` wait again that ended without success; a leaked pod is not forgotten."""
    for name, one in fold_sweep(journal.events, names).shards.items():
        if name in chosen and one.over and one.state not in {"SUCCEEDED", "LEAKED"}:
            journal.write("shard_queued", shard=name, cause="retry")


@dataclass(kw_only=True, slots=True)
class _Keeper:
    """Keeps the sweep's manifest true: written anew whenever a run has ended."""

    sweep_file: SweepFile
    folder: Path
    names: Sequence[str]
    journal: Journal | None = None

    def event(self, event: Event) -> None:
        """Write the manifest when this event changes what it says."""
        if event.event in {"shard_ended", "shard_skipped", "sweep_ended"} and self.journal:
            self.write(fold_sweep(self.journal.events, self.names))

    def write(self, run: SweepRun) -> None:
        """Write it.

        Raises:
            OSError: It cannot be written.
        """
        first = self.sweep_file.first
        data = sweep_manifest(
            run,
            plan_hash=self.sweep_file.plan_hash,
            plan_id=self.sweep_file.plan_id,
            job_name=first.plan.job.name,
            values={shard(one).name: shard(one).values for one in self.sweep_file.shards},
            written_at=utc_stamp(time.time()),
            tool_version=__version__,
        )
        write_atomic(self.folder / SWEEP_MANIFEST_NAME, dump_json(data))


@dataclass(slots=True)
class _Seen:
    """A run as its events told it: what is left where it breaks without an outcome."""

    run: Run = field(default_factory=Run)

    def event(self, event: Event) -> None:
        """Fold one more event."""
        self.run = step(self.run, event)


def _beginner(world: World) -> Begin:
    async def begin(plan_file: PlanFile, interrupts: Interrupts, opened: Opened) -> ShardEnd:
        own, seen = world.listeners.of_run(plan_file, interrupts), _Seen()

        def both(folder: Path, run_id: str) -> None:
            opened(folder)
            own.opened(folder, run_id)

        work = execute(
            plan_file,
            project_root=world.project_root,
            target=world.target,
            environ=world.environ,
            interrupts=interrupts,
            listeners=Listeners(progress=own.progress, sinks=(seen.event, *own.sinks), opened=both),
            allow_paths=world.allow_paths,
            commands=world.commands,
        )
        return await _ended(work, seen, plan_file.plan)

    return begin


def _resumer(world: World) -> Resume:
    begin = _beginner(world)

    async def take_up(
        plan_file: PlanFile, run_dir: str, interrupts: Interrupts, opened: Opened
    ) -> ShardEnd:
        folder = world.project_root / run_dir
        if not any(one.event == "run_started" for one in read_events(folder / JOURNAL_NAME)):
            # Ended before its first word: nothing was asked for there.
            return await begin(plan_file, interrupts, opened)
        own, seen = world.listeners.of_run(plan_file, interrupts), _Seen()
        begun = await asyncio.to_thread(read_begun, folder)
        seen.run = begun.run
        work = resume(
            begun,
            project_root=world.project_root,
            target=world.target,
            environ=world.environ,
            interrupts=interrupts,
            listeners=Listeners(
                progress=own.progress, sinks=(seen.event, *own.sinks), opened=own.opened
            ),
            commands=world.commands,
        )
        return await _ended(work, seen, plan_file.plan)

    return take_up


async def _ended(work: Coroutine[Any, Any, Outcome], seen: _Seen, plan: Plan) -> ShardEnd:
    """Return how a run ended; one that broke outside of its engine may have left pods."""
    try:
        outcome = await work
    except ManifestUnwritten as error:
        return _end(error.run, error, plan)
    except Kept as error:
        # Its pod is stopped, and told of; `resume` of the run tries again.
        return _end(replace(seen.run, state=RunState.KEPT), error, plan)
    except RunpodDeployError as error:
        if not _left(seen.run):
            raise
        return _end(replace(seen.run, state=RunState.LEAKED), error, plan)
    return _end(outcome.run, outcome.failure, plan)


def _end(run: Run, failure: BaseException | None, plan: Plan) -> ShardEnd:
    assumed = plan.budget.assumed_hourly_rate_usd
    return ShardEnd(
        state=run.state.value,
        cause=None if failure is None else cause_of(failure),
        cost_usd=accrued_usd(run, utc_stamp(time.time()), assumed, disks_of(plan)),
        failure=failure,
    )


def _left(run: Run) -> bool:
    return any(pod.status not in {"gone", "refused"} for pod in run.pods.values())
