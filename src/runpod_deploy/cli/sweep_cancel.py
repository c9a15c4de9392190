"""`cancel` of a sweep: asks who carries it on, else takes its runs up again for their end."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from runpod_deploy.cli.looking_on import LOOK_EVERY_SEC, Growing
from runpod_deploy.cli.sweep_status import SweepStatus, sweep_status
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.cli.views.sweep import PlainSweepView, SweepWatch
from runpod_deploy.cli.views.watch import shown
from runpod_deploy.errors import EXIT_OK, EXIT_SIGINT, Kept, Leaked
from runpod_deploy.forensics.sweeps import read_sweep
from runpod_deploy.record.event_lines import parse_event
from runpod_deploy.record.journal import JOURNAL_NAME, utc_stamp
from runpod_deploy.record.run_lock import Holder, living_holder
from runpod_deploy.record.run_request import ask, asked
from runpod_deploy.record.sweep import step_sweep

_SOFT = "end every run, bring home what there is, and release the pods"
_HARD = "release all pods at once, without what is still on them"


def cancel_sweep(
    folder: Path, terminal: Terminal, *, at_once: bool, allow_commands: bool, as_json: bool
) -> int:
    """End the runs of a sweep that go on; no other begins. Returns the exit status."""
    folder = folder.resolve()
    holder = living_holder(folder, time.time())
    if holder is None and not sweep_status(folder, time.time()).goes_on:
        terminal.say("There is nothing to cancel: no run of this sweep goes on.")
        return _status(sweep_status(folder, time.time()), terminal)
    while holder is not None:
        _ask(folder, holder, terminal, at_once=at_once)
        if not _watch(folder, terminal):
            terminal.say("It was asked to end, and goes on doing so.")
            return EXIT_SIGINT
        holder = living_holder(folder, time.time())
    after = sweep_status(folder, time.time())
    if after.goes_on:
        from runpod_deploy.cli.sweep_resume import resume_sweep  # noqa: PLC0415 - the whole executor

        what = "hurry" if at_once else "cancel"
        ask(folder, what, by=_me(), at=utc_stamp(time.time()))
        terminal.say(
            f"Nobody carries this sweep on, so it is ended from here: {_HARD if at_once else _SOFT}."
        )
        status = resume_sweep(folder, terminal, allow_commands=allow_commands, as_json=as_json)
        after = sweep_status(folder, time.time())
        if after.goes_on:
            return status
    return _status(after, terminal)


def _ask(folder: Path, holder: Holder, terminal: Terminal, *, at_once: bool) -> None:
    """Leave word for the executor; what was asked for once already is asked for at once."""
    again = at_once or asked(folder) in {"cancel", "hurry"}
    ask(folder, "hurry" if again else "cancel", by=_me(), at=utc_stamp(time.time()))
    terminal.say(f"Asked {holder.named(time.time())} to {_HARD if again else _SOFT}.")


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _watch(folder: Path, terminal: Terminal) -> bool:
    """Show how the executor ends the sweep; False when the watching was ended before."""
    record = read_sweep(folder)
    watch = SweepWatch(sweep=record.run, folder=folder)
    view = PlainSweepView(terminal, watch, write=terminal.print)
    journal = Growing(folder / JOURNAL_NAME)
    try:
        while True:
            # Asked before the look: what is written until then is seen.
            alive = living_holder(folder, time.time()) is not None
            for lines in journal.new(whole_lines=True):
                for event in filter(None, map(parse_event, lines.splitlines())):
                    watch.sweep = step_sweep(watch.sweep, event)
                    view.event(event)
            if not alive:
                return True
            time.sleep(LOOK_EVERY_SEC)
    except KeyboardInterrupt:
        return False


def _status(status: SweepStatus, terminal: Terminal) -> int:
    """Return the exit status for a sweep that is over: only pods that are left count."""
    left = [one for one in status.runs.values() if one.pods_left]
    for one in left:
        terminal.say(f"A pod is left. To end it:\n  runpod-deploy cleanup {shown(one.folder)}")
    if any(one.run.leaked for one in left):
        return Leaked.exit_code
    return Kept.exit_code if left else EXIT_OK
