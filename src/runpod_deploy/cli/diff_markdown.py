"""The difference of two plans as Markdown for a pull request: cost first, cut where it must be."""

import re
from collections.abc import Iterator, Sequence

from runpod_deploy.cli import diff_summary as summary
from runpod_deploy.cli.diff_view import file_line
from runpod_deploy.cli.diff_words import TITLES
from runpod_deploy.cli.markdown import (
    LONGEST_LINE,
    cell,
    cell_pair,
    code,
    fence,
    html_code,
    same_start,
    table,
    unfolded,
)
from runpod_deploy.cli.markdown_limit import MOST, Part, fitted
from runpod_deploy.compiler.plan_diff import PlanDiff, ScriptChange

_NAME = 50
# The commands on the pod, `scripts.….command`, are no text of the job file.
_COMMANDS = re.compile(r"secrets\..*\.command|notify\.command", re.DOTALL)
_SUMMED_UP = ("cost", "hardware")


def markdown_diff(
    diff: PlanDiff, against: str, notes: Sequence[str] = (), *, most: int = MOST
) -> str:
    """Return the difference of a job that was there before, as Markdown.

    Args:
        against: What the plan is compared with, in words.
        notes: What could not be compared, in sentences.
        most: The longest that the text may be, in bytes with line breaks counted twice.
    """
    return fitted([_headline(diff, against), *parts_of_diff(diff), *noted(notes)], most)


def parts_of_diff(diff: PlanDiff, *, kept: bool = True) -> Iterator[Part]:
    """Yield the stretches that tell what differs, what matters most first.

    Args:
        kept: Whether cost and hardware are there in any case.
    """
    if diff.same:
        return
    for name in TITLES:
        yield from _section(diff, name, kept=kept)
        yield from (_command(one) for one in summary.changed_rows(diff, name) if _runs_here(one))
        if name == "scripts":
            yield from map(_script, diff.scripts)
        if name == "payload":
            labels = dict.fromkeys(one.label for one in diff.files)
            yield from (_payload(diff, label) for label in labels)


def _headline(diff: PlanDiff, against: str) -> Part:
    job = diff.after.plan.job
    was = "" if diff.before is None or diff.same else f" (was {_hash(diff.before.plan_hash)})"
    lines = [
        f"### Plan of {code(job.name, 100)}",
        "",
        f"{code(job.file)} against {code(against, 100)}: **{summary.overview(diff)}**",
        "",
        f"Plan {_hash(diff.after.plan_hash)}{was}",
        "",
    ]
    return Part(name="headline", head=lines, kept=True)


def noted(notes: Sequence[str]) -> Iterator[Part]:
    """Yield what could not be compared."""
    if notes:
        yield Part(name="notes", body=[f"- {code(note)}" for note in notes], foot=[""], noun="note")


def _hash(text: str) -> str:
    return code(text, 80)


def _section(diff: PlanDiff, name: str, *, kept: bool) -> Iterator[Part]:
    always = summary.summary_rows(diff, name)
    changed = [one for one in summary.changed_rows(diff, name) if not _runs_here(one)]
    if not always and not changed:
        return
    title = TITLES[name]
    rows = table(("", "before", "after"), [*map(_row, [*always, *changed])])
    first = 2 + len(always)
    yield Part(
        name=title,
        head=[f"#### {title}", "", *rows[:first]],
        body=rows[first:],
        foot=[""],
        noun="changed value",
        kept=kept and name in _SUMMED_UP,
    )


def _row(row: summary.DiffRow) -> Sequence[str]:
    if row.before is None or not row.changed:
        return (row.label, "", cell(row.after))
    label = cell(row.label, 120) if row.dotted else row.label
    before, after = cell_pair(row.before, row.after)
    return (f"**{label}**", before, f"**{after}**")


def _runs_here(row: summary.DiffRow) -> bool:
    """Whether a value is a command that runs on the reader's machine."""
    return bool(_COMMANDS.fullmatch(row.label))


def _command(row: summary.DiffRow) -> Part:
    """Return a command of before and after whole: it is what the reader agrees to."""
    lines = [*unfolded(row.before or "", "-"), *unfolded(row.after, "+")]
    opening, shown, closing = fence(lines, "diff")
    what = code(row.label, 120)
    head = [f"{what}, run on the machine that applies this:", "", opening]
    return Part(name=f"command {what}", head=head, body=shown, foot=[closing, ""])


def _script(change: ScriptChange) -> Part:
    lines = summary.script_lines(change)
    said = summary.script_headline(change, lines)
    opening, shown, closing = fence(_from_where_they_differ(lines), "diff")
    fold = "" if change.phase == "pod" else " open"
    return Part(
        name=f"script {code(change.name, _NAME)}",
        head=[
            f"<details{fold}><summary>script {html_code(change.name, 100)}: {said}</summary>",
            "",
            opening,
        ],
        body=shown,
        foot=[closing, "", "</details>", ""],
    )


def _from_where_they_differ(lines: Sequence[str]) -> list[str]:
    """Return lines of a unified diff; of a pair that is too long, what is the same is left out.

    A pair is the first long line that went and the first that came at one place, and so on.
    """
    shown = list(lines)
    gone: list[int] = []
    came: list[int] = []
    for number, text in enumerate([*lines, " "]):
        if text[:1] not in {"-", "+"}:
            for old, new in zip(gone, came, strict=False):
                shown[old], shown[new] = _pair(lines[old], lines[new])
            gone, came = [], []
        elif len(text) > LONGEST_LINE // 2:
            (gone if text[0] == "-" else came).append(number)
    return shown


def _pair(old: str, new: str) -> tuple[str, str]:
    begin = same_start(old[1:], new[1:], LONGEST_LINE)
    if not begin:
        return old, new
    cut = f"({begin:,} characters the same) … "
    return f"-{cut}{old[1 + begin :]}", f"+{cut}{new[1 + begin :]}"


def _payload(diff: PlanDiff, label: str) -> Part:
    files = [one for kind in diff.files_by_kind(label).values() for one in kind]
    opening, shown, closing = fence(map(file_line, files), "diff")
    said = summary.payload_headline(diff, label)
    return Part(
        name=f"payload {code(label, _NAME)}",
        head=[
            f"<details open><summary>payload {html_code(label, 100)}: {said}</summary>",
            "",
            opening,
        ],
        body=shown,
        foot=[closing, "", "</details>", ""],
        noun="changed file",
    )
