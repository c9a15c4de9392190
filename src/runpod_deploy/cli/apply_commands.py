"""`apply` and `run`: carry a plan out; `apply` asks first, `run` never does."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowCommands,
    AllowedSigners,
    AllowPath,
    Cloud,
    Config,
    MaxParallel,
    Only,
    PolicyFiles,
    Quiet,
    RequireSignature,
    RetryFailed,
    Var,
    VarsFile,
    Verbose,
    one_file,
    policies_of,
)
from runpod_deploy.cli.demands import Demands, met
from runpod_deploy.cli.sweep_apply import SweepFlags, earlier_sweep, prepared
from runpod_deploy.cli.target import CloudName, choose_cloud
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import InvalidInput, JobFailed

if TYPE_CHECKING:
    from runpod_deploy.cli.planning import Planned, PlannedSweep

What = Annotated[
    Path | None,
    typer.Argument(
        metavar="PLAN.json|JOB.yaml", help="A saved plan, or a job file.", show_default=False
    ),
]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project", metavar="DIR", help="Where a saved plan's project lies.", show_default=False
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="PART,…",
        help="Apply a saved plan although these parts of it changed; repeatable.",
        show_default=False,
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Apply a saved plan that was applied before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Each event as a JSON line, a result last.")]
PrintRunDir = Annotated[
    bool, typer.Option("--print-run-dir", help="Print the run folder, and nothing else, to stdout.")
]

Detach = Annotated[
    bool, typer.Option("--detach", help="End as soon as the job runs on its pod; see `attach`.")
]


def apply_command(
    what: What = None,
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cloud: Cloud = None,
    project: Project = None,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    allow_commands: AllowCommands = False,
    allow: Allow = None,
    again: Again = False,
    only: Only = None,
    max_parallel: MaxParallel = None,
    retry_failed: RetryFailed = False,
    require_signature: RequireSignature = None,
    allowed_signers: AllowedSigners = None,
    policy: PolicyFiles = None,
    as_json: AsJson = False,
    print_run_dir: PrintRunDir = False,
    detach: Detach = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Carry out a saved plan, or plan a job file, ask, and carry it out."""
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    path = one_file(what, config, command="apply", what="plan or job file")
    if not yes and not terminal.asks:
        raise InvalidInput(
            "there is nobody to ask whether to apply this",
            help="Say yes beforehand, with --yes:\n"
            f"  runpod-deploy apply {shlex.quote(str(path))} --yes",
        )
    return _apply(
        path,
        terminal,
        cloud=cloud,
        project=project,
        var=var,
        vars_file=vars_file,
        allow_path=allow_path,
        allow_commands=allow_commands,
        allow=allow,
        demands=Demands(signatures=require_signature, signers=allowed_signers),
        again=again,
        policy=policy,
        sweep=SweepFlags(only=tuple(only or ()), max_parallel=max_parallel, retry=retry_failed),
        as_json=as_json,
        print_run_dir=print_run_dir,
        detach=detach,
        ask=not yes,
    )


