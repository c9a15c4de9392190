"""What the commands over past runs share: how a run is named, and how a run looks as a row."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpod_deploy.cli.amounts import duration, usd
from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.layout import INDENT, table
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runpod_deploy.forensics.summary import RunSummary

_MOST_LEFT = 3

Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="DIR", help="A project, or a folder of run folders.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def folders_in(root: Path | None) -> list[Path]:
    """Return the run folders below `root`, by default below the project around the working folder.

    Raises:
        InvalidInput: There is no such folder, or it may not be read.
    """
    from runpod_deploy.forensics.find import runs_above  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.load import walk_run_dirs  # noqa: PLC0415 - likewise

    if root is not None and not root.is_dir():
        raise InvalidInput(f"{root} is not a folder")
    try:
        return walk_run_dirs(root if root is not None else runs_above(Path()))
    except OSError as error:
        raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}") from error


def plain(run: RunSummary) -> dict[str, Any]:
    """Return a run as JSON-like data; the folder is called `run_dir`."""
    from runpod_deploy.schema.plain import to_plain  # noqa: PLC0415 - only for `--json`

    data = to_plain(run)
    folder = data.pop("folder")
    return {"run_dir": str(folder), **data}


def run_table(runs: Sequence[RunSummary], terminal: Terminal) -> list[str]:
    """Return one line for each run, the columns that matter less clipped to the terminal's width."""
    head = ["RUN", "JOB", "STATE", "GPU", "TIME", "COST"]
    rows = [
        [
            run.folder.name,
            run.job_name or "?",
            f"{run.state} (lost)" if is_lost(run) else run.state,
            _gpu(run),
            "" if run.wall_time_sec is None else duration(run.wall_time_sec),
            cost(run),
        ]
        for run in runs
    ]
    _clip(rows, head, 1, terminal.width)
    _clip(rows, head, 3, terminal.width)
    _clip(rows, head, 0, terminal.width)
    lines = table(rows, terminal.out, head=head, right="....rr")
    tones = {True: terminal.out.good, False: terminal.out.bad}
    styled = [
        text.replace(f"  {run.state}", f"  {tones[run.succeeded](run.state)}", 1)
        for text, run in zip(lines[1:], runs, strict=True)
    ]
    return [lines[0], *styled]


def is_lost(run: RunSummary) -> bool:
    """Return whether the executor of a run is gone, and nobody meant it to be."""
    return run.carried_on is False and run.state != "DETACHED"


def how_to_go_on(runs: Sequence[RunSummary], terminal: Terminal) -> list[str]:
    """Return what is to be done about runs that nobody carries on; the newest of them by name."""
    from runpod_deploy.cli.views.watch import shown  # noqa: PLC0415 - not for `--help`

    left = [run for run in runs if run.carried_on is False]
    told: list[str] = []
    for run in left[: -_MOST_LEFT - 1 : -1]:
        folder = shlex.quote(line(shown(run.folder)))
        if is_lost(run):
            head = (
                f"The executor of {line(run.folder.name)} is gone; a pod of it may go on costing."
            )
            told += [terminal.err.warn(head), f"  runpod-deploy resume {folder}"]
        else:
            told += [
                f"{line(run.folder.name)} goes on without you{_bills(run)}; its results wait for:",
                f"  runpod-deploy attach {folder}",
            ]
    if len(left) > _MOST_LEFT:
        told.append(f"So do {len(left) - _MOST_LEFT} older ones.")
    return told


def _bills(run: RunSummary) -> str:
    if run.price_per_hour_usd is None:
        return ", and its pod is billed"
    return f", and its pod is billed {usd(run.price_per_hour_usd)}/h, {cost(run)} so far"


def cost(run: RunSummary) -> str:
    """Return what a run cost, and that it was no real money where it was none."""
    if run.cost_usd is None:
        return "?"
    return usd(run.cost_usd) + (" em." if run.cloud == "emulator" else "")


def _gpu(run: RunSummary) -> str:
    return (run.gpus or "-").replace("NVIDIA ", "").replace("GeForce ", "")


def _clip(rows: list[list[str]], head: list[str], column: int, width: int) -> None:
    """Shorten one column as far as the table needs it, and never below its head and a few letters."""
    every = [head, *rows]
    widths = [max(cells(line(row[one])) for row in every) for one in range(len(head))]
    room = width - len(INDENT) * len(head) - (sum(widths) - widths[column])
    most = max(room, 8, cells(head[column]))
    for row in rows:
        text = line(row[column])
        if cells(text) > most:
            while cells(text) > most - 1:
                text = text[:-1]
            row[column] = text + "…"
