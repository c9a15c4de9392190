"""`report`: one HTML page about a run, or about many, that needs nothing but a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.amounts import size
from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.history import Root, folders_in
from runpod_deploy.cli.saving import save, unnoticed
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import InvalidInput

PAGE = "report.html"


def report_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run folder, a run id, or `last`, which is the default.",
            show_default=False,
        ),
    ] = None,
    root: Root = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where the page goes; by default beside what it is about, below artifacts/runpod.",
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a page about a run, or with --root about all runs there; it loads nothing from elsewhere."""
    from runpod_deploy.forensics.find import find_run  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.report.page import run_page, runs_page  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    if run is None and root is None:
        run = "last"
    if run is None:
        folders = folders_in(root)
        if not folders:
            raise InvalidInput(f"there are no runs in {root}")
        place = folders[-1].parent
        page = runs_page(folders, f"Runs in {root.resolve().name if root is not None else ''}")
    else:
        place = find_run(run, root if root is not None else Path())
        page = run_page(place)
    content = page.encode()
    # In the working folder, the next run would stage it.
    out = out or place / PAGE
    with unnoticed(place):
        save(out, content)
    terminal.say(f"Page written to {out} ({size(len(content))})")
