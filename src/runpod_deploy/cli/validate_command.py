"""`validate`: are job files right, and if not, where and why."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import AllowPath, Quiet, Var, VarsFile, Verbose
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import EXIT_OK, InvalidInput


class FindingsFormat(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def validate_command(
    jobs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="JOB.yaml|DIR...",
            help="Job files, and folders whose job files are looked for.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="A job file, as a flag.", show_default=False
        ),
    ] = None,
    output: Annotated[
        FindingsFormat,
        typer.Option(
            "--format",
            help="For people, for programs, as annotations of a GitHub workflow, or for code scanning.",
        ),
    ] = FindingsFormat.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Check job files: everything that is wrong, with its place.

    In a folder, a YAML file is a job file when its outermost keys say so: `schema_version` beside
    another section, `pod` and `run`, or `extends`. Names that begin with a dot are passed by.
    """
    from runpod_deploy.cli.validating import check, chosen, show  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    values = read_variables(var or (), vars_file)
    choice = chosen([*(jobs or ()), *(config or ())])
    checked = [check(path, values, allow_path or (), strict=strict) for path in choice.jobs]
    show(checked, choice, output.value, terminal)
    return EXIT_OK if all(one.ok for one in checked) else InvalidInput.exit_code