def run_command(
    what: What = None,
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="As it is anyway.")] = False,
    cloud: Cloud = None,
    project: Project = None,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    allow_commands: AllowCommands = False,
    allow: Allow = None,
    again: Again = False,
    only: Only = None,
    max_parallel: MaxParallel = None,
    retry_failed: RetryFailed = False,
    require_signature: RequireSignature = None,
    allowed_signers: AllowedSigners = None,
    policy: PolicyFiles = None,
    as_json: AsJson = False,
    print_run_dir: PrintRunDir = False,
    detach: Detach = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Plan a job file and carry it out at once, without a question."""
    del yes  # never asks
    return _apply(
        one_file(what, config, command="run", what="plan or job file"),
        open_terminal(verbose=verbose, quiet=quiet),
        cloud=cloud,
        project=project,
        var=var,
        vars_file=vars_file,
        allow_path=allow_path,
        allow_commands=allow_commands,
        allow=allow,
        demands=Demands(signatures=require_signature, signers=allowed_signers),
        again=again,
        policy=policy,
        sweep=SweepFlags(only=tuple(only or ()), max_parallel=max_parallel, retry=retry_failed),
        as_json=as_json,
        print_run_dir=print_run_dir,
        detach=detach,
        ask=False,
    )


def _apply(
    path: Path,
    terminal: Terminal,
    *,
    cloud: CloudName | None,
    project: Path | None,
    var: list[str] | None,
    vars_file: Path | None,
    allow_path: list[Path] | None,
    allow_commands: bool,
    allow: list[str] | None,
    again: bool,
    demands: Demands,
    policy: list[Path] | None,
    sweep: SweepFlags,
    as_json: bool,
    print_run_dir: bool,
    detach: bool,
    ask: bool,
) -> int:
    from runpod_deploy.cli import planning, questions, unfinished  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.leave import leave_for  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.target import emulator_target, runpod_target  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - likewise

    if as_json and print_run_dir:
        raise InvalidInput("--json and --print-run-dir exclude each other")
    where = choose_cloud(cloud, terminal.environ)
    values = read_variables(var or (), vars_file)
    policies = policies_of(policy)
    planned = (
        earlier_sweep(path, sweep, values, allow_path or ())
        if path.is_dir()
        else planning.prepare_any(path, values, allow_path or (), project)
    )
    if isinstance(planned, planning.PlannedSweep):
        if detach:
            raise InvalidInput(
                "--detach goes with one run: somebody has to begin the other runs of a sweep",
                help="Leave it later, by Ctrl-C and `d`; `resume` takes it up again.",
            )
        planned = prepared(planned, sweep, allow=allow or (), again=again)
        planned = met(demands, planning.saved_at(planned, path), planned, terminal)
    else:
        sweep.refuse(path)
        planned = planning.for_saved(planned, allow=allow or (), again=again)
        planned = met(demands, path, planned, terminal)
    terminal.findings(planned.diagnostics)
    if isinstance(planned, planning.Planned):
        left = unfinished.unfinished(planned.project_root, planned.plan_file.plan_hash)
        choice = "new" if left is None else unfinished.offer(left, terminal, ask=ask)
        if left is not None and choice == "resume":
            from runpod_deploy.cli.resume_commands import carry_on  # noqa: PLC0415 - rarely meant

            return carry_on(
                left.folder,
                terminal,
                None,
                allow_commands=allow_commands,
                policies=policies,
                as_json=as_json,
                print_run_dir=print_run_dir,
            )
        if choice == "quit":
            terminal.say("Nothing was done.")
            return JobFailed.exit_code
    # With a question, a yes is said to a plan that shows its commands.
    commands = leave_for(planned.plan_files, given=allow_commands or ask)
    # A missing key is told before anything is asked, an emulator is started only after a yes.
    target = runpod_target(terminal.environ) if where is CloudName.RUNPOD else None
    if policies:
        from runpod_deploy.cli.policing import hold  # noqa: PLC0415 - only with --policy

        target = hold(policies, planned.plan_files, path, target, terminal)
    if ask:
        from runpod_deploy.cli.first_looks import refuse_hopeless  # noqa: PLC0415 - only when asking

        refuse_hopeless(planned, terminal.environ)
        _show(planned, terminal, to_stderr=as_json or print_run_dir)
        if not questions.confirm_apply(planned, where, terminal):
            terminal.say("Nothing was done.")
            return JobFailed.exit_code
    target = target or emulator_target(terminal.environ)
    if where is CloudName.EMULATOR:
        terminal.say(f"This is the emulator at {target.api_url}: nothing is billed.")
    if isinstance(planned, planning.PlannedSweep):
        from runpod_deploy.cli.sweeping import (  # noqa: PLC0415 - the whole executor
            SweepShow,
            apply_sweep,
        )

        how = SweepShow(json=as_json, run_dir=print_run_dir)
        return apply_sweep(planned, target, terminal, how, commands)
    from runpod_deploy.cli.applying import Show, apply  # noqa: PLC0415 - the whole executor

    show = Show(json=as_json, run_dir=print_run_dir, detach=detach)
    return apply(planned, target, terminal, show, commands)


def _show(planned: "Planned | PlannedSweep", terminal: Terminal, *, to_stderr: bool) -> None:
    from runpod_deploy.cli.plan_view import render_plan  # noqa: PLC0415 - only when asking
    from runpod_deploy.cli.planning import Planned  # noqa: PLC0415 - loaded already
    from runpod_deploy.cli.sweep_plan import render_sweep  # noqa: PLC0415 - only when asking

    style = terminal.err if to_stderr else terminal.out
    if isinstance(planned, Planned):
        text = render_plan(planned.plan_file, style, width=terminal.width)
    else:
        text = render_sweep(planned.sweep_file, style, width=terminal.width)
    (terminal.alert if to_stderr else terminal.print)(f"{text}\n")
