"""`cancel`: ends a run from elsewhere, by asking who carries it on, else by taking it over for its end."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.apply_commands import AsJson
from runpod_deploy.cli.arguments import AllowCommands, Quiet, Verbose
from runpod_deploy.cli.history import Root
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.resume_commands import Project, carry_on, shown_target
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, EXIT_SIGINT, JobFailed, Kept, Leaked

if TYPE_CHECKING:
    from runpod_deploy.record.run import Run
    from runpod_deploy.record.run_lock import Holder

_SOFT = "end the job, bring home what there is and release the pod"
_HARD = "release the pod at once, without what is still on it"


def cancel_command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run folder, a run id, the folder of a sweep, or `last`.",
            show_default=False,
        ),
    ],
    at_once: Annotated[
        bool, typer.Option("--now", help="Release the pod without bringing anything home.")
    ] = False,
    root: Root = None,
    project: Project = None,
    allow_commands: AllowCommands = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """End a run or a sweep from elsewhere; said again while it is ending, its pod is released at once.

    Exits with 0 once the run is over, however it came to that, with 7 or 8 where a pod is left.
    """
    from runpod_deploy.executor.left_over import left_over  # noqa: PLC0415 - the whole executor
    from runpod_deploy.executor.resuming import read_begun  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.find import find_run, runs_above  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.sweeps import sweep_at  # noqa: PLC0415 - likewise
    from runpod_deploy.record.run_lock import living_holder  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    place = root if root is not None else Path()
    sweep = sweep_at(run, runs_above(place))
    if sweep is not None:
        from runpod_deploy.cli.sweep_cancel import cancel_sweep  # noqa: PLC0415 - sweeps only

        return cancel_sweep(
            sweep, terminal, at_once=at_once, allow_commands=allow_commands, as_json=as_json
        )
    folder = find_run(run, place)
    begun = read_begun(folder)
    before = begun.run
    if before.state.final and not before.leaked and not left_over(begun.plan_file.plan, before):
        terminal.say(f"There is nothing to cancel: the run has ended, {before.state}.")
        return _status(before, folder, terminal)
    holder = living_holder(folder, time.time())
    while holder is not None:
        _ask(folder, holder, terminal, at_once=at_once)
        if not _watch(folder, terminal, as_json=as_json):
            terminal.say("It was asked to end, and goes on doing so.")
            return EXIT_SIGINT
        after = read_begun(folder).run
        if after.state.final:
            return _status(after, folder, terminal)
        # It died over it, or was let go: somebody else has it now, or nobody, and then it is done here.
        holder = living_holder(folder, time.time())
    _ask_myself(folder, terminal, at_once=at_once)
    status = carry_on(folder, terminal, project, allow_commands=allow_commands, as_json=as_json)
    after = read_begun(folder).run
    return _status(after, folder, terminal) if after.state.final else status


def _ask(folder: Path, holder: Holder, terminal: Terminal, *, at_once: bool) -> None:
    """Leave word for the executor; what was asked for once already is asked for at once."""
    from runpod_deploy.record.journal import utc_stamp  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.run_request import ask, asked  # noqa: PLC0415 - likewise

    again = at_once or asked(folder) in {"cancel", "hurry"}
    ask(folder, "hurry" if again else "cancel", by=_me(), at=utc_stamp(time.time()))
    terminal.say(f"Asked {holder.named(time.time())} to {_HARD if again else _SOFT}.")


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _watch(folder: Path, terminal: Terminal, *, as_json: bool) -> bool:
    """Show how the executor ends the run; False when the watching was ended before."""
    from runpod_deploy.cli.looking_on import look_on  # noqa: PLC0415 - only beside an executor
    from runpod_deploy.executor.resuming import read_begun  # noqa: PLC0415 - the whole executor
    from runpod_deploy.record.run_lock import living_holder  # noqa: PLC0415 - not for `--help`

    begun = read_begun(folder)
    try:
        look_on(begun, shown_target(begun), terminal, as_json=as_json)
    except JobFailed:
        return True  # the executor is gone; what became of the run stands in its journal
    return living_holder(folder, time.time()) is None


def _ask_myself(folder: Path, terminal: Terminal, *, at_once: bool) -> None:
    """Leave word for the executor that this command is about to be."""
    from runpod_deploy.record.journal import utc_stamp  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.run_request import ask  # noqa: PLC0415 - likewise

    ask(folder, "hurry" if at_once else "cancel", by=_me(), at=utc_stamp(time.time()))
    terminal.say(
        f"Nobody carries this run on, so it is ended from here: {_HARD if at_once else _SOFT}."
    )


def _status(run: Run, folder: Path, terminal: Terminal) -> int:
    """Return the exit status for a run that is over: only what is left of it counts."""
    from runpod_deploy.cli.views.watch import shown  # noqa: PLC0415 - not for `--help`

    if not run.leaked and run.state.value != "KEPT":
        return EXIT_OK
    terminal.say(f"Its pod is left. To end it:\n  runpod-deploy cleanup {line(shown(folder))}")
    return Leaked.exit_code if run.leaked else Kept.exit_code
