"""`export pulumi`: a job as a Pulumi project that runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowPath,
    Config,
    Quiet,
    Var,
    VarsFile,
    Verbose,
    examples,
    one_file,
)
from runpod_deploy.cli.lean import LeanCommand
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import InvalidInput

commands = typer.Typer(
    help="Write a job in the form of another tool.", rich_markup_mode=None, no_args_is_help=True
)


@commands.command(
    "pulumi",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy export pulumi infrastructure job.yaml",
        "runpod-deploy export pulumi infrastructure plan.json",
    ),
)
def pulumi_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the program goes.")],
    what: Annotated[
        Path | None,
        typer.Argument(metavar="JOB.yaml|PLAN.json", help="The job.", show_default=False),
    ] = None,
    config: Config = None,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="Where a saved plan's project lies.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there already.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a Pulumi program that applies this plan once.

    It has the network volume of the plan, if there is one. Nothing is asked of RunPod. Running the
    program needs the extra `pulumi` and Pulumi's own command line.
    """
    from runpod_deploy.cli import planning  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.saving import save_all  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - likewise
    from runpod_deploy.templates.pulumi import project_files  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    path = one_file(what, config, command="export pulumi", what="plan or job file")
    values = read_variables(var or (), vars_file)
    planned = planning.prepare(path, values, allow_path or (), project)
    terminal.findings(planned.diagnostics)
    try:
        place = Path(os.path.relpath(planned.project_root, folder.resolve())).as_posix()
    except ValueError as error:  # another drive
        raise InvalidInput(
            f"{folder} and the project {planned.project_root} have no path between them"
        ) from error
    files = project_files(planned.plan_file, place)
    save_all(folder, files, force=force)
    for name in files:
        terminal.say(f"Written: {folder / name}")
    terminal.say(
        f"To carry it out, with `runpod-deploy[pulumi]` and Pulumi's command line installed:\n"
        f"  cd {folder} && pulumi up"
    )
