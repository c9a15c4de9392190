"""What a plan is compared with, and how the difference is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runpod_deploy.cli import planning
from runpod_deploy.cli.arguments import DocumentFormat
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.plan_diff import PlanDiff, compare
from runpod_deploy.compiler.sweep_diff import (
    AnyPlan,
    SweepDiff,
    compare_sweeps,
    counterpart,
    shard_name,
)
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import InvalidInput
from runpod_deploy.record.sweep import SWEEP_NAME

PLAN_NAME = "plan.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """The job that is compared, for looking it up in another revision."""

    job_file: Path
    variables: Mapping[str, str]
    allow_paths: Sequence[Path]


@dataclass(frozen=True, kw_only=True, slots=True)
class Other:
    """The other plan, and what it is called.

    Attributes:
        plan_file: A plan, or those of a sweep; None when the job was not there.
        notes: What could not be compared, in sentences.
    """

    plan_file: AnyPlan | None
    words: str
    notes: tuple[str, ...] = ()


def find_saved(text: str) -> AnyPlan:
    """Return the plan or the sweep in a saved file, or in the folder of a run or a sweep.

    Raises:
        InvalidInput: There is none.
        PlanRefused: It was changed, or is of another version.
    """
    found = _saved(Path(text))
    if found is None:
        raise InvalidInput(
            f"{text} is neither a saved plan nor a run folder",
            help=f"A run folder holds a `{PLAN_NAME}`.",
        )
    return found


def find(text: str, here: Here) -> Other:
    """Return the plan in a saved file, in a run folder, or of a revision.

    Raises:
        InvalidInput: There is none.
        PlanRefused: It was changed, or is of another version.
    """
    path = Path(text)
    saved = _saved(path)
    if saved is not None:
        return Other(plan_file=saved, words=called(path))
    from runpod_deploy.facts.revision import plan_at_revision  # noqa: PLC0415 - starts git

    try:
        found = plan_at_revision(text, here.job_file, here.variables, allow_paths=here.allow_paths)
    except InvalidInput as error:
        if error.diagnostics or not path.exists():
            raise
        raise InvalidInput(
            f"{text} is neither a saved plan nor a run folder, nor a revision: {error.message}",
            help=f"A run folder holds a `{PLAN_NAME}`. {error.help or ''}".rstrip(),
        ) from error
    short = found.commit[:12]
    words = text if found.commit.startswith(text) else f"{text} ({short})"
    return Other(plan_file=found.plan_file, words=words, notes=found.notes)


def called(path: Path) -> str:
    """Return what a saved plan, or a run or a sweep by its folder, is called."""
    if not path.is_dir():
        return str(path)
    return f"the {'sweep' if (path / SWEEP_NAME).is_file() else 'run'} {path.name}"


def _saved(path: Path) -> AnyPlan | None:
    if path.is_dir():
        held = (path / name for name in (PLAN_NAME, SWEEP_NAME))
        path = next((one for one in held if one.is_file()), path)
    return planning.load_plan_or_sweep(path) if planning.is_saved_plan(path) else None


def show(
    other: Other, after: AnyPlan, terminal: Terminal, output: DocumentFormat, *, full: bool
) -> bool:
    """Write the difference to stdout, and return whether there is none."""
    before = other.plan_file
    if isinstance(before, SweepFile) and isinstance(after, PlanFile):
        same_run = counterpart(before, after)
        if same_run is not None:
            said = f"{other.words} is a sweep of {len(before.shards)} runs: "
            said += f"{shard_name(same_run)} is compared"
            other = replace(other, plan_file=same_run, notes=(*other.notes, said))
            return show_one(other, after, terminal, output, full=full).same
    if isinstance(after, SweepFile) or isinstance(before, SweepFile):
        diff = compare_sweeps(before, after)
        show_sweep(diff, other, terminal, output, full=full)
        return diff.same
    return show_one(other, after, terminal, output, full=full).same


def show_one(
    other: Other, after: PlanFile, terminal: Terminal, output: DocumentFormat, *, full: bool
) -> PlanDiff:
    """Write the difference of two plans to stdout, and return it."""
    assert not isinstance(other.plan_file, SweepFile)  # noqa: S101 - `show` saw to it
    diff = compare(other.plan_file, after)
    for note in other.notes:
        terminal.alert(f"note: {line(note)}.")
    if output is DocumentFormat.JSON:
        from runpod_deploy.cli.diff_json import diff_document  # noqa: PLC0415 - only this format

        terminal.document(diff_document(diff, other.words))
    elif output is DocumentFormat.MARKDOWN:
        terminal.data(_markdown(diff, other).encode("utf-8", "backslashreplace"))
    elif terminal.quiet:
        terminal.print("same" if diff.same else "changed")
    elif diff.before is None:
        from runpod_deploy.cli.plan_view import render_plan  # noqa: PLC0415 - likewise

        terminal.print(render_plan(after, terminal.out, width=terminal.width, scripts=full))
        terminal.print(f"{terminal.out.good('New')} {line(other.words)} has no such job file")
    else:
        from runpod_deploy.cli.diff_view import render_diff  # noqa: PLC0415 - likewise

        width = terminal.width
        terminal.print(render_diff(diff, other.words, terminal.out, width=width, full=full))
    return diff


def show_sweep(
    diff: SweepDiff, other: Other, terminal: Terminal, output: DocumentFormat, *, full: bool
) -> None:
    """Write the difference of two sweeps, or of a sweep and a single run, to stdout."""
    from runpod_deploy.cli import sweep_diff_view as view  # noqa: PLC0415 - sweeps only
    from runpod_deploy.cli.sweep_plan import markdown_sweep, render_sweep  # noqa: PLC0415 - likewise

    for note in other.notes:
        terminal.alert(f"note: {line(note)}.")
    style, width = terminal.out, terminal.width
    new = diff.after if diff.before is None and isinstance(diff.after, SweepFile) else None
    if output is DocumentFormat.JSON:
        terminal.document(view.sweep_diff_document(diff, other.words))
    elif output is DocumentFormat.MARKDOWN:
        if new is not None:
            text = markdown_sweep(new, note=_new(other))
        else:
            text = view.markdown_sweep_diff(diff, other.words, other.notes)
        terminal.data(text.encode("utf-8", "backslashreplace"))
    elif terminal.quiet:
        terminal.print("same" if diff.same else "changed")
    elif new is not None:
        terminal.print(render_sweep(new, style, width=width, scripts=full))
        terminal.print(f"{style.good('New')} {line(other.words)} has no such job file")
    else:
        terminal.print(view.render_sweep_diff(diff, other.words, style, width=width, full=full))


def _new(other: Other) -> str:
    from runpod_deploy.cli.markdown import code  # noqa: PLC0415 - only this format

    return f"**New**: {code(other.words, 100)} has no such job file."


def _markdown(diff: PlanDiff, other: Other) -> str:
    if diff.before is None:
        from runpod_deploy.cli.plan_markdown import markdown_plan  # noqa: PLC0415 - likewise

        return markdown_plan(diff.after, note=_new(other))
    from runpod_deploy.cli.diff_markdown import markdown_diff  # noqa: PLC0415 - likewise

    return markdown_diff(diff, other.words, other.notes)
