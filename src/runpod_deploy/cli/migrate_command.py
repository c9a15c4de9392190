"""`migrate`: a file of version 2 written in version 3, with its comments and in its order."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import Config, Job, Quiet, Verbose, one_file
from runpod_deploy.cli.terminal import open_terminal


def migrate_command(
    job: Job = None,
    config: Config = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write the new file there.", show_default=False
        ),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Print the difference instead of the file.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a version 2 job file in version 3: the same job, comments and order kept."""
    from runpod_deploy.schema.load import read_job_file  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.schema.v2.migrate import migrate  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    path = one_file(job, config, command="migrate")
    raw = read_job_file(path)
    migration = migrate(raw, display=str(path))
    terminal.findings(migration.notes)
    if out is not None:
        from runpod_deploy.cli.saving import save  # noqa: PLC0415 - only when writing

        save(out, migration.content)
        terminal.say(f"Written to {out}. To see what it does:\n  runpod-deploy plan {out}")
    if diff:
        terminal.data(_difference(raw, migration.content, str(path), str(out or path)).encode())
    elif out is None:
        terminal.data(migration.content)


def _difference(old: bytes, new: bytes, old_name: str, new_name: str) -> str:
    lines = difflib.unified_diff(
        old.decode().splitlines(keepends=True),
        new.decode().splitlines(keepends=True),
        old_name,
        new_name,
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
