"""Carries a plan out with somebody watching: view, signals, summary, exit status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from runpod_deploy.cli import exits
from runpod_deploy.cli.failures import report
from runpod_deploy.cli.planning import Planned
from runpod_deploy.cli.printable import json_line
from runpod_deploy.cli.questions import InterruptQuestion
from runpod_deploy.cli.signals import SignalDesk
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.unhurried import unhurried
from runpod_deploy.cli.views import summary
from runpod_deploy.cli.views.json_lines import JsonView
from runpod_deploy.cli.views.log_text import LogText
from runpod_deploy.cli.views.plain import PlainView
from runpod_deploy.cli.views.view import Guarded, View
from runpod_deploy.cli.views.watch import Watch
from runpod_deploy.errors import Leaked
from runpod_deploy.executor.endings import Detached, TakenOver
from runpod_deploy.executor.interrupts import Interrupts
from runpod_deploy.executor.local_commands import LocalCommands
from runpod_deploy.executor.run import (
    Listeners,
    ManifestUnwritten,
    Outcome,
    Saved,
    Target,
    execute,
)
from runpod_deploy.forensics.log import log_of, offset_of_last
from runpod_deploy.record.journal import utc_stamp
from runpod_deploy.record.reading import open_regular
from runpod_deploy.record.run_lock import RunBusy
from runpod_deploy.record.run_request import ask as ask_for
from runpod_deploy.record.states import RunState

_TAIL_LINES, _TAIL_COLUMNS, _TAIL_BYTES = 5, 200, 16 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Show:
    """How a run is to be shown.

    Attributes:
        json: Events as JSON lines on stdout.
        run_dir: stdout gets the run folder and nothing else; the view goes to stderr.
        detach: Stop watching as soon as the job runs.
    """

    json: bool = False
    run_dir: bool = False
    detach: bool = False


Work = Callable[[Interrupts, Listeners], Awaitable[Outcome]]


def apply(
    planned: Planned,
    target: Target,
    terminal: Terminal,
    show: Show,
    commands: LocalCommands | None = None,
) -> int:
    """Carry a plan out and return the exit status; everything there is to say has been said."""

    async def work(interrupts: Interrupts, listeners: Listeners) -> Outcome:
        return await execute(
            planned.plan_file,
            project_root=planned.project_root,
            target=target,
            environ=os.environ,
            interrupts=interrupts,
            listeners=listeners,
            allow_paths=planned.allow_paths,
            saved=_saved(planned),
            commands=commands,
        )

    return carry(Watch(plan_file=planned.plan_file, target=target), work, terminal, show)


def carry(watch: Watch, work: Work, terminal: Terminal, show: Show) -> int:
    """Let a run work while somebody watches, and tell how it ended; returns the exit status."""
    # Whoever reads along may stop reading; the run's clock and its money do not.
    with unhurried(terminal, lossless=show.json) as patient:
        return _carry(watch, work, patient, show)


def _carry(watch: Watch, work: Work, terminal: Terminal, show: Show) -> int:
    view = Guarded(_view(terminal, show, watch))
    interrupts = Interrupts()
    failure: BaseException | None
    why: Mapping[str, Any] | None = None
    try:
        outcome = asyncio.run(_watched(work, watch, view, interrupts, terminal, show))
    except ManifestUnwritten as error:
        failure = error
        watch.run = error.run
        status = Leaked.exit_code if error.run.leaked else error.exit_code
    except Exception as error:  # noqa: BLE001 - every end is told with the exit status it has
        failure = error
        status = _status_without_outcome(error, watch)
    else:
        failure, why = outcome.failure, outcome.manifest.get("failure")
        # A journal on a full disk may have told less than is known.
        watch.run = outcome.run
        status = exits.of_run(outcome.run, failure, interrupts.signal)
    view.close()
    ending = summary.Ending(
        watch=watch,
        status=status,
        cost_usd=watch.spent_usd(utc_stamp(time.time())),
        now=utc_stamp(time.time()),
        signal=interrupts.signal,
        error=None if failure is None else str(failure) or None,
        failure=why,
        log_tail=_log_tail(watch),
    )
    with contextlib.suppress(OSError):
        # Whoever read along may be gone; the exit status says the rest.
        _tell(ending, failure, terminal, show)
        if view.problem is not None and not isinstance(view.problem, OSError):
            terminal.say(f"The view broke down, the run did not: {view.problem!r}")
    return status


def _log_tail(watch: Watch) -> tuple[str, ...]:
    """Return the last lines of a failed job's log: a live view that is gone no longer shows them."""
    ended = watch.run.job_end
    if watch.folder is None or watch.run.state is not RunState.FAILED or ended is None:
        return ()
    text = LogText(longest=_TAIL_COLUMNS)
    try:
        file = log_of(watch.folder)
        with open_regular(file) as stream:
            stream.seek(max(offset_of_last(file, _TAIL_LINES), file.stat().st_size - _TAIL_BYTES))
            lines = text.feed(stream.read(_TAIL_BYTES))
    except OSError:
        return ()
    return tuple(one for one in (*lines, *text.flush()) if one.strip())[-_TAIL_LINES:]


