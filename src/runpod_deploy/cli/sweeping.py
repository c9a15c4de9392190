"""Carries a sweep out with somebody watching: view, signals, summary, exit status."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runpod_deploy.cli import exits
from runpod_deploy.cli.failures import report
from runpod_deploy.cli.planning import PlannedSweep
from runpod_deploy.cli.printable import json_line
from runpod_deploy.cli.signals import SignalDesk
from runpod_deploy.cli.target import CloudName
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.unhurried import unhurried
from runpod_deploy.cli.views.sweep import PlainSweepView, SweepWatch
from runpod_deploy.cli.views.sweep_end import after, headline, shard_lines
from runpod_deploy.cli.views.sweep_live import LiveSweepView
from runpod_deploy.cli.views.sweep_question import SweepQuestion
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import EXIT_OK, EXIT_SIGINT, EXIT_SIGTERM, JobFailed
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.local_commands import LocalCommands
from runpod_deploy.executor.run import Listeners, Target
from runpod_deploy.executor.sweep import shard
from runpod_deploy.executor.sweep_again import carry_on_sweep
from runpod_deploy.executor.sweep_run import (
    SweepListeners,
    SweepOutcome,
    SweepWishes,
    World,
    execute_sweep,
)
from runpod_deploy.record.events import Event
from runpod_deploy.record.journal import JOURNAL_NAME, read_events
from runpod_deploy.record.run import fold
from runpod_deploy.record.sweep import SweepRun, fold_sweep, project_root_of_sweep, step_sweep

Work = Callable[[Interrupts, SweepListeners], Awaitable[SweepOutcome]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepShow:
    """How a sweep is shown: events as JSON lines, or the sweep's folder alone on stdout."""

    json: bool = False
    run_dir: bool = False


def apply_sweep(
    planned: PlannedSweep,
    target: Target,
    terminal: Terminal,
    show: SweepShow,
    commands: LocalCommands | None = None,
) -> int:
    """Carry a sweep out and return the exit status; everything there is to say has been said."""
    wishes = SweepWishes(
        only=planned.only,
        max_parallel=planned.max_parallel,
        saved=planned.saved,
        again=planned.again,
        approvals=planned.approvals,
        file=planned.file,
    )

    def work(interrupts: Interrupts, listeners: SweepListeners) -> Awaitable[SweepOutcome]:
        if planned.folder is not None:
            return carry_on_sweep(
                planned.sweep_file,
                planned.folder,
                world=World(
                    project_root=planned.project_root,
                    target=target,
                    environ=os.environ,
                    allow_paths=planned.allow_paths,
                    listeners=listeners,
                    commands=commands,
                ),
                wishes=replace(wishes, retry=True),
                interrupts=interrupts,
            )
        return execute_sweep(
            planned.sweep_file,
            project_root=planned.project_root,
            target=target,
            environ=os.environ,
            wishes=wishes,
            interrupts=interrupts,
            listeners=listeners,
            allow_paths=planned.allow_paths,
            commands=commands,
        )

    return watch_sweep(planned.sweep_file, target, terminal, show, work, only=planned.only)


def watch_sweep(
    sweep_file: SweepFile,
    target: Target,
    terminal: Terminal,
    show: SweepShow,
    work: Work,
    *,
    only: frozenset[str] | None = None,
) -> int:
    """Let a sweep work while somebody watches, and return the exit status.

    Args:
        only: Names of the runs that were asked for; None: all.
    """
    names = [shard(one).name for one in sweep_file.shards]
    watch = SweepWatch(
        sweep=fold_sweep((), names),
        only=only,
        emulated=target.label == CloudName.EMULATOR,
    )
    with unhurried(terminal, lossless=show.json) as patient:
        return _watch_sweep(watch, target, patient, show, work)


def _watch_sweep(
    watch: SweepWatch, target: Target, terminal: Terminal, show: SweepShow, work: Work
) -> int:
    interrupts = Interrupts()
    desk = _Desk(watch=watch, target=target, terminal=terminal, show=show)
    try:
        outcome = asyncio.run(desk.run(work, interrupts))
    except Exception as error:  # noqa: BLE001 - every end is told with the exit status it has
        desk.view.close()
        report(error, terminal)
        return exits.of_error(error)
    desk.view.close()
    status = _status(outcome.run, interrupts.signal)
    with contextlib.suppress(OSError):
        _tell(outcome, desk, status)
    return status


