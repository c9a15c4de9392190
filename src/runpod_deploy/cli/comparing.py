"""What a plan is compared with, and how the difference is shown."""

import json
from dataclasses import dataclass
from pathlib import Path

from runpod_deploy.cli import planning
from runpod_deploy.cli.arguments import DocumentFormat
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.plan_diff import PlanDiff, compare
from runpod_deploy.errors import InvalidInput

PLAN_NAME = "plan.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Other:
    """The other plan, and what it is called."""

    plan_file: PlanFile
    words: str


def find(text: str) -> Other:
    """Return the plan in a saved file or in a run folder.

    Raises:
        InvalidInput: There is none.
        PlanRefused: It was changed, or is of another version.
    """
    path = Path(text)
    if path.is_dir() and (path / PLAN_NAME).is_file():
        return Other(plan_file=planning.load_plan(path / PLAN_NAME), words=f"the run {path.name}")
    if path.is_file():
        if not planning.is_saved_plan(path):
            raise InvalidInput(
                f"{path} is no saved plan",
                help="Save one with:\n  runpod-deploy plan JOB.yaml --out plan.json",
            )
        return Other(plan_file=planning.load_plan(path), words=str(path))
    raise InvalidInput(
        f"{text} is neither a saved plan nor a run folder",
        help=f"A run folder holds a `{PLAN_NAME}`.",
    )


def show(
    other: Other, after: PlanFile, terminal: Terminal, output: DocumentFormat, *, full: bool
) -> PlanDiff:
    """Write the difference to stdout, and return it."""
    diff = compare(other.plan_file, after)
    if output is DocumentFormat.JSON:
        from runpod_deploy.cli.diff_json import diff_document  # noqa: PLC0415 - only this format

        document = diff_document(diff, other.words)
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        terminal.data(f"{text}\n".encode("utf-8", "backslashreplace"))
    elif output is DocumentFormat.MARKDOWN:
        from runpod_deploy.cli.diff_markdown import markdown_diff  # noqa: PLC0415 - likewise

        terminal.data(markdown_diff(diff, other.words).encode("utf-8", "backslashreplace"))
    elif terminal.quiet:
        terminal.print("same" if diff.same else "changed")
    else:
        from runpod_deploy.cli.diff_view import render_diff  # noqa: PLC0415 - likewise

        width = terminal.width
        terminal.print(render_diff(diff, other.words, terminal.out, width=width, full=full))
    return diff
