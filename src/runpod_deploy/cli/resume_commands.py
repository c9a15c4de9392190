"""`resume`, `attach` and `detach`: carry on a run that nobody watches, and stop watching one."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpod_deploy.cli.amounts import usd
from runpod_deploy.cli.apply_commands import AsJson, PrintRunDir
from runpod_deploy.cli.arguments import (
    AllowCommands,
    AllowPath,
    PolicyFiles,
    Quiet,
    Verbose,
    policies_of,
)
from runpod_deploy.cli.history import Root
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.target import CloudName, runpod_target
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, InvalidInput, JobFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runpod_deploy.compiler.plan import PlanForward
    from runpod_deploy.executor.interrupts import Interrupts
    from runpod_deploy.executor.resuming import Begun
    from runpod_deploy.executor.run import Listeners, Outcome, Target
    from runpod_deploy.schema.policy import Policy

RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run folder, a run id, or `last`."),
]
LOOK_EVERY_SEC = 0.2

Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help="The run's project, where its folder does not lie in it.",
        show_default=False,
    ),
]


Forward = Annotated[
    list[str] | None,
    typer.Option(
        "--forward",
        metavar="HERE[:POD]",
        help="Reach a port of the pod on this machine's loopback address meanwhile, such as 8888 or "
        "8080:8888; may be given several times.",
        show_default=False,
    ),
]


def resume_command(
    run: RunName = "last",
    root: Root = None,
    project: Project = None,
    allow_path: AllowPath = None,
    allow_commands: AllowCommands = False,
    policy: PolicyFiles = None,
    as_json: AsJson = False,
    print_run_dir: PrintRunDir = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Carry on a run whose command was killed, or that was detached from, to its end."""
    terminal = open_terminal(verbose=verbose, quiet=quiet)
    if as_json and print_run_dir:
        raise InvalidInput("--json and --print-run-dir exclude each other")
    policies = policies_of(policy)
    if sweep_folder := _sweep(run, root):
        from runpod_deploy.cli.sweep_resume import resume_sweep  # noqa: PLC0415 - sweeps only

        return resume_sweep(
            sweep_folder,
            terminal,
            allow_paths=tuple(allow_path or ()),
            allow_commands=allow_commands,
            policies=policies,
            as_json=as_json,
            print_run_dir=print_run_dir,
        )
    if allow_path:
        raise InvalidInput(
            "--allow-path goes with a sweep, whose other runs are still to begin; what a run may touch "
            "was settled when it began"
        )
    folder = _folder(run, root)
    return carry_on(
        folder,
        terminal,
        project,
        allow_commands=allow_commands,
        policies=policies,
        as_json=as_json,
        print_run_dir=print_run_dir,
    )


