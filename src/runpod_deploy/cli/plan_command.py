"""`plan`: what would be done, with nothing done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowPath,
    Cloud,
    Config,
    DetailedExitcode,
    DocumentFormat,
    Job,
    PlanFormat,
    PolicyFiles,
    Quiet,
    Refresh,
    Var,
    VarsFile,
    Verbose,
    one_file,
    policies_of,
    without_live,
)
from runpod_deploy.cli.target import CloudName
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_CHANGED, EXIT_OK, Diagnostic, InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.compiler.plan import PlanFile
    from runpod_deploy.compiler.sweepfile import SweepFile
    from runpod_deploy.schema.job import JobConfig
    from runpod_deploy.schema.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Whether the cloud is to be asked, and which."""

    live: bool
    cloud: CloudName | None
    refresh: bool


def plan_command(
    job: Job = None,
    config: Config = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Save the plan there.", show_default=False
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="REV|PLAN.json|RUN_DIR",
            help="Show only what differs from a git revision, a saved plan, or what a run did.",
            show_default=False,
        ),
    ] = None,
    detailed_exitcode: DetailedExitcode = False,
    output: PlanFormat = DocumentFormat.TEXT,
    scripts: Annotated[bool, typer.Option("--scripts", help="Show the scripts in full.")] = False,
    live: Annotated[
        bool,
        typer.Option("--live/--offline", help="Ask the cloud for prices and stock, or nobody."),
    ] = False,
    cloud: Cloud = None,
    refresh: Refresh = False,
    policy: PolicyFiles = None,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Show everything that would be done, and do none of it."""
    from runpod_deploy.cli import planning  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - likewise
    from runpod_deploy.compiler.sweepfile import SweepFile  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    path = one_file(job, config, command="plan")
    values = read_variables(var or (), vars_file)
    market = Asked(live=live, cloud=cloud, refresh=refresh)
    policies = policies_of(policy)
    planned, made_of = _plan(path, values, allow_path or (), out, market, terminal)
    if detailed_exitcode and against is None:
        raise InvalidInput("--detailed-exitcode goes with --against: it tells what differs")

    show = None
    if against is not None:
        from runpod_deploy.cli import comparing  # noqa: PLC0415 - only to compare

        job_file = planning.job_file_of(path)
        here = comparing.Here(job_file=job_file, variables=values, allow_paths=allow_path or ())
        other = comparing.find(against, here)
        show = partial(comparing.show, other, planned, terminal, output, full=scripts)
    if isinstance(planned, SweepFile):
        from runpod_deploy.cli.sweep_plan import show_sweep  # noqa: PLC0415 - sweeps only

        def save(place: Path, sweep: SweepFile) -> SweepFile:
            from runpod_deploy.cli.plan_saving import save_sweep  # noqa: PLC0415 - only when writing

            assert made_of is not None  # noqa: S101 - a saved sweep is not saved again
            return save_sweep(place, sweep, made_of, allow_path or (), terminal)

        same = show_sweep(
            planned,
            terminal,
            output,
            scripts=scripts,
            out=out,
            policies=policies,
            path=path,
            save=save,
            instead=show,
        )
        return EXIT_CHANGED if detailed_exitcode and not same else EXIT_OK
    plan_file = planned
    broken = _broken(policies, plan_file, path)
    if out is not None and made_of is not None and not broken:
        from runpod_deploy.cli.plan_saving import save_plan  # noqa: PLC0415 - only when writing

        plan_file = save_plan(out, plan_file, made_of, allow_path or (), terminal)
    if show is not None:
        same = show()
    else:
        same = True
        _show(plan_file, terminal, output, scripts=scripts)
    if broken:
        from runpod_deploy.cli.policing import refusal  # noqa: PLC0415 - loaded already

        terminal.findings(broken)
        raise refusal(broken, "" if out is None else f", and {out} was not written")
    if policies:
        terminal.say(f"Policy kept: {', '.join(one.file for one in policies)}.")
    if out is not None:
        terminal.say(f"Plan written to {out}. To carry it out, once:\n  runpod-deploy apply {out}")
    return EXIT_CHANGED if detailed_exitcode and not same else EXIT_OK


def _broken(
    policies: "tuple[Policy, ...]", plan_file: "PlanFile", path: Path
) -> tuple[Diagnostic, ...]:
    if not policies:
        return ()
    from runpod_deploy.cli.policing import broken_rules  # noqa: PLC0415 - only with --policy

    return broken_rules(policies, [plan_file], str(path))


def _plan(
    path: Path,
    values: Mapping[str, str],
    allow_paths: Sequence[Path],
    out: Path | None,
    market: Asked,
    terminal: Terminal,
) -> tuple["PlanFile | SweepFile", "JobConfig | None"]:
    """Return the plan, and the job that it was made of now."""
    from runpod_deploy.cli import planning  # noqa: PLC0415 - not for `--help`

    if not market.live:
        without_live(market.cloud, refresh=market.refresh)
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
        if planning.is_saved_sweep(path):
            return planning.load_sweep(path), None
        return planning.load_plan(path), None
    from runpod_deploy.facts.plan_job import load_job  # noqa: PLC0415 - likewise

    config = load_job(path, values, allow_paths)
    planned, diagnostics = planning.compile_any(config, allow_paths)
    terminal.findings(diagnostics)
    if not market.live:
        return planned, config
    from runpod_deploy.cli.market import (  # noqa: PLC0415 - live only
        open_market,
        seen_live,
        sweep_seen_live,
        sweep_with_images,
        with_image,
    )
    from runpod_deploy.compiler.sweepfile import SweepFile  # noqa: PLC0415 - loaded already

    root = planning.project_root_of(config, path, allow_paths)
    opened = open_market(market.cloud, terminal, refresh=market.refresh)
    if isinstance(planned, SweepFile):
        live = sweep_seen_live(planned, opened, root)
        return sweep_with_images(live, opened, terminal), config
    return with_image(seen_live(planned, opened, root), opened, terminal), config


def _show(
    plan_file: "PlanFile", terminal: Terminal, output: DocumentFormat, *, scripts: bool
) -> None:
    if output is DocumentFormat.JSON:
        from runpod_deploy.compiler.planfile import dumps  # noqa: PLC0415 - loaded already

        terminal.data(dumps(plan_file))
    elif output is DocumentFormat.MARKDOWN:
        from runpod_deploy.cli.plan_markdown import markdown_plan  # noqa: PLC0415 - likewise

        terminal.data(markdown_plan(plan_file).encode("utf-8", "backslashreplace"))
    elif terminal.quiet:
        terminal.print(plan_file.plan_hash)
    else:
        from runpod_deploy.cli.plan_view import render_plan  # noqa: PLC0415 - not for JSON

        terminal.print(render_plan(plan_file, terminal.out, width=terminal.width, scripts=scripts))