class _Desk:
    """Joins the sweep's events, those of its runs, the view and the signals."""

    def __init__(
        self, *, watch: SweepWatch, target: Target, terminal: Terminal, show: SweepShow
    ) -> None:
        self.watch = watch
        self.target = target
        self.terminal = terminal
        self.show = show
        write = terminal.alert if show.run_dir else terminal.print
        live = terminal.live and not terminal.quiet and not show.run_dir and not show.json
        self.view: LiveSweepView | PlainSweepView = (
            LiveSweepView(terminal, watch) if live else PlainSweepView(terminal, watch, write=write)
        )

    async def run(self, work: Work, interrupts: Interrupts) -> SweepOutcome:
        loop = asyncio.get_running_loop()
        picture = loop.create_task(self.view.live())
        interrupts.can_detach = True
        try:
            question = SweepQuestion(self.terminal, self.view, self.watch)
            ask = question if self.terminal.asks else None
            with SignalDesk(interrupts, ask).installed(loop):
                listeners = SweepListeners(
                    sinks=(self._event,), opened=self._opened, of_run=self._of_run
                )
                return await work(interrupts, listeners)
        finally:
            picture.cancel()
            await asyncio.gather(picture, return_exceptions=True)

    def _opened(self, folder: Path) -> None:
        self.watch.folder = folder
        # Of a sweep that is taken up again, what became of its runs before is known already.
        known = read_events(folder / JOURNAL_NAME)
        self.watch.sweep = fold_sweep(known, self.watch.sweep.shards)
        if self.show.run_dir:
            self.terminal.print(str(folder))
        if not self.show.json:
            self.view.opened(folder)

    def _event(self, event: Event) -> None:
        self.watch.sweep = step_sweep(self.watch.sweep, event)
        if self.show.json:
            self.terminal.print(json_line(event.line()))
        else:
            self.view.event(event)

    def _of_run(self, plan_file: PlanFile, mailbox: Interrupts) -> Listeners:
        name = shard(plan_file).name
        watch = Watch(plan_file=plan_file, target=self.target)
        self.watch.watches[name] = watch
        self.watch.mailboxes[name] = mailbox

        def told(event: Event) -> None:
            if self.show.json:
                self.terminal.print(json_line({"shard": name, **event.line()}))
            else:
                self.view.run_event(name, event)

        def opened(folder: Path, run_id: str) -> None:
            watch.opened(folder, run_id)
            # Of a run that is taken up again, its pods and its cost are known already.
            watch.run = fold(read_events(folder / JOURNAL_NAME))

        return Listeners(sinks=(watch.event, told), opened=opened)


def _status(run: SweepRun, signal: str | None) -> int:
    if run.state == "SUCCEEDED":
        return EXIT_OK
    if run.state == "CANCELLED":
        return EXIT_SIGTERM if signal in {"SIGTERM", "SIGHUP"} else EXIT_SIGINT
    if run.state in exits.BY_STATE:
        return exits.BY_STATE[run.state]
    reasons = {one.reason for one in run.shards.values() if one.state == "FAILED"}
    alone = next(iter(reasons)) if len(reasons) == 1 else None
    return exits.OF_CAUSE.get(alone or "", JobFailed.exit_code)


def _tell(outcome: SweepOutcome, desk: _Desk, status: int) -> None:
    terminal = desk.terminal
    if desk.show.json:
        terminal.print(json_line(result(outcome, status)))
        return
    write = terminal.alert if desk.show.run_dir else terminal.print
    style = terminal.err if desk.show.run_dir else terminal.out
    head = headline(desk.watch.asked(outcome.run), emulated=desk.watch.emulated)
    if terminal.quiet:
        write(head)
        return
    shards = desk.watch.asked(outcome.run).shards.values()
    tone = style.good if outcome.run.state == "SUCCEEDED" else style.bad
    write("\n" + style.bold(tone(head)))
    root = project_root_of_sweep(outcome.folder)
    write("\n".join(shard_lines(shards, root, style, terminal.width)))
    write("\n".join(after(outcome, terminal.width)))


def result(outcome: SweepOutcome, status: int) -> dict[str, Any]:
    """Return the last line of `--json`."""
    run = outcome.run
    return {
        "result": "sweep",
        "state": run.state,
        "cause": run.cause,
        "exit_status": status,
        "cost_usd": round(run.cost_usd, 6),
        "folder": str(outcome.folder),
        "shards": {
            name: {"state": one.state, "reason": one.reason, "run_dir": one.run_dir}
            for name, one in run.shards.items()
        },
    }
