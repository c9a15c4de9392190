"""`plan`: what would be done, with nothing done."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowPath,
    Config,
    Format,
    Job,
    OutputFormat,
    Quiet,
    Var,
    VarsFile,
    Verbose,
    one_file,
)
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.compiler.plan import PlanFile


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
    plan_file = _plan(path, values, allow_path or (), out, terminal)
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
    terminal: Terminal,
) -> "PlanFile":
    from runpod_deploy.cli import planning  # noqa: PLC0415 - not for `--help`

    if planning.is_saved_plan(path):
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
    return plan_file


def _show(plan_file: "PlanFile", terminal: Terminal, *, scripts: bool) -> None:
    if terminal.quiet:
        terminal.print(plan_file.plan_hash)
        return
    from runpod_deploy.cli.plan_view import render_plan  # noqa: PLC0415 - not for JSON

    terminal.print(render_plan(plan_file, terminal.out, width=terminal.width, scripts=scripts))