def attach_command(
    run: RunName = "last",
    root: Root = None,
    project: Project = None,
    allow_commands: AllowCommands = False,
    policy: PolicyFiles = None,
    forward: Forward = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Watch a run again, and carry it on where nobody else does."""
    from runpod_deploy.record.run_lock import living_holder  # noqa: PLC0415 - not for `--help`

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    forwards = _forwards(forward or [])
    policies = policies_of(policy)
    folder = _folder(run, root)
    if living_holder(folder, time.time()) is None:
        return carry_on(
            folder,
            terminal,
            project,
            allow_commands=allow_commands,
            policies=policies,
            as_json=as_json,
            forwards=forwards,
        )
    if policies:
        terminal.say("Another process carries the run on: only looking on, no policy is asked.")
    from runpod_deploy.cli.looking_on import look_on  # noqa: PLC0415 - only beside an executor
    from runpod_deploy.executor.resuming import read_begun  # noqa: PLC0415 - the whole executor

    begun = read_begun(folder)
    with contextlib.ExitStack() as meanwhile:
        if forwards:
            from runpod_deploy.cli.side_ports import forwarded  # noqa: PLC0415 - only when asked

            meanwhile.enter_context(forwarded(folder, forwards, terminal))
        return look_on(begun, shown_target(begun), terminal, as_json=as_json)


def _forwards(texts: list[str]) -> list[PlanForward]:
    from runpod_deploy.compiler.forwards import parse_forward  # noqa: PLC0415 - not for `--help`

    try:
        return [parse_forward(text) for text in texts]
    except ValueError as error:
        raise InvalidInput(f"--forward: {error}") from error


def detach_command(
    run: RunName = "last", root: Root = None, verbose: Verbose = False, quiet: Quiet = False
) -> int:
    """Let the command that watches a run end, and the job on its pod go on."""
    from runpod_deploy.executor.resuming import read_begun  # noqa: PLC0415 - the whole executor
    from runpod_deploy.record.journal import utc_stamp  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.record.run_lock import living_holder  # noqa: PLC0415 - likewise
    from runpod_deploy.record.run_request import ask  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    folder = _folder(run, root)
    begun = read_begun(folder)
    if begun.run.state.final:
        raise InvalidInput(f"The run in {folder} has ended: {begun.run.state}.")
    holder = living_holder(folder, time.time())
    if holder is None:
        terminal.say(f"Nobody watches it. Carry it on with:\n  runpod-deploy attach {line(run)}")
        return EXIT_OK
    by = f"process {os.getpid()}"
    ask(folder, "detach", by=by, at=utc_stamp(time.time()))
    terminal.say(
        f"Asked {holder.named(time.time())} to detach; it does as soon as the job runs on its pod."
    )
    while (now := living_holder(folder, time.time())) and now.token == holder.token:
        time.sleep(LOOK_EVERY_SEC)
    return _told(read_begun(folder), terminal)


def carry_on(
    folder: Path,
    terminal: Terminal,
    project: Path | None,
    *,
    allow_commands: bool = False,
    policies: Sequence[Policy] = (),
    as_json: bool = False,
    print_run_dir: bool = False,
    forwards: Sequence[PlanForward] = (),
) -> int:
    """Carry the run of a folder on to its end, watched, and return the exit status.

    Raises:
        InvalidInput: The folder is no run's, or its project is not known.
        AccountError: There is no API key.
        JobFailed: The emulator that it began on is gone.
        PlanRefused: Its plan breaks a rule of `policies`; the run is as it was.
    """
    from runpod_deploy.cli.applying import Show, carry  # noqa: PLC0415 - the whole executor
    from runpod_deploy.cli.leave import leave_again  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.views.watch import Watch  # noqa: PLC0415 - likewise
    from runpod_deploy.executor.resuming import read_begun, resume  # noqa: PLC0415 - likewise

    begun = read_begun(folder)
    commands = None
    if not begun.run.state.final:
        commands = leave_again([begun.plan_file], terminal, given=allow_commands)
    root = _project_root(begun, project)
    target = target_of(begun.cloud, begun.api_url, terminal.environ)
    if policies and not begun.run.state.final:
        from runpod_deploy.cli.policing import hold_again  # noqa: PLC0415 - only with --policy

        hold_again(
            policies,
            [begun.plan_file],
            begun.folder,
            target,
            terminal,
            ended_by=str(begun.folder),
        )

    async def work(interrupts: Interrupts, listeners: Listeners) -> Outcome:
        return await resume(
            begun,
            project_root=root,
            target=target,
            environ=os.environ,
            interrupts=interrupts,
            listeners=listeners,
            commands=commands,
            forwards=forwards,
        )

    watch = Watch(plan_file=begun.plan_file, target=target, run=begun.run, resumed=True)
    watch.opened(begun.folder, begun.run_id)
    return carry(watch, work, terminal, Show(json=as_json, run_dir=print_run_dir))


def _folder(run: str, root: Path | None) -> Path:
    from runpod_deploy.forensics.find import find_run  # noqa: PLC0415 - not for `--help`

    return find_run(run, root if root is not None else Path())


def _project_root(begun: Begun, project: Path | None) -> Path:
    root = project or begun.project_root
    if root is None:
        raise InvalidInput(
            f"{begun.folder} does not lie in its project, below artifacts/runpod",
            help="Say where the project is, or where its results are to go:\n"
            f"  runpod-deploy resume {begun.folder} --project DIR",
        )
    if not root.is_dir():
        raise InvalidInput(f"{root} is not a folder")
    return root.resolve()


def target_of(cloud: str, api_url: str, environ: Mapping[str, str]) -> Target:
    """Return the cloud that a run or a sweep began on, with the key of this machine.

    Raises:
        InvalidInput: It began at another address than this machine asks.
        AccountError: There is no API key.
        JobFailed: The emulator that it began on is gone.
    """
    if cloud == CloudName.EMULATOR:
        return _emulator(api_url, environ)
    target = runpod_target(environ)
    if _plain(target.api_url) != _plain(api_url):
        # A folder may come from anywhere: it does not say where the API key is sent.
        raise InvalidInput(
            f"the run began at {line(api_url)}, and this machine asks {target.api_url}",
            help=f"If you know that address:\n  export RUNPOD_API_URL={line(api_url)}",
        )
    return target


def _emulator(api_url: str, environ: Mapping[str, str]) -> Target:
    from runpod_deploy.emulator.client import find  # noqa: PLC0415 - not for RunPod
    from runpod_deploy.executor.run import Target  # noqa: PLC0415 - the whole executor

    info = find(environ)
    if info is None or _plain(info.url) != _plain(api_url):
        raise JobFailed(
            f"The emulator at {line(api_url)}, on which the run began, is gone, and its pods "
            "with it: there is nothing left to carry on.",
            help="Begin anew:\n  runpod-deploy apply … --cloud emulator",
        )
    return Target(label=CloudName.EMULATOR, api_url=info.url, api_key=info.api_key)


def _sweep(run: str, root: Path | None) -> Path | None:
    from runpod_deploy.forensics.find import runs_above  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.forensics.sweeps import sweep_at  # noqa: PLC0415 - likewise

    return sweep_at(run, runs_above(root if root is not None else Path()))


def _plain(url: str) -> str:
    return url.rstrip("/").removesuffix("/v2")


def shown_target(begun: Begun) -> Target:
    """Return the run's cloud for views that ask it nothing."""
    from runpod_deploy.executor.run import Target  # noqa: PLC0415 - the whole executor

    return Target(label=begun.cloud, api_url=begun.api_url, api_key="")


def _told(begun: Begun, terminal: Terminal) -> int:
    if begun.run.state.value != "DETACHED":
        raise JobFailed(f"It was not detached from: the run is {begun.run.state}.")
    cap = usd(begun.plan_file.plan.budget.cost_cap_usd)
    terminal.say(
        f"Detached. The job goes on, for at most {cap}. Come back for its results:\n"
        f"  runpod-deploy attach {line(str(begun.folder))}"
    )
    return EXIT_OK
