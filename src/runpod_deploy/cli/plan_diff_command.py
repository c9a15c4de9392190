"""`plan diff`: what one saved plan does otherwise than another."""

from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import (
    DetailedExitcode,
    DocumentFormat,
    PlanFormat,
    Quiet,
    Verbose,
)
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import EXIT_CHANGED, EXIT_OK

_WHICH = "PLAN.json|SWEEP.json|RUN_DIR"


def plan_diff_command(
    before: Annotated[str, typer.Argument(metavar=_WHICH, help="A saved plan, or a run folder.")],
    after: Annotated[str, typer.Argument(metavar=_WHICH, help="What it is held against it.")],
    detailed_exitcode: DetailedExitcode = False,
    output: PlanFormat = DocumentFormat.TEXT,
    scripts: Annotated[bool, typer.Option("--scripts", help="Show everything in full.")] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Show what the second plan does otherwise than the first."""
    from runpod_deploy.cli import comparing  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    words = comparing.called(Path(before))
    old = comparing.Other(plan_file=comparing.find_saved(before), words=words)
    same = comparing.show(old, comparing.find_saved(after), terminal, output, full=scripts)
    return EXIT_CHANGED if detailed_exitcode and not same else EXIT_OK
