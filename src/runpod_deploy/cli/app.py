"""The command line's root: which commands there are, and how every one of them ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from runpod_deploy._version import __version__
from runpod_deploy.cli import emulator_commands, exits, export_commands, volume_commands
from runpod_deploy.cli.apply_commands import apply_command, run_command
from runpod_deploy.cli.arguments import examples
from runpod_deploy.cli.cancel_command import cancel_command
from runpod_deploy.cli.capture_env_command import capture_env_command
from runpod_deploy.cli.catalog_commands import (
    gpu_inventory_command,
    gpu_list_command,
    gpu_prices_command,
)
from runpod_deploy.cli.estimate_command import estimate_command
from runpod_deploy.cli.events_commands import events_command, events_query_command
from runpod_deploy.cli.fleet_commands import cleanup_command, ls_stale_command, reap_command
from runpod_deploy.cli.init_command import init_command
from runpod_deploy.cli.lean import LeanCommand, spared
from runpod_deploy.cli.logs_command import logs_command
from runpod_deploy.cli.manifest_summary_command import manifest_summary_command
from runpod_deploy.cli.migrate_command import migrate_command
from runpod_deploy.cli.plan_command import plan_command
from runpod_deploy.cli.plan_diff_command import plan_diff_command
from runpod_deploy.cli.reconcile_command import reconcile_command
from runpod_deploy.cli.report_command import report_command
from runpod_deploy.cli.resume_commands import attach_command, detach_command, resume_command
from runpod_deploy.cli.runs_commands import compare_runs_command, ls_runs_command
from runpod_deploy.cli.schema_command import schema_command
from runpod_deploy.cli.sign_command import sign_command
from runpod_deploy.cli.ssh_command import ssh_command
from runpod_deploy.cli.status_command import status_command
from runpod_deploy.cli.terminal import open_terminal, remember_verbosity
from runpod_deploy.cli.validate_command import validate_command
from runpod_deploy.cli.verify_command import verify_command
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


app = typer.Typer(
    name=PROGRAM,
    cls=Root,
    epilog=_epilog(),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
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


app.command(
    "init",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy init",
        "runpod-deploy init experiments --template train",
    ),
)(init_command)
app.command(
    "plan",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy plan job.yaml",
        "runpod-deploy plan job.yaml --live",
        "runpod-deploy plan job.yaml --var seed=8 -o plan.json",
        "runpod-deploy plan plan.json --scripts",
        "runpod-deploy plan job.yaml --against main",
    ),
)(plan_command)
app.command(
    "plan diff",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy plan diff old.json new.json",
        "runpod-deploy plan diff artifacts/runpod/20260514T021200Z plan.json --format markdown",
    ),
)(plan_diff_command)
app.command(
    "plan sign",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy plan sign plan.json",
        "runpod-deploy plan sign plan.json --key ~/.ssh/id_ed25519 --expires 2d",
    ),
)(sign_command)
app.command(
    "plan verify",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy plan verify plan.json",
        "runpod-deploy plan verify plan.json --project ~/clone --json",
        "runpod-deploy plan verify artifacts/runpod/20260514T021200Z",
    ),
)(verify_command)
app.command(
    "validate",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy validate job.yaml",
        "runpod-deploy validate jobs/ --strict --format github",
    ),
)(validate_command)
app.command(
    "estimate",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy estimate job.yaml",
        "runpod-deploy estimate job.yaml --cloud emulator --json",
    ),
)(estimate_command)
app.command(
    "gpu-list",
    cls=LeanCommand,
    epilog=examples("runpod-deploy gpu-list --datacenter EU-RO-1 --gpu-count 2"),
)(gpu_list_command)
app.command(
    "gpu-prices", cls=LeanCommand, epilog=examples("runpod-deploy gpu-prices --cloud-type SECURE")
)(gpu_prices_command)
app.command(
    "gpu-inventory",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy gpu-inventory job.yaml",
        "until runpod-deploy gpu-inventory job.yaml --refresh; do sleep 300; done",
    ),
)(gpu_inventory_command)
app.command(
    "schema",
    cls=LeanCommand,
    epilog=examples("runpod-deploy schema job -o .runpod-deploy/job.schema.json"),
)(schema_command)
app.command(
    "migrate",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy migrate old.yaml --diff",
        "runpod-deploy migrate old.yaml -o new.yaml",
    ),
)(migrate_command)
app.command(
    "apply",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy apply job.yaml --cloud emulator",
        "runpod-deploy apply plan.json --yes",
    ),
)(apply_command)
app.command(
    "run",
    cls=LeanCommand,
    epilog=examples("runpod-deploy run -c job.yaml --var seed=8 --json > events.jsonl"),
)(run_command)
app.command(
    "status",
    cls=LeanCommand,
    epilog=examples("runpod-deploy status", "runpod-deploy status last --json | jq .state"),
)(status_command)
app.command(
    "logs",
    cls=LeanCommand,
    epilog=examples("runpod-deploy logs -f", "runpod-deploy logs 20260514T120000Z -n 50"),
)(logs_command)
app.command(
    "resume",
    cls=LeanCommand,
    epilog=examples("runpod-deploy resume last", "runpod-deploy resume 20260514T120000Z --json"),
)(resume_command)
app.command(
    "cancel",
    cls=LeanCommand,
    epilog=examples("runpod-deploy cancel last", "runpod-deploy cancel last --now"),
)(cancel_command)
app.command("attach", cls=LeanCommand, epilog=examples("runpod-deploy attach last"))(attach_command)
app.command("detach", cls=LeanCommand, epilog=examples("runpod-deploy detach last"))(detach_command)
app.command(
    "ssh",
    cls=LeanCommand,
    epilog=examples("runpod-deploy ssh", "runpod-deploy ssh last -- nvidia-smi -l 5"),
)(ssh_command)
app.command(
    "manifest-summary",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy manifest-summary last",
        "runpod-deploy manifest-summary artifacts/runpod/20260514T120000Z && make plots",
        "runpod-deploy manifest-summary --root .",
    ),
)(manifest_summary_command)
app.command("ls-runs", cls=LeanCommand, epilog=examples("runpod-deploy ls-runs --limit 5"))(
    ls_runs_command
)
app.command(
    "compare-runs",
    cls=LeanCommand,
    epilog=examples("runpod-deploy compare-runs 20260514T120000Z last"),
)(compare_runs_command)
app.command("events", cls=LeanCommand, epilog=examples("runpod-deploy events last"))(events_command)
app.command(
    "events-query",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy events-query --root . --filter event=candidate_refused --since 7d",
        "runpod-deploy events-query --filter event=gpu_selected --json | jq .gpu_id",
    ),
)(events_query_command)
app.command(
    "report",
    cls=LeanCommand,
    epilog=examples("runpod-deploy report last", "runpod-deploy report --root . -o runs.html"),
)(report_command)
app.command(
    "reconcile",
    cls=LeanCommand,
    epilog=examples("runpod-deploy reconcile last", "runpod-deploy reconcile --root . --json"),
)(reconcile_command)
app.command(
    "reap",
    cls=LeanCommand,
    epilog=examples("runpod-deploy reap", "runpod-deploy reap --owner 1a2b3c4d --yes --json"),
)(reap_command)
app.command("ls-stale", cls=LeanCommand, epilog=examples("runpod-deploy ls-stale --json"))(
    ls_stale_command
)
app.command(
    "cleanup",
    cls=LeanCommand,
    epilog=examples(
        "runpod-deploy cleanup artifacts/runpod/20260514T120000Z",
        "runpod-deploy cleanup --all-stopped --dry-run",
    ),
)(cleanup_command)
app.command(
    "capture-env", cls=LeanCommand, epilog=examples("runpod-deploy capture-env > environment.json")
)(capture_env_command)
app.add_typer(emulator_commands.commands, name="emulator")
app.add_typer(export_commands.commands, name="export")
app.add_typer(volume_commands.commands, name="volume")


def run() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the locale cannot write must not end a run.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        app(prog_name=PROGRAM)
    finally:
        _let_go(sys.stdout)


def _let_go(stream: TextIO) -> None:
    """Flush; when nobody reads any more, keep the interpreter from failing over it at its end."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