def _status_without_outcome(error: Exception, watch: Watch) -> int:
    """Return the exit status of a run that broke outside of its engine; pods may be left."""
    if watch.resumed or isinstance(error, TakenOver):
        return exits.of_error(error)  # the run is as it was, or the other executor's business
    return Leaked.exit_code if watch.left else exits.of_error(error)


async def _watched(
    work: Work,
    watch: Watch,
    view: Guarded,
    interrupts: Interrupts,
    terminal: Terminal,
    show: Show,
) -> Outcome:
    def opened(folder: Path, run_id: str) -> None:
        watch.opened(folder, run_id)
        if show.run_dir:
            with contextlib.suppress(OSError):
                terminal.print(str(folder))
        view.opened(folder, run_id)
        if show.detach:
            # Heard as soon as there is a job that can be left alone.
            ask_for(folder, "detach", by="--detach", at=utc_stamp(time.time()))

    ask = InterruptQuestion(terminal, view, watch) if terminal.asks else None
    loop = asyncio.get_running_loop()
    picture = loop.create_task(view.live())
    try:
        with SignalDesk(interrupts, ask).installed(loop):
            listeners = Listeners(progress=view, sinks=(watch.event, view.event), opened=opened)
            return await work(interrupts, listeners)
    finally:
        picture.cancel()
        await asyncio.gather(picture, return_exceptions=True)


def _saved(planned: Planned) -> Saved | None:
    if not planned.saved:
        return None
    return Saved(
        allow=planned.allow,
        again=planned.again,
        approvals=planned.approvals,
        file=planned.file,
    )


def _view(terminal: Terminal, show: Show, watch: Watch) -> View:
    if show.json:
        return JsonView(terminal, write=terminal.print)
    if terminal.live and not terminal.quiet and not show.run_dir:
        from runpod_deploy.cli.views.live import LiveView  # noqa: PLC0415 - rich comes with it

        return LiveView(terminal, watch)
    write = terminal.alert if show.run_dir else terminal.print
    return PlainView(terminal, now=lambda: datetime.now().astimezone(), write=write)


def _tell(
    ending: summary.Ending, failure: BaseException | None, terminal: Terminal, show: Show
) -> None:
    quiet_end = failure is None or isinstance(failure, (asyncio.CancelledError, Detached))
    if failure is not None and not quiet_end:
        report(failure, terminal)
    if isinstance(failure, (RunBusy, TakenOver)):
        return  # how the run stands is for the other executor to tell
    if show.json:
        terminal.print(json_line(summary.result(ending)))
    elif ending.watch.folder is not None:
        write = terminal.alert if show.run_dir else terminal.print
        style = terminal.err if show.run_dir else terminal.out
        if terminal.quiet:
            write(summary.headline(ending))
        else:
            write(summary.render(ending, style, width=terminal.width, unicode=terminal.unicode))
    left = summary.remaining(ending, terminal.err)
    if left is not None:
        terminal.alert(f"\n{left}")
