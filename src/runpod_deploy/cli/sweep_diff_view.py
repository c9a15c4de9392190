"""The difference of two sweeps: which runs came, went or do something else, and what that is.

Runs that differ alike are told once, under all their names; a new run is told by what it does
otherwise than the nearest one of before. A job that is no sweep counts as one of one run.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from runpod_deploy.cli.amounts import count, usd
from runpod_deploy.cli.diff_json import diff_document
from runpod_deploy.cli.diff_markdown import noted
from runpod_deploy.cli.diff_words import NOTHING
from runpod_deploy.cli.layout import INDENT, folded, section
from runpod_deploy.cli.markdown import cell, code, table
from runpod_deploy.cli.markdown_limit import MOST, Part, fitted
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.run_groups import group_lines, group_parts
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.sweep_plan import together
from runpod_deploy.compiler.alike import RunKind
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.sweep_diff import KINDS, AnyPlan, SweepDiff, first_of, runs_of
from runpod_deploy.compiler.sweepfile import SweepFile

SWEEP_DIFF_FORMAT = "runpod-deploy.sweep-diff/1"
_WORDS: dict[RunKind, str] = {
    "changed": "changed",
    "added": "new",
    "removed": "gone",
    "same": "the same",
}
_REORDERED = "the same runs, begun in another order"


def render_sweep_diff(
    diff: SweepDiff, against: str, style: Style, *, width: int, full: bool
) -> str:
    """Return the difference as text, without a line break at its end; arguments as `render_diff`."""
    job = first_of(diff.after).plan.job
    lines = [
        f"{style.bold(line(job.name))}  {style.dim(line(job.file))}",
        f"{style.dim('against')} {line(against)}",
        "",
    ]
    if diff.same:
        lines.append(style.good("No change"))
    else:
        lines += section("All runs together", "", list(_sums(diff, style)), style)
        lines += section("Runs", overview(diff), list(_named(diff, style, width)), style)
        lines += group_lines(diff.groups, style, width=width, full=full)
    lines.append(f"{style.bold(_what(diff.after))} {style.accent(line(diff.after.plan_hash))}")
    if diff.before is not None and not diff.same:
        lines.append(style.dim(f"was   {line(diff.before.plan_hash)}"))
    return "\n".join(lines)


def overview(diff: SweepDiff) -> str:
    """Return how many runs there are of each kind: `2 changed, 1 new`."""
    if diff.same:
        return "no change"
    if diff.reordered:
        return _REORDERED
    turned = "" if diff.both_sweeps else f"{_size(_before(diff))} became {_size(diff.after)}: "
    numbers = {kind: len(diff.names(kind)) for kind in KINDS}
    told = (f"{number:,} {_WORDS[kind]}" for kind, number in numbers.items() if number)
    return turned + ", ".join(told)


def markdown_sweep_diff(
    diff: SweepDiff, against: str, notes: Sequence[str] = (), *, most: int = MOST
) -> str:
    """Return the difference of a sweep that was there before; arguments as `markdown_diff`."""
    job = first_of(diff.after).plan.job
    was = "" if diff.same else f" (was {code(_before(diff).plan_hash, 80)})"
    head = [
        f"### {_what(diff.after)} of {code(job.name, 100)}, {count(len(runs_of(diff.after)), 'run')}",
        "",
        f"{code(job.file)} against {code(against, 100)}: **{overview(diff)}**",
        "",
        f"{_what(diff.after)} {code(diff.after.plan_hash, 80)}{was}",
        "",
    ]
    parts = [Part(name="headline", head=head, kept=True)]
    if not diff.same:
        rows = [
            (label, *map(cell, (before, after)))
            if before == after
            else (f"**{label}**", cell(before), f"**{cell(after)}**")
            for label, before, after in _sums_of(diff)
        ]
        title = ["#### All runs together", ""]
        sums = [*title, *table(("", "before", "after"), rows), ""]
        parts += [Part(name="All runs together", head=sums, kept=True), *_runs(diff)]
        parts += group_parts(diff.groups)
    return fitted([*parts, *noted(notes)], most)


def sweep_diff_document(diff: SweepDiff, against: str) -> dict[str, Any]:
    """Return the difference as JSON-like data: every run, with what it does otherwise."""
    return {
        "format": SWEEP_DIFF_FORMAT,
        "job": first_of(diff.after).plan.job.file,
        "against": against,
        "same": diff.same,
        "before": None if diff.before is None else _side(diff.before),
        "after": _side(diff.after),
        "runs": [
            {
                "name": one.name,
                "kind": one.kind,
                "compared_with": one.beside,
                "diff": diff_document(one.diff, one.beside or against)
                if one.diff is not None and one.kind != "same"
                else None,
            }
            for one in diff.runs
        ],
    }


def _side(plan: AnyPlan) -> dict[str, Any]:
    name = first_of(plan).plan.job.name
    return {"plan_hash": plan.plan_hash, "name": name, "runs": len(runs_of(plan))}


def _before(diff: SweepDiff) -> AnyPlan:
    assert diff.before is not None  # noqa: S101 - what is new is shown whole, not as a difference
    return diff.before


def _what(plan: AnyPlan) -> str:
    return "Sweep" if isinstance(plan, SweepFile) else "Plan"


def _size(plan: AnyPlan) -> str:
    runs = count(len(runs_of(plan)), "run")
    return f"a sweep of {runs}" if isinstance(plan, SweepFile) else "one run"


def _sums_of(diff: SweepDiff) -> Iterator[tuple[str, str, str]]:
    """Yield what all runs together may cost, and how they are carried out, before and after."""
    old, new = _all_runs(_before(diff)), _all_runs(diff.after)
    lacking = "not known" if diff.both_sweeps else NOTHING
    for label in dict.fromkeys([*new, *old]):
        yield label, old.get(label, lacking), new.get(label, lacking)


def _all_runs(plan: AnyPlan) -> dict[str, str]:
    runs = {"runs": f"{len(runs_of(plan)):,}"}
    if isinstance(plan, PlanFile):
        return {**runs, "cost": f"at most {usd(plan.plan.budget.cost_cap_usd)}: the run's cap"}
    return {**runs, **{row.label: row.text for row in together(plan)}}


def _sums(diff: SweepDiff, style: Style) -> Iterator[str]:
    for label, before, after in _sums_of(diff):
        if before == after:
            yield style.dim(f"{INDENT}{label:<16}{line(after)}")
        else:
            yield f"{INDENT}{label}"
            yield style.bad(f"{INDENT * 2}- {line(before)}")
            yield style.good(f"{INDENT * 2}+ {line(after)}")


def _named(diff: SweepDiff, style: Style, width: int) -> Iterator[str]:
    for kind in KINDS:
        names = diff.names(kind)
        if names and kind != "same":
            text = f"{_WORDS[kind]}: {', '.join(map(line, names))}"
            yield from (f"{INDENT}{one}" for one in folded(text, width - len(INDENT)))
        elif names:
            yield style.dim(f"{INDENT}the same: {count(len(names), 'run')}")


def _runs(diff: SweepDiff) -> Iterator[Part]:
    rows = [
        (cell(one.name), _WORDS[one.kind], *map(_hash, (one.before, one.after)))
        for kind in KINDS[:3]
        for one in diff.runs
        if one.kind == kind
    ]
    if rows:
        lines = table(("run", "", "before", "after"), rows)
        yield Part(
            name="Runs",
            head=["#### Runs", "", *lines[:2]],
            body=lines[2:],
            foot=[""],
            noun="run",
        )


def _hash(plan_file: Any) -> str:
    return "" if plan_file is None else code(plan_file.plan_hash.removeprefix("sha256:")[:12])
