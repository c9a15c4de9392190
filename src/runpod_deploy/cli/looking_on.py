"""Watches a run that another process carries on: reads what it writes, and touches nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.cli import exits
from runpod_deploy.cli.views.json_lines import JsonView
from runpod_deploy.cli.views.plain import PlainView
from runpod_deploy.cli.views.view import View
from runpod_deploy.cli.views.watch import Watch, shown
from runpod_deploy.errors import EXIT_OK, JobFailed
from runpod_deploy.record.event_lines import parse_event
from runpod_deploy.record.journal import JOURNAL_NAME
from runpod_deploy.record.run import RunState
from runpod_deploy.record.run_lock import living_holder

if TYPE_CHECKING:
    from runpod_deploy.cli.terminal import Terminal
    from runpod_deploy.executor.resuming import Begun
    from runpod_deploy.executor.run import Target

LOOK_EVERY_SEC = 0.3
LOG_NAME = "run.log"


def look_on(begun: Begun, target: Target, terminal: Terminal, *, as_json: bool) -> int:
    """Show what happens from here on until the run ends or is let go; Ctrl-C ends the watching only.

    Raises:
        JobFailed: The run failed, or its executor ended without leading it to an end.
    """
    watch = Watch(plan_file=begun.plan_file, target=target, run=begun.run, resumed=True)
    watch.opened(begun.folder, begun.run_id)
    view: View = (
        JsonView(terminal, write=terminal.print)
        if as_json
        else PlainView(terminal, now=lambda: datetime.now().astimezone(), write=terminal.print)
    )
    terminal.say("Another process carries this run on. Ctrl-C ends the watching, not the run.")
    try:
        _show(begun.folder, watch, view)
    except KeyboardInterrupt:
        terminal.say("The run goes on.")
        return EXIT_OK
    finally:
        view.close()
    state = watch.run.state
    if not state.final and state is not RunState.DETACHED:
        raise JobFailed(
            "The process that carried the run on has ended, and the run has not.",
            help=f"Carry it on:\n  runpod-deploy resume {shown(begun.folder)}",
        )
    terminal.say(f"{state.value}: {shown(begun.folder)}")
    failure = None if state is RunState.SUCCEEDED else JobFailed(f"The run is {state}.")
    return exits.of_run(watch.run, failure, None)


def _show(folder: Path, watch: Watch, view: View) -> None:
    journal = Growing(folder / JOURNAL_NAME)
    log = Growing(folder / LOG_NAME)
    while True:
        # Asked before the look: what is written until then is seen.
        alive = living_holder(folder, time.time()) is not None
        for text in log.new():
            view.output("run", text)
        for lines in journal.new(whole_lines=True):
            for raw in lines.splitlines():
                event = parse_event(raw)
                if event is not None:
                    watch.event(event)
                    view.event(event)
        if not alive:
            return
        time.sleep(LOOK_EVERY_SEC)


class Growing:
    """A file that others append to, read from its present end on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def new(self, *, whole_lines: bool = False) -> Iterator[bytes]:
        """Yield what came since the last time."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._at)
                piece = stream.read()
        except FileNotFoundError:
            return
        if whole_lines:
            piece = piece[: piece.rfind(b"\n") + 1]
        if piece:
            self._at += len(piece)
            yield piece
