"""`init`: begin a project with a commented job file, and what an editor and `make` need."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.terminal import open_terminal

SCHEMA_COPY = ".runpod-deploy/job.schema.json"
"""Where the job file's first line looks for the schema, relative to the job file."""

SAMPLE = ".py"
"""How a program that stands in for the user's own is named; it never replaces one that is there."""


class Template(StrEnum):
    """The starter jobs."""

    HELLO = "hello"
    TRAIN = "train"
    EVAL = "eval"
    SWEEP = "sweep"
    VOLUME = "volume"
    CLUSTER = "cluster"


def init_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The project's folder.", show_default=False)
    ] = Path(),
    template: Annotated[
        Template, typer.Option("--template", "-t", help="Which kind of job.")
    ] = Template.HELLO,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there already.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented job file, ready for an editor and for `plan`."""
    from runpod_deploy.cli.saving import save_all  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    files = _files(template)
    yours = [name for name in files if name.endswith(SAMPLE) and os.path.lexists(folder / name)]
    for name in yours:
        del files[name]
    save_all(folder, files, force=force)
    for name in files:
        terminal.say(f"Written: {folder / name}")
    for name in yours:
        terminal.say(f"Left as it is: {folder / name}")
    job = folder / "job.yaml"
    terminal.say(
        f"Edit {job}, then see what it would do, and rehearse it here for nothing:\n"
        f"  runpod-deploy plan {job}\n"
        f"  runpod-deploy apply {job} --cloud emulator"
    )


def _files(template: Template) -> dict[str, bytes]:
    from runpod_deploy.schema.hover import published_schema  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.templates.starter import starter_files  # noqa: PLC0415 - likewise

    return {**starter_files(template.value), SCHEMA_COPY: published_schema("job")}
