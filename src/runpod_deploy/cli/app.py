"""The command line's root: which commands there are, and how every one of them ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from runpod_deploy._version import __version__
from runpod_deploy.cli import exits
from runpod_deploy.cli.arguments import examples
from runpod_deploy.cli.commands import COMMANDS, GROUPS, asked_for
from runpod_deploy.cli.lean import LeanCommand, spared
from runpod_deploy.cli.terminal import deafen, open_terminal, remember_verbosity
from runpod_deploy.errors import EXIT_OK, EXIT_SIGINT, InvalidInput

PROGRAM = "runpod-deploy"

# Typer may carry its own copy of Click or use the installed one; this base is in both.
_UsageProblem: type[Any] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


class Root(TyperGroup):
    """The group of all commands; turns every end of a command into a documented exit status."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, each with a direct converter where there is one."""
        return spared(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that was named, by one word or by two, such as `plan diff`.

        A command and those below it may both be there: a first argument that happens to be called
        like one of them is written as a path, `./diff`.
        """
        both = " ".join(args[:2])
        if len(args) > 1 and both in self.commands:
            return both, self.commands[both], args[2:]
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 - messages call us by our own name
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run one command; exits with its status, or returns it outside of standalone mode."""
        remember_verbosity(verbose=False, quiet=False)
        try:
            status = super().main(args, PROGRAM, complete_var, False, windows_expand_args, **extra)
        except typer.Abort:
            status = EXIT_SIGINT
        except _UsageProblem as problem:
            status = _usage(problem)
        except Exception as error:  # noqa: BLE001 - the last place where anything can be said
            from runpod_deploy.cli.failures import report  # noqa: PLC0415 - only on failure

            status = report(error, open_terminal())
        status = status if isinstance(status, int) else EXIT_OK
        if standalone_mode:
            sys.exit(status)
        return status


def _usage(problem: Any) -> int:
    from runpod_deploy.cli.predecessor import missing_flag  # noqa: PLC0415 - only on failure

    answer = missing_flag(problem)
    if answer is not None:
        from runpod_deploy.cli.failures import report  # noqa: PLC0415 - likewise

        return report(answer, open_terminal())
    problem.show()
    return InvalidInput.exit_code


def _epilog() -> str:
    rows = "\n".join(f"  {status:>3}  {meaning}" for status, meaning in exits.EXIT_TABLE)
    shown = examples(
        "runpod-deploy plan job.yaml                     what would be done",
        "runpod-deploy apply job.yaml --cloud emulator   rehearse it here, for nothing",
        "runpod-deploy apply job.yaml                    do it",
    )
    return f"{shown}\n\n\b\nExit status:\n{rows}"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def root(
    context: typer.Context,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the last line.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Plan a GPU job, review the plan, and carry it out on RunPod."""
    remember_verbosity(verbose=verbose, quiet=quiet)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(InvalidInput.exit_code)


@cache
def build(word: str | None = None) -> typer.Typer:
    """Return the command line; with the commands alone whose first word is `word`, if one is given.

    To read the flags of every command takes longer than a plan, and only one is meant.
    """
    app = typer.Typer(
        name=PROGRAM,
        cls=Root,
        epilog=_epilog(),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback(invoke_without_command=True)(root)
    for one in COMMANDS:
        if word in (None, one.name.split(" ")[0]):
            function = getattr(_module(one.module), one.function)
            shown = examples(*one.examples)
            app.command(one.name, cls=LeanCommand, epilog=shown, short_help=one.brief)(function)
    for name, (module, brief) in GROUPS.items():
        if word in (None, name):
            app.add_typer(_module(module).commands, name=name, short_help=brief)
    return app


def _module(name: str) -> Any:
    return import_module(f"runpod_deploy.cli.{name}")


def run() -> None:
    """Run the command line and exit."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A name that the locale cannot write must not end a run.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        completing = any(name.endswith("_COMPLETE") for name in os.environ)
        build(None if completing else asked_for(sys.argv[1:]))(prog_name=PROGRAM)
    finally:
        _let_go(sys.stdout)


def _open_closed_streams() -> None:
    """Give words a place to go where the caller has closed stdout or stderr (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end


def _let_go(stream: TextIO) -> None:
    """Flush; when nobody reads any more, keep the interpreter from failing over it at its end."""
    try:
        stream.flush()
    except OSError:
        deafen(stream)
