"""The difference of two sweeps: which runs came, went or do something else, and what that is.

Runs that differ alike are told once, under all their names.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from runpod_deploy.cli.amounts import count
from runpod_deploy.cli.diff_json import diff_document
from runpod_deploy.cli.diff_markdown import noted, parts_of_diff
from runpod_deploy.cli.diff_view import change_lines
from runpod_deploy.cli.layout import INDENT, folded, section
from runpod_deploy.cli.markdown import cell, code, table
from runpod_deploy.cli.markdown_limit import MOST, Part, fitted
from runpod_deploy.cli.printable import line
from runpod_deploy.cli.style import Style
from runpod_deploy.cli.sweep_plan import together
from runpod_deploy.compiler.sweep_diff import KINDS, RunKind, SweepDiff
from runpod_deploy.compiler.sweepfile import SweepFile

SWEEP_DIFF_FORMAT = "runpod-deploy.sweep-diff/1"
MOST_GROUPS = 10
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
    job = diff.after.first.plan.job
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
        for changes, names in diff.groups[:MOST_GROUPS]:
            lines += [style.bold(one) for one in folded(_heading(names), width)]
            lines += ["", *change_lines(changes, style, width=width, full=full)]
        if len(diff.groups) > MOST_GROUPS:
            rest = len(diff.groups) - MOST_GROUPS
            lines += [style.dim(f"… and {count(rest, 'other change')}, in --format json"), ""]
    lines.append(f"{style.bold('Sweep')} {style.accent(line(diff.after.plan_hash))}")
    if diff.before is not None and not diff.same:
        lines.append(style.dim(f"was   {line(diff.before.plan_hash)}"))
    return "\n".join(lines)


def overview(diff: SweepDiff) -> str:
    """Return how many runs there are of each kind: `2 changed, 1 new`."""
    if diff.same:
        return "no change"
    if diff.reordered:
        return _REORDERED
    numbers = {kind: len(diff.names(kind)) for kind in KINDS}
    return ", ".join(f"{number:,} {_WORDS[kind]}" for kind, number in numbers.items() if number)


def markdown_sweep_diff(
    diff: SweepDiff, against: str, notes: Sequence[str] = (), *, most: int = MOST
) -> str:
    """Return the difference of a sweep that was there before; arguments as `markdown_diff`."""
    job = diff.after.first.plan.job
    was = "" if diff.same else f" (was {code(_before(diff).plan_hash, 80)})"
    head = [
        f"### Sweep of {code(job.name, 100)}, {count(len(diff.after.shards), 'run')}",
        "",
        f"{code(job.file)} against {code(against, 100)}: **{overview(diff)}**",
        "",
        f"Sweep {code(diff.after.plan_hash, 80)}{was}",
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
        for number, group in enumerate(diff.groups[:MOST_GROUPS]):
            parts += _group(*group, first=not number)
        if len(diff.groups) > MOST_GROUPS:
            rest = f"… and {count(len(diff.groups) - MOST_GROUPS, 'other change')} of other runs"
            parts.append(Part(name="other changes", head=[rest, ""], kept=True))
    return fitted([*parts, *noted(notes)], most)


def sweep_diff_document(diff: SweepDiff, against: str) -> dict[str, Any]:
    """Return the difference as JSON-like data: every run, those that changed with what changed."""
    return {
        "format": SWEEP_DIFF_FORMAT,
        "job": diff.after.first.plan.job.file,
        "against": against,
        "same": diff.same,
        "before": None if diff.before is None else _side(diff.before),
        "after": _side(diff.after),
        "runs": [
            {
                "name": one.name,
                "kind": one.kind,
                "diff": diff_document(one.diff, against)
                if one.diff is not None and one.kind == "changed"
                else None,
            }
            for one in diff.runs
        ],
    }


def _side(sweep: SweepFile) -> dict[str, Any]:
    name = sweep.first.plan.job.name
    return {"plan_hash": sweep.plan_hash, "name": name, "runs": len(sweep.shards)}


def _before(diff: SweepDiff) -> SweepFile:
    assert diff.before is not None  # noqa: S101 - what is new is shown whole, not as a difference
    return diff.before


def _sums_of(diff: SweepDiff) -> Iterator[tuple[str, str, str]]:
    """Yield what all runs together may cost, and how they are carried out, before and after."""
    old = {row.label: row.text for row in together(_before(diff))}
    new = {row.label: row.text for row in together(diff.after)}
    old, new = (
        {"runs": f"{len(one.shards):,}", **rows}
        for one, rows in ((_before(diff), old), (diff.after, new))
    )
    for label in dict.fromkeys([*new, *old]):
        yield label, old.get(label, "not known"), new.get(label, "not known")


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


def _heading(names: Sequence[str]) -> str:
    runs = "In the run" if len(names) == 1 else f"In {len(names):,} runs, as in the first of them:"
    return f"{runs} {', '.join(map(line, names))}"


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


def _group(changes: Any, names: Sequence[str], *, first: bool) -> Iterator[Part]:
    shown = ", ".join(code(one, 80) for one in names[:8])
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    where = "the run" if len(names) == 1 else f"{len(names):,} runs, as in the first of them:"
    head = [f"### In {where} {shown}{more}", ""]
    yield Part(name=f"changes of {code(names[0], 50)}", head=head, kept=True)
    # Cost and hardware of one group are always there; there may be too many groups to promise more.
    yield from parts_of_diff(changes, kept=first)
