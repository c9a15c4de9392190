"""`schema`: write out a published JSON Schema."""

from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.saving import save
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import InvalidInput


def schema_command(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Which document.", show_default=True)
    ] = "job",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it there.", show_default=False),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Print a JSON Schema: for editors, and for other programs."""
    from runpod_deploy.schema.documents import SCHEMA_NAMES  # noqa: PLC0415 - looks into a folder
    from runpod_deploy.schema.hover import published_schema  # noqa: PLC0415 - likewise
    from runpod_deploy.schema.near_miss import near_miss  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    if name not in SCHEMA_NAMES:
        meant = near_miss(name, SCHEMA_NAMES)
        guess = f" Did you mean `{meant}`?" if meant else ""
        raise InvalidInput(
            f"there is no schema `{name}`.{guess}", help=f"There are: {', '.join(SCHEMA_NAMES)}."
        )
    document = published_schema(name)
    if out is None:
        terminal.data(document)
        return
    save(out, document)
    terminal.say(f"Schema written to {out}")
