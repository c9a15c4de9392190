"""`logs`: what a job printed, from the run folder, or from its pod where the run folder lags behind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import Node, Quiet, Verbose
from runpod_deploy.cli.history import Root
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, EXIT_SIGINT, InvalidInput, RunpodDeployError

if TYPE_CHECKING:
    from runpod_deploy.cli.log_printer import LogPrinter
    from runpod_deploy.forensics.status import RunStatus

LOOK_EVERY_SEC = 0.2
LINES_OF_CONFIG = 200


def logs_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run folder, a run id, or `last`, which is the default.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            "-f",
            help="Go on until the job has ended.",
            show_default=False,
        ),
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines",
            "-n",
            metavar="N",
            help="Only the last N lines.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="JOB.yaml",
            help="The newest run of this job file, followed from its last 200 lines on.",
            show_default=False,
        ),
    ] = None,
    node: Node = 0,
    root: Root = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Print a run's log, also while it runs and when this machine no longer carries it on."""
    from runpod_deploy.cli.log_printer import LogPrinter  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.find import find_run, newest_run_of  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    if lines is not None and lines < 0:
        raise InvalidInput(f"--lines is {lines}, and there are no fewer lines than none")
    if config is None:
        folder = find_run(run or "last", root if root is not None else Path())
    elif run is None and root is None:
        # As earlier releases did it.
        folder, follow = newest_run_of(config), follow is not False
        lines = LINES_OF_CONFIG if lines is None else lines
    else:
        raise InvalidInput(
            "--config names a run by its job file; it goes with neither RUN nor --root"
        )
    printer = LogPrinter(terminal, lines)
    try:
        if node:
            _print_node(folder, node, printer, terminal, follow=follow or False)
            return EXIT_OK
        _print(folder, printer, terminal, follow=follow or False)
    except BrokenPipeError:
        return EXIT_OK  # as of `logs | head`
    except KeyboardInterrupt:
        terminal.say("The run goes on.")
        return EXIT_SIGINT
    return EXIT_OK


def _print(folder: Path, printer: LogPrinter, terminal: Terminal, *, follow: bool) -> None:
    from runpod_deploy.forensics.log import log_of  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.status import read_status  # noqa: PLC0415 - likewise

    status = read_status(folder, time.time())
    if status.goes_on and status.executor is None and status.job == "running":
        if _from_pod(status, printer, terminal, follow=follow):
            return
        terminal.say(f"What follows is as much of the log as is here, in {folder}.")
    printer.file(log_of(folder))
    while follow and status.goes_on and status.executor is not None:
        if not log_of(folder).exists() and not printer.waits:
            printer.waits = True
            terminal.say(
                f"The job has not begun (step {status.step}); its log comes as soon as it does."
            )
        time.sleep(LOOK_EVERY_SEC)
        # Looked at before the file is read: what the run wrote until then is in it.
        status = read_status(folder, time.time()) if printer.is_time() else status
        printer.file(log_of(folder))
    if follow and status.goes_on and status.job == "running" and status.executor is None:
        terminal.say("Nobody carries the run on any more; its log is read on from the pod.")
        _from_pod(status, printer, terminal, follow=True)
    printer.end()
    if not printer.printed:
        _why_nothing(status, terminal)


def _print_node(
    folder: Path, node: int, printer: LogPrinter, terminal: Terminal, *, follow: bool
) -> None:
    """Print the log of a node that is not the first, as far as it is in the run folder."""
    from runpod_deploy.forensics.status import read_status  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.nodes import node_folder, pod_of_node  # noqa: PLC0415 - likewise

    pod_of_node(folder, node)
    log = node_folder(folder, node) / "run.log"
    printer.file(log)
    status = read_status(folder, time.time())
    while follow and status.goes_on and status.executor is not None:
        time.sleep(LOOK_EVERY_SEC)
        status = read_status(folder, time.time()) if printer.is_time() else status
        printer.file(log)
    printer.end()
    if status.goes_on and status.executor is None:
        terminal.say("Nobody carries the run on; what the node wrote since is brought by `resume`.")
    elif not printer.printed:
        _why_nothing(status, terminal)


def _why_nothing(status: RunStatus, terminal: Terminal) -> None:
    if status.goes_on:
        terminal.say(f"The job has not begun: the run is at step {status.step}.")
    else:
        terminal.say(
            f"There is no log: the run ended ({status.state}) before its job printed anything."
        )


def _from_pod(status: RunStatus, printer: LogPrinter, terminal: Terminal, *, follow: bool) -> bool:
    """Print the log from the pod; False when that cannot be done, which has been said.

    Raises:
        RunpodDeployError: It broke off in the middle.
    """
    import asyncio  # noqa: PLC0415 - only when the pod is asked

    from runpod_deploy.cli.pod_log import print_pod_log  # noqa: PLC0415 - likewise

    try:
        asyncio.run(print_pod_log(status, printer, terminal, follow=follow))
    except RunpodDeployError as error:
        if printer.printed:
            raise
        from runpod_deploy.cli.printable import block  # noqa: PLC0415 - only when needed

        terminal.alert(f"The log cannot be read from the pod: {block(error.message)}")
        return False
    return True
