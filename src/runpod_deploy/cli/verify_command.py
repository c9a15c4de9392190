"""`plan verify`: prove that a saved plan is what its commit gives."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpod_deploy.cli.amounts import count
from runpod_deploy.cli.arguments import AllowPath, Quiet, Verbose
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, InvalidInput, PlanRefused

if TYPE_CHECKING:
    from runpod_deploy.compiler.plan import PlanFile
    from runpod_deploy.compiler.sweepfile import SweepFile
    from runpod_deploy.facts.verify import Verified


def verify_command(
    plan: Annotated[
        Path,
        typer.Argument(metavar="PLAN.json|RUN_DIR", help="A saved plan or sweep, or a run folder."),
    ],
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="A clone of the repository the plan was made in; by default here.",
            show_default=False,
        ),
    ] = None,
    allow_path: AllowPath = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Compile a saved plan's job again from its commit, and hold both against each other."""
    from runpod_deploy.cli.planning import load_plan_or_sweep  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.compiler.sweepfile import SweepFile  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    plan = _file(plan)
    try:
        plan_file = load_plan_or_sweep(plan)
    except OSError as error:
        raise InvalidInput(f"{plan} cannot be read: {error.strerror}") from error
    toplevel = _toplevel(plan, project)
    if isinstance(plan_file, SweepFile):
        from runpod_deploy.facts.verify_sweep import verify_sweep  # noqa: PLC0415 - sweeps only

        result = verify_sweep(plan_file, plan, toplevel, allow_paths=allow_path or ())
    else:
        from runpod_deploy.facts.verify import verify  # noqa: PLC0415 - likewise

        result = verify(plan_file, plan, toplevel, allow_paths=allow_path or ())
    if as_json:
        terminal.document(verify_document(plan_file, result))
    else:
        show(plan_file, result, terminal)
    return PlanRefused.exit_code if result.drifts else EXIT_OK


def _file(plan: Path) -> Path:
    """Return the saved plan or sweep that is meant; of a folder, what it holds."""
    if not plan.is_dir():
        return plan
    from runpod_deploy.record.sweep import SWEEP_NAME  # noqa: PLC0415 - not for `--help`

    sweep = plan / SWEEP_NAME
    return sweep if sweep.is_file() else plan / "plan.json"


def _toplevel(plan: Path, project: Path | None) -> Path:
    from runpod_deploy.facts.project import git_toplevel  # noqa: PLC0415 - not for `--help`

    places = [project] if project is not None else [Path.cwd(), plan.parent]
    for place in places:
        found = git_toplevel(place.resolve())
        if found is not None:
            return found
    raise InvalidInput(
        f"there is no git repository {'at' if project else 'here, nor at'} {places[-1]}",
        help="Say where a clone of the plan's repository lies:\n"
        f"  runpod-deploy plan verify {plan} --project DIR",
    )


def verify_document(plan_file: "PlanFile | SweepFile", result: "Verified") -> dict[str, Any]:
    """Return the outcome as JSON-like data."""
    return {
        "verified": not result.drifts,
        "job": _first(plan_file).plan.job.file,
        "commit": result.commit,
        "plan_hash": plan_file.plan_hash,
        "compiled_hash": result.compiled_hash,
        "changes": list(result.changes),
        "differences": [
            {"field": one.field, "planned": one.planned, "compiled": one.now}
            for one in result.drifts
        ],
        "notes": list(result.notes),
    }


def show(plan_file: "PlanFile | SweepFile", result: "Verified", terminal: Terminal) -> None:
    """Write the outcome to stdout."""
    style = terminal.out
    first = _first(plan_file)
    seen = first.observed
    same = not result.drifts
    head = style.good("Verified") if same else style.bad("Not what the commit gives")
    terminal.print(f"{head}  {plan_file.plan_hash}")
    if terminal.quiet:
        return
    terminal.print(f"  job        {line(first.plan.job.file)}")
    runs = _runs(plan_file)
    if runs:
        terminal.print(f"  sweep      {count(runs, 'run')}")
    terminal.print(f"  commit     {result.commit}")
    for change in result.changes:
        terminal.print(f"  and        {line(change)}")
    if same and seen.lockfile is not None:
        terminal.print(f"  lock file  {line(seen.lockfile.name)}")
    if result.compiled_hash is not None and not same:
        terminal.print(f"  gives      {result.compiled_hash}")
    if not same:
        terminal.print(_table(result))
    for note in result.notes:
        terminal.print(f"  note: {line(note)}.")


def _first(plan_file: "PlanFile | SweepFile") -> "PlanFile":
    """Return the plan; of a sweep that of its first run, which says what is the same in all."""
    from runpod_deploy.compiler.sweepfile import SweepFile  # noqa: PLC0415 - not for `--help`

    return plan_file.first if isinstance(plan_file, SweepFile) else plan_file


def _runs(plan_file: "PlanFile | SweepFile") -> int:
    from runpod_deploy.compiler.sweepfile import SweepFile  # noqa: PLC0415 - not for `--help`

    return len(plan_file.shards) if isinstance(plan_file, SweepFile) else 0


def _table(result: "Verified", shown: int = 20) -> str:
    rows = [
        f"  {line(one.field)}\n    planned    {line(one.planned or 'not there')}\n"
        f"    by commit  {line(one.now or 'not there')}"
        for one in result.drifts[:shown]
    ]
    if len(result.drifts) > shown:
        rows.append(f"  and {len(result.drifts) - shown} more; --json names all")
    return "\n".join(rows)
