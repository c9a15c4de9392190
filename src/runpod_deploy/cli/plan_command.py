"""`plan`: what would be done, with nothing done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowPath,
    Cloud,
    Config,
    Format,
    Job,
    OutputFormat,
    Quiet,
    Refresh,
    Var,
    VarsFile,
    Verbose,
    one_file,
)
from runpod_deploy.cli.target import CloudName
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.compiler.plan import PlanFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Whether the cloud is to be asked, and which."""

    live: bool
    cloud: CloudName | None
    refresh: bool

    def check(self) -> None:
        """Refuse flags that say nothing without --live.

        Raises:
            InvalidInput: One was given.
        """
        idle = "--cloud" if self.cloud is not None else "--refresh" if self.refresh else None
        if idle is not None and not self.live:
            raise InvalidInput(
                f"{idle} goes with --live: without it nobody is asked", help="Add --live."
            )


def plan_command(
    job: Job = None,
    config: Config = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Save the plan there.", show_default=False
        ),
    ] = None,
    output: OutputFormat = Format.TEXT,
    scripts: Annotated[bool, typer.Option("--scripts", help="Show the scripts in full.")] = False,
    live: Annotated[
        bool,
        typer.Option("--live/--offline", help="Ask the cloud for prices and stock, or nobody."),
    ] = False,
    cloud: Cloud = None,
    refresh: Refresh = False,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Show everything that would be done, and do none of it."""
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    path = one_file(job, config)
    values = read_variables(var or (), vars_file)
    market = Asked(live=live, cloud=cloud, refresh=refresh)
    plan_file = _plan(path, values, allow_path or (), out, market, terminal)
    content = b""
    if out is not None or output is Format.JSON:
        from runpod_deploy.compiler.planfile import dumps  # noqa: PLC0415 - loaded already

        content = dumps(plan_file)
    if out is not None:
        from runpod_deploy.cli.saving import save  # noqa: PLC0415 - only when writing

        save(out, content)
    if output is Format.JSON:
        terminal.data(content)
    else:
        _show(plan_file, terminal, scripts=scripts)
    if out is not None:
        terminal.say(f"Plan written to {out}. To carry it out, once:\n  runpod-deploy apply {out}")


def _plan(
    path: Path,
    values: Mapping[str, str],
    allow_paths: Sequence[Path],
    out: Path | None,
    market: Asked,
    terminal: Terminal,
) -> "PlanFile":
    from runpod_deploy.cli import planning  # noqa: PLC0415 - not for `--help`

    market.check()
    if planning.is_saved_plan(path):
        if market.live:
            raise InvalidInput(
                f"{path} is a saved plan; it is shown as it is",
                help=f"For what it would cost now:\n  runpod-deploy estimate {path}",
            )
        if values or allow_paths or out is not None:
            raise InvalidInput(
                f"{path} is a saved plan; it is shown as it is",
                help="Leave --var, --vars-file, --allow-path and --out out.",
            )
        return planning.load_plan(path)
    from runpod_deploy.schema.load import load  # noqa: PLC0415 - likewise

    config = load(path, values, allow_paths=allow_paths)
    plan_file, diagnostics = planning.compile_config(config, allow_paths)
    terminal.findings(diagnostics)
    if not market.live:
        return plan_file
    from runpod_deploy.cli.market import open_market, seen_live  # noqa: PLC0415 - live only

    root = planning.project_root_of(config, path, allow_paths)
    opened = open_market(market.cloud, terminal, refresh=market.refresh)
    return seen_live(plan_file, opened, root)


def _show(plan_file: "PlanFile", terminal: Terminal, *, scripts: bool) -> None:
    if terminal.quiet:
        terminal.print(plan_file.plan_hash)
        return
    from runpod_deploy.cli.plan_view import render_plan  # noqa: PLC0415 - not for JSON

    terminal.print(render_plan(plan_file, terminal.out, width=terminal.width, scripts=scripts))
