"""`validate`: is a job file right, and if not, where and why."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowPath,
    Format,
    OutputFormat,
    Quiet,
    Var,
    VarsFile,
    Verbose,
)
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, Diagnostic, InvalidInput


def validate_command(
    jobs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="JOB.yaml...", help="Job files.", show_default=False),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="A job file, as a flag.", show_default=False
        ),
    ] = None,
    output: OutputFormat = Format.TEXT,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Check job files: everything that is wrong, with its place."""
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    paths = [*(jobs or ()), *(config or ())]
    if not paths:
        raise InvalidInput("no job file was named", help="Name at least one.")
    values = read_variables(var or (), vars_file)
    checked = [(path, *_check(path, values, allow_path or [])) for path in paths]
    if output is Format.JSON:
        _print_json(checked, terminal)
    else:
        _print_text(checked, terminal)
    return EXIT_OK if all(ok for _, ok, _ in checked) else InvalidInput.exit_code


def _check(
    path: Path, values: dict[str, str], allow_paths: list[Path]
) -> tuple[bool, tuple[Diagnostic, ...]]:
    from runpod_deploy.cli.planning import compile_config  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.schema.load import load  # noqa: PLC0415 - likewise

    try:
        return True, compile_config(load(path, values, allow_paths=allow_paths), allow_paths)[1]
    except InvalidInput as error:
        if not error.diagnostics:
            raise
        return False, error.diagnostics


def _print_text(
    checked: Iterable[tuple[Path, bool, tuple[Diagnostic, ...]]], terminal: Terminal
) -> None:
    for path, ok, diagnostics in checked:
        terminal.findings(diagnostics)
        if ok and not terminal.quiet:
            terminal.print(f"{path}: {terminal.out.good('ok')}")


def _print_json(
    checked: Iterable[tuple[Path, bool, tuple[Diagnostic, ...]]], terminal: Terminal
) -> None:
    from runpod_deploy.cli.diagnostics import render_json  # noqa: PLC0415 - only for JSON

    files = [
        {"file": str(path), "ok": ok, "diagnostics": render_json(diagnostics)}
        for path, ok, diagnostics in checked
    ]
    document = {"ok": all(file["ok"] for file in files), "files": files}
    terminal.print(json.dumps(document, indent=2, ensure_ascii=False))
