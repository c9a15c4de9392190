"""`apply` and `run`: carry a plan out; `apply` asks first, `run` never does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.arguments import (
    AllowedSigners,
    AllowPath,
    Cloud,
    Config,
    PolicyFiles,
    Quiet,
    RequireSignature,
    Var,
    VarsFile,
    Verbose,
    one_file,
    policies_of,
)
from runpod_deploy.cli.demands import Demands, met
from runpod_deploy.cli.target import CloudName, choose_cloud
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import InvalidInput, JobFailed

if TYPE_CHECKING:
    from runpod_deploy.cli.planning import Planned

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
    allow: Allow = None,
    again: Again = False,
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
    path = one_file(what, config, what="plan or job file")
    if not yes and not terminal.asks:
        raise InvalidInput(
            "there is nobody to ask whether to apply this",
            help="Say yes beforehand, with --yes:\n  runpod-deploy apply … --yes",
        )
    return _apply(
        path,
        terminal,
        cloud=cloud,
        project=project,
        var=var,
        vars_file=vars_file,
        allow_path=allow_path,
        allow=allow,
        demands=Demands(signatures=require_signature, signers=allowed_signers),
        again=again,
        policy=policy,
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
    allow: Allow = None,
    again: Again = False,
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
        one_file(what, config, what="plan or job file"),
        open_terminal(verbose=verbose, quiet=quiet),
        cloud=cloud,
        project=project,
        var=var,
        vars_file=vars_file,
        allow_path=allow_path,
        allow=allow,
        demands=Demands(signatures=require_signature, signers=allowed_signers),
        again=again,
        policy=policy,
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
    allow: list[str] | None,
    again: bool,
    demands: Demands,
    policy: list[Path] | None,
    as_json: bool,
    print_run_dir: bool,
    detach: bool,
    ask: bool,
) -> int:
    from runpod_deploy.cli import planning, questions, unfinished  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.target import emulator_target, runpod_target  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - likewise

    if as_json and print_run_dir:
        raise InvalidInput("--json and --print-run-dir exclude each other")
    where = choose_cloud(cloud, terminal.environ)
    values = read_variables(var or (), vars_file)
    policies = policies_of(policy)
    planned = planning.prepare(path, values, allow_path or (), project)
    planned = planning.for_saved(planned, allow=allow or (), again=again)
    terminal.findings(planned.diagnostics)
    planned = met(demands, path, planned, terminal)
    left = unfinished.unfinished(planned.project_root, planned.plan_file.plan_hash)
    if left is not None:
        choice = unfinished.offer(left, terminal, ask=ask)
        if choice == "resume":
            from runpod_deploy.cli.resume_commands import carry_on  # noqa: PLC0415 - rarely meant

            return carry_on(
                left.folder, terminal, None, as_json=as_json, print_run_dir=print_run_dir
            )
        if choice == "quit":
            terminal.say("Nothing was done.")
            return JobFailed.exit_code
    # A missing key is told before anything is asked, an emulator is started only after a yes.
    target = runpod_target(terminal.environ) if where is CloudName.RUNPOD else None
    if policies:
        from runpod_deploy.cli.policing import hold  # noqa: PLC0415 - only with --policy

        target = hold(policies, planned, path, target, terminal)
    if ask:
        _show(planned, terminal, to_stderr=as_json or print_run_dir)
        if not questions.confirm_apply(planned.plan_file, where, terminal):
            terminal.say("Nothing was done.")
            return JobFailed.exit_code
    target = target or emulator_target(terminal.environ)
    if where is CloudName.EMULATOR:
        terminal.say(f"This is the emulator at {target.api_url}: nothing is billed.")
    from runpod_deploy.cli.applying import Show, apply  # noqa: PLC0415 - the whole executor

    show = Show(json=as_json, run_dir=print_run_dir, detach=detach)
    return apply(planned, target, terminal, show)


def _show(planned: "Planned", terminal: Terminal, *, to_stderr: bool) -> None:
    from runpod_deploy.cli.plan_view import render_plan  # noqa: PLC0415 - only when asking

    style = terminal.err if to_stderr else terminal.out
    text = render_plan(planned.plan_file, style, width=terminal.width)
    (terminal.alert if to_stderr else terminal.print)(f"{text}\n")
