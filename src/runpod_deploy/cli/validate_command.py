"""`validate`: are job files right, and if not, where and why."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowPath,
    Cloud,
    PolicyFiles,
    Quiet,
    Refresh,
    Var,
    VarsFile,
    Verbose,
    policies_of,
    without_live,
)
from runpod_deploy.cli.target import CloudName
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, InvalidInput, PlanRefused

if TYPE_CHECKING:
    from runpod_deploy.cli.live_checks import LiveChecks


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
            help="Job files, and folders whose job files are looked for; by default this folder.",
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
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask the cloud for stock, and the registry for the image."),
    ] = False,
    cloud: Cloud = None,
    refresh: Refresh = False,
    policy: PolicyFiles = None,
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
    asked = _live(cloud, terminal, live=live, refresh=refresh)
    values = read_variables(var or (), vars_file)
    choice = chosen([*(jobs or ()), *(config or ())])
    policies = policies_of(policy)
    checked = [
        check(path, values, allow_path or (), strict=strict, live=asked, policies=policies)
        for path in choice.jobs
    ]
    show(checked, choice, output.value, terminal)
    wrong = [one for one in checked if not one.ok]
    if wrong and all(one.refused for one in wrong):
        return PlanRefused.exit_code
    return InvalidInput.exit_code if wrong else EXIT_OK


def _live(
    cloud: CloudName | None, terminal: Terminal, *, live: bool, refresh: bool
) -> "LiveChecks | None":
    if not live:
        without_live(cloud, refresh=refresh)
        return None
    from runpod_deploy.cli.live_checks import LiveChecks  # noqa: PLC0415 - live only
    from runpod_deploy.cli.market import open_market  # noqa: PLC0415 - likewise

    return LiveChecks(market=open_market(cloud, terminal, refresh=refresh))
