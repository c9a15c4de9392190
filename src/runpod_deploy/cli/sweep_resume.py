"""`resume` of a sweep: the runs under way are taken up again, and the rest is begun."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Sequence
from pathlib import Path

from runpod_deploy.cli.leave import leave_again
from runpod_deploy.cli.planning import load_sweep
from runpod_deploy.cli.resume_commands import target_of
from runpod_deploy.cli.sweeping import SweepShow, watch_sweep
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.sweep import shard
from runpod_deploy.executor.sweep_again import as_begun, carry_on_sweep
from runpod_deploy.executor.sweep_run import (
    SweepListeners,
    SweepOutcome,
    SweepWishes,
    World,
)
from runpod_deploy.record.journal import JOURNAL_NAME, read_events
from runpod_deploy.record.sweep import SWEEP_NAME, fold_sweep, project_root_of_sweep
from runpod_deploy.record.tolerant import text
from runpod_deploy.schema.policy import Policy


def resume_sweep(
    folder: Path,
    terminal: Terminal,
    *,
    allow_paths: Sequence[Path] = (),
    allow_commands: bool = False,
    policies: Sequence[Policy] = (),
    as_json: bool = False,
    print_run_dir: bool = False,
) -> int:
    """Carry a sweep on to its end, watched, and return the exit status.

    Args:
        allow_paths: Folders outside of the project that plans of runs yet to begin may lead into.
        policies: What the plans of all runs that are not over must keep.

    Raises:
        InvalidInput: The folder does not tell where the sweep began.
        AccountError: There is no API key.
        JobFailed: The emulator that it began on is gone.
        PlanRefused: A plan breaks a rule; nothing was done.
    """
    folder = folder.resolve()
    sweep_file = load_sweep(folder / SWEEP_NAME)
    events = (one for one in read_events(folder / JOURNAL_NAME) if one.event == "sweep_started")
    started = next(events, None)
    cloud = None if started is None else text(started.fields, "cloud")
    api_url = None if started is None else text(started.fields, "api_url")
    if cloud is None or api_url is None:
        raise InvalidInput(
            f"{folder} cannot be carried on: its {JOURNAL_NAME} does not tell where the sweep began.",
            help="Nothing was rented there. Begin anew:\n"
            f"  runpod-deploy apply {folder / SWEEP_NAME} --again",
        )
    target = target_of(cloud, api_url, terminal.environ)

    if policies:
        from runpod_deploy.cli.policing import hold_again  # noqa: PLC0415 - only with --policy

        left = _left(sweep_file, folder)
        hold_again(policies, left, folder, target, terminal, ended_by="RUN")
    commands = leave_again(sweep_file.shards, terminal, given=allow_commands)

    def work(interrupts: Interrupts, listeners: SweepListeners) -> Awaitable[SweepOutcome]:
        world = World(
            project_root=project_root_of_sweep(folder),
            target=target,
            environ=os.environ,
            allow_paths=allow_paths,
            listeners=listeners,
            commands=commands,
        )
        return carry_on_sweep(
            sweep_file, folder, world=world, wishes=SweepWishes(), interrupts=interrupts
        )

    show = SweepShow(json=as_json, run_dir=print_run_dir)
    return watch_sweep(sweep_file, target, terminal, show, work)


def _left(sweep_file: SweepFile, folder: Path) -> list[PlanFile]:
    """Return the plans of the runs that are to be carried out and not over."""
    names = [shard(one).name for one in sweep_file.shards]
    events = list(read_events(folder / JOURNAL_NAME))
    known, only = fold_sweep(events, names).shards, as_begun(SweepWishes(), events).only
    return [
        one
        for one in sweep_file.shards
        if not known[shard(one).name].over and (only is None or shard(one).name in only)
    ]
