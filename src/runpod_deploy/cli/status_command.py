"""`status`: where a run stands, from its folder and, where it can be asked, from the cloud."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.history import AsJson, Root
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import RunpodDeployError

if TYPE_CHECKING:
    from runpod_deploy.cli.status_view import Clouded
    from runpod_deploy.forensics.status import RunStatus


def status_command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run folder, a run id, the folder of a sweep, or `last`, which is the default.",
            show_default=False,
        ),
    ] = "last",
    root: Root = None,
    lines: Annotated[
        int,
        typer.Option("--lines", "-n", metavar="N", help="How many lines of the log to show."),
    ] = 5,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the cloud about the pods.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Tell where a run, or a sweep, stands: its step, its pod, its cost, its deadlines, its last lines."""
    from runpod_deploy.cli.status_view import as_data, last_lines, render  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.find import find_run, runs_above  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.status import read_status  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.sweeps import sweep_at  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    sweep = sweep_at(run, runs_above(root if root is not None else Path()))
    if sweep is not None:
        from runpod_deploy.cli.sweep_status import show_sweep  # noqa: PLC0415 - sweeps only

        show_sweep(sweep, terminal, as_json=as_json)
        return
    now = time.time()
    folder = find_run(run, root if root is not None else Path())
    status = read_status(folder, now)
    seen = _cloud(status, terminal, offline=offline)
    tail = last_lines(status, lines)
    if as_json:
        terminal.document(as_data(status, seen, tail, now))
    else:
        terminal.print(render(status, seen, tail, now, terminal))


def _cloud(status: RunStatus, terminal: Terminal, *, offline: bool) -> Clouded:
    """Return what the cloud says of the pods that the run may still have."""
    from runpod_deploy.cli.status_view import Clouded  # noqa: PLC0415 - not for `--help`

    if not status.pods_left:
        return Clouded(pods={})
    if offline:
        return Clouded(unasked="--offline")
    import asyncio  # noqa: PLC0415 - only when the cloud is asked

    from runpod_deploy.cli.run_cloud import target_of  # noqa: PLC0415 - likewise
    from runpod_deploy.executor.looking import look_for  # noqa: PLC0415 - likewise
    from runpod_deploy.executor.runpod.account import WholeAccount  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.status import names_alone  # noqa: PLC0415 - likewise

    async def look() -> Clouded:
        target = target_of(status.run, terminal.environ)
        cloud = WholeAccount(target.api_url, target.api_key, target.label)
        cloud.standing_alone(*names_alone(status))
        try:
            return Clouded(pods=await look_for(cloud, status.pods_left))
        finally:
            await cloud.close()

    try:
        return asyncio.run(look())
    except RunpodDeployError as error:
        return Clouded(unasked=error.message)
