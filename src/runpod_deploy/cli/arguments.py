"""The arguments and flags that several commands share."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.target import CloudName
from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.schema.policy import Policy

Job = Annotated[
    Path | None, typer.Argument(metavar="JOB.yaml", help="The job file.", show_default=False)
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The job file, as a flag.", show_default=False
    ),
]
Var = Annotated[
    list[str] | None,
    typer.Option(
        "--var", metavar="NAME=VALUE", help="Set a variable; repeatable.", show_default=False
    ),
]
VarsFile = Annotated[
    Path | None,
    typer.Option(
        "--vars-file", metavar="FILE", help="Variables, as YAML or JSON.", show_default=False
    ),
]
AllowPath = Annotated[
    list[Path] | None,
    typer.Option(
        "--allow-path",
        metavar="DIR",
        help="Let the job file name paths in DIR, outside the project; repeatable.",
        show_default=False,
    ),
]
AllowCommands = Annotated[
    bool,
    typer.Option(
        "--allow-commands",
        help="Let the job run its own commands on this machine, for its secrets.",
    ),
]
Cloud = Annotated[
    CloudName | None,
    typer.Option(
        "--cloud",
        help="Where; by default RUNPOD_DEPLOY_CLOUD, else runpod.",
        show_default=False,
    ),
]
Refresh = Annotated[
    bool,
    typer.Option("--refresh", "--no-price-cache", help="Ask the catalog anew, whatever was kept."),
]
RequireSignature = Annotated[
    int | None,
    typer.Option(
        "--require-signature",
        metavar="N",
        help="Refuse a saved plan that fewer than N keys approved.",
        show_default=False,
    ),
]
AllowedSigners = Annotated[
    Path | None,
    typer.Option(
        "--allowed-signers",
        metavar="FILE",
        help="The keys that count, as in ssh-keygen(1).",
        show_default=False,
    ),
]
PolicyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="Refuse what breaks the rules in FILE; repeatable.",
        show_default=False,
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the last line.")
]


Node = Annotated[
    int,
    typer.Option(
        "--node",
        metavar="RANK",
        help="Of a cluster's nodes this one; by default the first, which is 0.",
        show_default=False,
    ),
]


class Format(StrEnum):
    """How a result is written."""

    TEXT = "text"
    JSON = "json"


OutputFormat = Annotated[Format, typer.Option("--format", help="For people, or for programs.")]


class DocumentFormat(StrEnum):
    """How a plan or a difference is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


PlanFormat = Annotated[
    DocumentFormat,
    typer.Option("--format", help="For a terminal, for programs, or for a pull request."),
]
DetailedExitcode = Annotated[
    bool,
    typer.Option("--detailed-exitcode", help="Exit with 2 when something differs, 0 when not."),
]


_USUAL = ("job.yaml", "job.yml")


def one_file(
    argument: Path | None, option: Path | None, *, command: str, what: str = "job file"
) -> Path:
    """Return the file that was named, by position or by flag.

    Args:
        command: The words that called it, for the message.
        what: What is to be named.

    Raises:
        InvalidInput: None was named, or two.
    """
    if argument is not None and option is not None:
        raise InvalidInput(f"two {what}s were named: {argument}, and {option} with --config")
    chosen = argument or option
    if chosen is None:
        raise InvalidInput(f"no {what} was named", help=_naming(command))
    return chosen


def _naming(command: str) -> str:
    """Return how a file is named, by the job file that lies here where there is one."""
    here = next((name for name in _USUAL if Path(name).is_file()), None)
    if here is None:
        return "Name it as an argument, or with --config FILE. To begin one:\n  runpod-deploy init"
    return f"Name the one that lies here:\n  runpod-deploy {command} {here}"


def policies_of(paths: Sequence[Path] | None) -> "tuple[Policy, ...]":
    """Return the policies of `--policy`; nothing is imported for none.

    Raises:
        InvalidInput: One of them cannot be used.
    """
    if not paths:
        return ()
    from runpod_deploy.cli.policing import read_policies  # noqa: PLC0415 - only with --policy

    return read_policies(paths)


def examples(*lines: str) -> str:
    """Return command lines as the end of a help text, kept as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def without_live(cloud: CloudName | None, *, refresh: bool) -> None:
    """Refuse flags that say nothing where nobody is asked.

    Raises:
        InvalidInput: One was given.
    """
    idle = "--cloud" if cloud is not None else "--refresh" if refresh else None
    if idle is not None:
        raise InvalidInput(
            f"{idle} goes with --live: without it nobody is asked", help="Add --live."
        )


Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="RUN|AXIS=VALUE",
        help="Of a sweep, only that run, or those with that value; repeatable.",
        show_default=False,
    ),
]
MaxParallel = Annotated[
    int | None,
    typer.Option(
        "--max-parallel",
        metavar="N",
        help="Of a sweep, runs under way at a time.",
        show_default=False,
        min=1,
    ),
]

RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Of a sweep's folder, begin again what did not succeed."),
]
