"""What a plan is compared with, and how the difference is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.cli import planning
from runpod_deploy.cli.arguments import DocumentFormat
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.plan_diff import PlanDiff, compare
from runpod_deploy.errors import InvalidInput

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
        plan_file: None when the job was not there.
        notes: What could not be compared, in sentences.
    """

    plan_file: PlanFile | None
    words: str
    notes: tuple[str, ...] = ()


def find_saved(text: str) -> PlanFile:
    """Return the plan in a saved file or in a run folder.

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
    """Return what a saved plan, or a run by its folder, is called."""
    return f"the run {path.name}" if path.is_dir() else str(path)


def _saved(path: Path) -> PlanFile | None:
    if path.is_dir() and (path / PLAN_NAME).is_file():
        return planning.load_plan(path / PLAN_NAME)
    return planning.load_plan(path) if planning.is_saved_plan(path) else None


def show(
    other: Other, after: PlanFile, terminal: Terminal, output: DocumentFormat, *, full: bool
) -> PlanDiff:
    """Write the difference to stdout, and return it."""
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


def _markdown(diff: PlanDiff, other: Other) -> str:
    if diff.before is None:
        from runpod_deploy.cli.markdown import code  # noqa: PLC0415 - only this format
        from runpod_deploy.cli.plan_markdown import markdown_plan  # noqa: PLC0415 - likewise

        note = f"**New**: {code(other.words, 100)} has no such job file."
        return markdown_plan(diff.after, note=note)
    from runpod_deploy.cli.diff_markdown import markdown_diff  # noqa: PLC0415 - likewise

    return markdown_diff(diff, other.words, other.notes)
