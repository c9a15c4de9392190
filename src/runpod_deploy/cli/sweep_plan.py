"""A sweep's plans, shown: its runs as a table, how they differ from the first, then the first's plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from runpod_deploy.cli.amounts import count, usd
from runpod_deploy.cli.arguments import DocumentFormat
from runpod_deploy.cli.layout import INDENT, Row, labelled, section, table
from runpod_deploy.cli.plan_view import render_plan
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.alike import from_the_first
from runpod_deploy.compiler.plan import PlanFile, PlanShard
from runpod_deploy.compiler.sweepfile import SweepFile, dumps
from runpod_deploy.errors import Diagnostic
from runpod_deploy.schema.policy import Policy

MOST_RUNS = 30
MOST_LINES = 120
_HEAD = ("run", "plan", "differs in")


def show_sweep(
    sweep: SweepFile,
    terminal: Terminal,
    output: DocumentFormat,
    *,
    scripts: bool,
    out: Path | None,
    policies: Sequence[Policy] = (),
    path: Path,
    save: Callable[[Path, SweepFile], SweepFile] | None = None,
    instead: Callable[[], bool] | None = None,
) -> bool:
    """Show a sweep in the form that was asked for, and save it where it was asked to be.

    Args:
        policies: What the plans of all runs must keep; a sweep that does not is not saved.
        path: The file that the sweep is from.
        save: Writes it, and returns it as it was written.
        instead: Shows how it differs from another plan, and returns whether it does not.

    Returns:
        Whether it does the same as what it was compared with.

    Raises:
        PlanRefused: A run breaks a rule; each was told.
    """
    broken = _broken(sweep, policies, path)
    if out is not None and save is not None and not broken:
        sweep = save(out, sweep)
    same = True
    if instead is not None:
        same = instead()
    elif output is DocumentFormat.JSON:
        terminal.data(dumps(sweep))
    elif output is DocumentFormat.MARKDOWN:
        terminal.data(markdown_sweep(sweep).encode("utf-8", "backslashreplace"))
    elif terminal.quiet:
        terminal.print(sweep.plan_hash)
    else:
        text = render_sweep(sweep, terminal.out, width=terminal.width, scripts=scripts)
        terminal.print(text)
    if broken:
        from runpod_deploy.cli.policing import refusal  # noqa: PLC0415 - only with --policy

        terminal.findings(broken)
        raise refusal(broken, "" if out is None else f", and {out} was not written")
    if out is not None:
        terminal.say(f"Sweep written to {out}. To carry it out, once:\n  runpod-deploy apply {out}")
    return same


def _broken(sweep: SweepFile, policies: Sequence[Policy], path: Path) -> tuple[Diagnostic, ...]:
    """Return the rules that runs of the sweep break, what several break once."""
    if not policies:
        return ()
    from runpod_deploy.cli.policing import broken_rules  # noqa: PLC0415 - only with --policy

    return broken_rules(policies, sweep.shards, str(path))


def render_sweep(sweep: SweepFile, style: Style, *, width: int, scripts: bool = False) -> str:
    """Return a sweep as text, without a line break at its end."""
    from runpod_deploy.cli.run_groups import group_lines  # noqa: PLC0415 - sweeps only

    runs = [[f"{number}", *one] for number, one in enumerate(_rows(sweep), 1)]
    body = table(runs[:MOST_RUNS], style, head=["", *_HEAD], right="r")
    if len(runs) > MOST_RUNS:
        body.append(f"{INDENT}… and {len(runs) - MOST_RUNS} more; all are in --format json")
    name = _matrix(sweep.first).name
    job = sweep.first.plan.job
    groups = [
        [f"{style.bold(line(job.name))}  {style.dim(line(job.file))}", ""],
        section(f"Sweep of {count(len(runs), 'run')}", "", body, style),
        section("All runs together", "", labelled(together(sweep), style, width), style),
        list(
            group_lines(
                from_the_first(sweep.shards),
                style,
                width=width,
                full=scripts,
                within=True,
                most=None if scripts else MOST_LINES,
            )
        ),
        [style.bold(f"The first run, {line(name)}; the others differ from it as told above"), ""],
        [render_plan(sweep.first, style, width=width, scripts=scripts), ""],
        [f"{style.bold('Sweep')}  {sweep.plan_hash}"],
    ]
    return "\n".join(one for group in groups for one in group)


def markdown_sweep(sweep: SweepFile, *, note: str = "") -> str:
    """Return a sweep as Markdown, short enough for a comment on a pull request.

    Args:
        note: A sentence about the sweep, such as that it is new; not foreign text.
    """
    from runpod_deploy.cli.markdown import cell, code  # noqa: PLC0415 - only for Markdown
    from runpod_deploy.cli.markdown_limit import MOST, Part, fitted  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.plan_markdown import part_of_table, parts_of  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.run_groups import group_parts  # noqa: PLC0415 - likewise

    job = sweep.first.plan.job
    runs = [[cell(one) for one in row] for row in _rows(sweep)]
    head = [
        f"### Sweep of {code(job.name, 100)}, {count(len(runs), 'run')}",
        "",
        code(job.file),
        "",
        *([note, ""] if note else []),
        f"Sweep {code(sweep.plan_hash, 80)}",
        "",
    ]
    sums = [(row.label, cell(row.text)) for row in together(sweep)]
    parts = [
        Part(name="headline", head=head, kept=True),
        part_of_table("All runs together", ("", ""), sums, "row", kept=True),
        part_of_table("Runs", _HEAD, runs, "run"),
        *group_parts(from_the_first(sweep.shards), kept=False, within=True),
        *parts_of(sweep.first, "This is the first run; the others differ from it as told above."),
    ]
    return fitted(parts, MOST)


def _rows(sweep: SweepFile) -> Iterator[list[str]]:
    for one in sweep.shards:
        digest = one.plan_hash.removeprefix("sha256:")[:12]
        yield [
            _matrix(one).name,
            digest,
            ", ".join(_differences(sweep.first, one))
            or ("" if one is sweep.first else "variables"),
        ]


def _differences(first: PlanFile, other: PlanFile) -> Iterator[str]:
    """Yield the parts of a run's plan, beside its variables, that are not those of the first."""
    ours, theirs = first.plan, other.plan
    if [one.text for one in ours.scripts] != [one.text for one in theirs.scripts]:
        yield "scripts"
    for part in (
        *("candidates", "pod", "storage", "staging", "secrets", "artifacts", "run"),
        *("lifecycle", "lease", "budget"),
    ):
        if getattr(ours, part) != getattr(theirs, part):
            yield part


