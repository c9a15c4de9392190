"""`volume ls|create|resize|rm`: the account's network volumes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpod_deploy.cli.account import with_account
from runpod_deploy.cli.amounts import usd
from runpod_deploy.cli.arguments import Cloud, Quiet, Verbose, examples
from runpod_deploy.cli.layout import table
from runpod_deploy.cli.lean import LeanCommand
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.questions import says_yes
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.compiler.rates import volume_per_month
from runpod_deploy.errors import EXIT_OK, InvalidInput, JobFailed

if TYPE_CHECKING:
    from runpod_deploy.executor.network_volumes import Seen
    from runpod_deploy.executor.ports import Volume
    from runpod_deploy.executor.runpod.cloud import RunPodCloud

commands = typer.Typer(
    help="The account's network volumes: data that stay when pods go.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Size = Annotated[int, typer.Option("--size", metavar="GB", min=10, max=4096, help="Size in GB.")]
Which = Annotated[str, typer.Argument(metavar="VOLUME", help="Its id or name.")]


class Kind(StrEnum):
    """What a volume is made of."""

    STANDARD = "STANDARD"
    HIGH_PERFORMANCE = "HIGH_PERFORMANCE"


@commands.command("ls", cls=LeanCommand, epilog=examples("runpod-deploy volume ls --json"))
def ls_command(
    cloud: Cloud = None, as_json: AsJson = False, verbose: Verbose = False, quiet: Quiet = False
) -> None:
    """List them: where they are, what they cost, which pods have them."""
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    rows = with_account(cloud, terminal, _see_all)
    if as_json:
        terminal.document([_plain(row) for row in rows])
        return
    if not rows:
        terminal.print("no network volumes")
        return
    head = ("ID", "NAME", "GB", "TYPE", "WHERE", "A MONTH", "PODS")
    cells = [
        (
            row.volume.id,
            row.volume.name,
            f"{row.volume.size_gb:,}",
            row.volume.type or "",
            row.volume.datacenter,
            _price(row.volume),
            ", ".join(row.pods),
        )
        for row in rows
    ]
    for text in table(cells, terminal.out, head=head, right="llrllrl"):
        terminal.print(text)


@commands.command(
    "create",
    cls=LeanCommand,
    epilog=examples("runpod-deploy volume create imagenet --size 200 --datacenter EU-RO-1"),
)
def create_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    size: Size,
    datacenter: Annotated[
        str, typer.Option("--datacenter", metavar="ID", help="Where; it stays there.")
    ],
    kind: Annotated[
        Kind | None,
        typer.Option("--type", help="By default what the data center has.", show_default=False),
    ] = None,
    yes: Yes = False,
    cloud: Cloud = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Make one. It costs from now on, used or not."""
    from runpod_deploy.executor.network_volumes import Seen, make  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    cost = "" if kind is Kind.HIGH_PERFORMANCE else f" for {usd(volume_per_month(size))} a month"
    if not yes and not _asked(
        f"Make {line(name)}, {size} GB in {line(datacenter)}{cost}?", terminal
    ):
        return _nothing(terminal)

    async def work(owner: RunPodCloud) -> Volume:
        return await make(owner, name, size, datacenter, kind.value if kind else None)

    volume = with_account(cloud, terminal, work)
    if as_json:
        terminal.document(_plain(Seen(volume=volume, pods=())))
    else:
        terminal.print(volume.id)
        terminal.say(
            f"In a job file:\n  storage: {{mode: network_volume, volume_name: {volume.id}}}"
        )
    return EXIT_OK


@commands.command(
    "resize", cls=LeanCommand, epilog=examples("runpod-deploy volume resize imagenet --size 400")
)
def resize_command(
    which: Which,
    size: Size,
    yes: Yes = False,
    cloud: Cloud = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Let one grow; none ever shrinks."""
    from runpod_deploy.executor.network_volumes import grow, pick  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    [seen] = pick(with_account(cloud, terminal, _see_all), [which])
    before, after = seen.volume.size_gb, usd(volume_per_month(size))
    grows = size > before
    question = f"Let {_named(seen)} grow from {before} to {size} GB, then {after} a month?"
    if grows and not yes and not _asked(question, terminal):
        return _nothing(terminal)
    volume = with_account(cloud, terminal, lambda owner: grow(owner, seen, size))
    terminal.print(f"{volume.id}: {volume.size_gb} GB")
    return EXIT_OK


@commands.command("rm", cls=LeanCommand, epilog=examples("runpod-deploy volume rm old-data"))
def rm_command(
    which: Annotated[list[str], typer.Argument(metavar="VOLUME", help="Their ids or names.")],
    yes: Yes = False,
    cloud: Cloud = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Remove them, and what is on them. One that a pod has stays."""
    from runpod_deploy.executor.network_volumes import (  # noqa: PLC0415 - not for `--help`
        pick,
        refuse_in_use,
        remove,
    )

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    chosen = pick(with_account(cloud, terminal, _see_all), which)
    refuse_in_use(chosen)
    names = ", ".join(f"{_named(row)}, {row.volume.size_gb} GB" for row in chosen)
    if not yes and not _asked(f"Remove {names}, and all data on it?", terminal):
        return _nothing(terminal)

    async def work(owner: RunPodCloud) -> None:
        for row in chosen:
            await remove(owner, row)
            terminal.print(f"{row.volume.id}: {terminal.out.good('removed')}")

    with_account(cloud, terminal, work)
    return EXIT_OK


async def _see_all(owner: RunPodCloud) -> list[Seen]:
    from runpod_deploy.executor.network_volumes import see_all  # noqa: PLC0415 - not for `--help`

    return await see_all(owner)


def _named(seen: Seen) -> str:
    return f"{line(seen.volume.name)} ({seen.volume.id}, {seen.volume.datacenter})"


def _price(volume: Volume) -> str:
    """Return what a volume costs; RunPod publishes no price for the faster kind."""
    unknown = volume.type == Kind.HIGH_PERFORMANCE
    return "not known" if unknown else usd(volume_per_month(volume.size_gb))


def _plain(seen: Seen) -> dict[str, Any]:
    volume = seen.volume
    known = volume.type != Kind.HIGH_PERFORMANCE
    return {
        "id": volume.id,
        "name": volume.name,
        "size_gb": volume.size_gb,
        "type": volume.type,
        "datacenter_id": volume.datacenter,
        "usd_per_month": round(volume_per_month(volume.size_gb), 4) if known else None,
        "pods": list(seen.pods),
    }


def _asked(question: str, terminal: Terminal) -> bool:
    """Ask; only a yes is one.

    Raises:
        InvalidInput: There is nobody to ask.
    """
    if not terminal.asks:
        raise InvalidInput(
            "there is nobody to ask whether to do this", help="Say yes beforehand, with --yes."
        )
    return says_yes(question, terminal)


def _nothing(terminal: Terminal) -> int:
    terminal.say("Nothing was done.")
    return JobFailed.exit_code
