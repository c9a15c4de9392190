"""`estimate`: what a run of a job would cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runpod_deploy.cli.arguments import (
    AllowPath,
    Cloud,
    Config,
    Job,
    Quiet,
    Refresh,
    Var,
    VarsFile,
    Verbose,
    one_file,
)
from runpod_deploy.cli.catalog_commands import AsJson
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, StockOut

if TYPE_CHECKING:
    from runpod_deploy.compiler.plan import PlanFile


def estimate_command(
    job: Job = None,
    config: Config = None,
    cloud: Cloud = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Show what a run would cost: as usual, at its longest, and how long the cap lasts.

    Prices are those of the catalog now, for the candidate that apply would ask for first. Exit status
    3 when there is none.
    """
    from runpod_deploy.cli.market import open_market, seen_live  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.planning import prepare  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    path = one_file(job, config, command="estimate")
    values = read_variables(var or (), vars_file)
    planned = prepare(path, values, allow_path or (), None)
    terminal.findings(planned.diagnostics)
    market = open_market(cloud, terminal, refresh=refresh)
    live = seen_live(planned.plan_file, market, planned.project_root)
    (_print_json if as_json else _show)(live, terminal)
    made = live.observed.estimate
    return EXIT_OK if made is not None and made.candidate is not None else StockOut.exit_code


def _print_json(live: PlanFile, terminal: Terminal) -> None:
    from runpod_deploy.schema.plain import to_plain  # noqa: PLC0415 - not for `--help`

    document = {
        "job": live.plan.job.name,
        "plan_hash": live.plan_hash,
        "catalog": to_plain(live.observed.catalog),
        "estimate": to_plain(live.observed.estimate),
    }
    terminal.document(document)


def _show(live: PlanFile, terminal: Terminal) -> None:
    from runpod_deploy.cli.layout import labelled  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.market_words import estimate_rows, source  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.printable import line  # noqa: PLC0415 - likewise

    seen, made = live.observed.catalog, live.observed.estimate
    if seen is None or made is None:
        return
    style = terminal.out
    if not terminal.quiet:
        told = source(seen, time.time())
        terminal.print(f"{style.bold(line(live.plan.job.name))}  {style.dim(told)}")
    rows = estimate_rows(live.plan, seen, made)
    terminal.print("\n".join(labelled(rows, style, terminal.width)))