def together(sweep: SweepFile) -> Iterator[Row]:
    """Yield what is said of all runs of a sweep at once."""
    matrix, runs = _matrix(sweep.first), len(sweep.shards)
    at_a_time = min(matrix.max_parallel or runs, runs)
    yield Row(label="at a time", text=f"{at_a_time}", default=matrix.max_parallel is None)
    caps = sum(one.plan.budget.cost_cap_usd for one in sweep.shards)
    if matrix.cap_usd is None:
        text = f"at most {usd(caps)}: the sum of the runs' caps"
    else:
        text = f"at most {usd(min(caps, matrix.cap_usd))}: a run begins only when its cap fits in"
    yield Row(label="cost", text=text, default=matrix.cap_usd is None)
    typical = [
        made.typical.usd
        for made in (one.observed.estimate for one in sweep.shards)
        if made is not None and made.typical is not None and made.typical.usd is not None
    ]
    if len(typical) == runs:
        yield Row(label="as usual", text=f"{usd(sum(typical))}, by earlier runs of this job")
    fails = "the sweep ends, and what is under way is cancelled" if matrix.fail_fast else "go on"
    yield Row(label="when one fails", text=fails, default=not matrix.fail_fast)


def _matrix(plan_file: PlanFile) -> PlanShard:
    matrix = plan_file.plan.matrix
    assert matrix is not None  # noqa: S101 - a sweep file holds no other plans
    return matrix
