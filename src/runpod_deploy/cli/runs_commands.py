"""`ls-runs` and `compare-runs`: the runs of a project, and what differed between two."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import Quiet, Verbose
from runpod_deploy.cli.history import AsJson, Root, folders_in, how_to_go_on, plain, run_table
from runpod_deploy.cli.terminal import open_terminal
from runpod_deploy.errors import EXIT_OK, InvalidInput, JobFailed

ProjectRoot = Annotated[
    Path | None,
    typer.Option("--project-root", metavar="DIR", help="The same as --root.", show_default=False),
]


def ls_runs_command(
    root: Root = None,
    project_root: ProjectRoot = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", help="Only the newest N; 0 for all.")
    ] = 20,
    as_json: AsJson = False,
    print_run_dir: Annotated[
        bool, typer.Option("--print-run-dir", help="Print the run folders, and nothing else.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """List runs, the newest last."""
    from runpod_deploy.forensics.summary import iter_summaries  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    if as_json and print_run_dir:
        raise InvalidInput("--json and --print-run-dir exclude each other")
    if limit < 0:
        raise InvalidInput(f"--limit {limit} is below 0", help="0 lists all.")
    folders = folders_in(root or project_root)
    kept = folders[-limit:] if limit else folders
    if print_run_dir:
        with contextlib.suppress(BrokenPipeError):  # as of `ls-runs | head`
            for folder in kept:
                terminal.stream(str(folder))
        return
    runs = list(iter_summaries(kept))
    if as_json:
        terminal.document([plain(run) for run in runs])
        return
    terminal.print("\n".join(run_table(runs, terminal)) if runs else "no runs")
    if advice := how_to_go_on(runs, terminal):
        terminal.say("\n".join(advice))
    if len(kept) < len(folders):
        terminal.say(f"{len(folders) - len(kept)} older ones are not shown; --limit 0 shows all.")


def compare_runs_command(
    left: Annotated[str, typer.Argument(metavar="A", help="A run.", show_default=False)],
    right: Annotated[str, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    root: Root = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is the same in both.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Show what differed between two runs; exits 1 if either did not succeed."""
    from runpod_deploy.cli.compare_view import compare_lines  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.compare import compare  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.find import find_run  # noqa: PLC0415 - likewise
    from runpod_deploy.forensics.summary import summarise  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    place = root if root is not None else Path()
    a, b = find_run(left, place), find_run(right, place)
    rows = compare(a, b)
    if a.resolve() == b.resolve():
        terminal.alert(f"A and B are the same run, {a.name}: nothing can differ.")
    if as_json:
        terminal.document(
            {
                "left": str(a),
                "right": str(b),
                "rows": [
                    {
                        "section": row.section,
                        "name": row.name,
                        "left": row.left,
                        "right": row.right,
                        "same": row.same,
                    }
                    for row in rows
                ],
            }
        )
    else:
        shown = [row for row in rows if everything or not row.same]
        terminal.print("\n".join(compare_lines(a, b, shown, terminal)))
    ok = summarise(a).succeeded and summarise(b).succeeded
    return EXIT_OK if ok else JobFailed.exit_code
