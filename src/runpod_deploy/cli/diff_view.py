"""The difference of two plans on the terminal: cost first, what is the same left out."""

from collections.abc import Iterator

from runpod_deploy.cli import diff_summary as summary
from runpod_deploy.cli.amounts import size
from runpod_deploy.cli.diagnostics import cells
from runpod_deploy.cli.diff_words import TITLES
from runpod_deploy.cli.layout import INDENT, LABEL, folded, pad, section
from runpod_deploy.cli.printable import block, line
from runpod_deploy.cli.style import Style
from runpod_deploy.compiler.plan import PayloadEntry
from runpod_deploy.compiler.plan_diff import FileChange, PlanDiff, ScriptChange

MOST_FILES = 30
ARROW = " → "


def render_diff(diff: PlanDiff, against: str, style: Style, *, width: int, full: bool) -> str:
    """Return the difference as text, without a line break at its end.

    Args:
        against: What the plan is compared with, in words.
        full: Show every file of the payload, and our own scripts on the pod as well.
    """
    return "\n".join(_View(diff, against, style, width, full=full).lines())


def change_lines(diff: PlanDiff, style: Style, *, width: int, full: bool) -> list[str]:
    """Return the changes alone, as `render_diff` shows them."""
    return list(_View(diff, "", style, width, full=full).changes())


class _View:
    def __init__(
        self, diff: PlanDiff, against: str, style: Style, width: int, *, full: bool
    ) -> None:
        self.diff = diff
        self.against = against
        self.style = style
        self.width = width
        self.full = full

    def lines(self) -> Iterator[str]:
        job = self.diff.after.plan.job
        yield f"{self.style.bold(line(job.name))}  {self.style.dim(line(job.file))}"
        yield f"{self.style.dim('against')} {line(self.against)}"
        yield ""
        yield from self.changes()
        if self.diff.same:
            yield self.style.good("No change")
        else:
            yield from self.overview()
        yield f"{self.style.bold('Plan')} {self.style.accent(line(self.diff.after.plan_hash))}"
        if self.diff.before is not None and not self.diff.same:
            yield self.style.dim(f"was  {line(self.diff.before.plan_hash)}")

    def changes(self) -> Iterator[str]:
        if not self.diff.same:
            for name in TITLES:
                yield from self.section(name)

    def overview(self) -> list[str]:
        first, *rest = folded(f"Changes {line(summary.overview(self.diff))}", self.width)
        return [first.replace("Changes", self.style.bold("Changes"), 1), *rest]

    def section(self, name: str) -> list[str]:
        body = [
            piece
            for row in [
                *summary.summary_rows(self.diff, name),
                *summary.changed_rows(self.diff, name),
            ]
            for piece in self.row(row)
        ]
        if name == "scripts":
            body += [text for one in self.diff.scripts for text in self.script(one)]
        if name == "payload":
            labels = dict.fromkeys(one.label for one in self.diff.files)
            body += [text for label in labels for text in self.payload(label)]
        return section(TITLES[name], "", body, self.style) if body else []

    def row(self, row: summary.DiffRow) -> list[str]:
        label, after = line(row.label), line(row.after)
        if not row.changed:
            return self.hanging(label, after, dim=self.diff.before is not None)
        before = line(row.before or "")
        joined = f"{before}{ARROW}{after}"
        if cells(joined) + len(INDENT) + max(LABEL, cells(label) + 2) <= self.width:
            colored = f"{self.style.bad(before)}{ARROW}{self.style.good(after)}"
            return [f"{INDENT}{pad(label + '  ', LABEL)}{colored}"]
        return [
            f"{INDENT}{label}",
            *(self.style.bad(one) for one in self.wrapped("- ", before)),
            *(self.style.good(one) for one in self.wrapped("+ ", after)),
        ]

    def wrapped(self, mark: str, text: str) -> list[str]:
        room = max(24, self.width - 2 * len(INDENT) - 2)
        first, *rest = folded(text, room)
        return [f"{INDENT * 2}{mark}{first}", *(f"{INDENT * 3}{one}" for one in rest)]

    def hanging(self, label: str, text: str, *, dim: bool) -> list[str]:
        room = max(24, self.width - len(INDENT) - LABEL)
        first, *rest = folded(text, room)
        lines = [f"{INDENT}{pad(label, LABEL)}{first}"]
        lines += [f"{INDENT}{' ' * LABEL}{one}" for one in rest]
        return [self.style.dim(one) for one in lines] if dim else lines

    def script(self, change: ScriptChange) -> Iterator[str]:
        texts = summary.script_lines(change)
        head = summary.script_headline(change, texts)
        yield f"{INDENT}{self.style.bold(line(change.name))}  {head}"
        if change.phase == "pod" and not self.full:
            yield self.style.dim(f"{INDENT * 2}in full with --scripts")
            return
        for text in texts:
            yield f"{INDENT * 2}{self.tinted(block(text))}".rstrip()

    def tinted(self, text: str) -> str:
        if text.startswith("@@"):
            return self.style.accent(text)
        if text.startswith("+"):
            return self.style.good(text)
        return self.style.bad(text) if text.startswith("-") else text

    def payload(self, label: str) -> Iterator[str]:
        head = summary.payload_headline(self.diff, label)
        start, *more = folded(f"{line(label)}  {head}", max(24, self.width - 2 * len(INDENT)))
        yield f"{INDENT}{start.replace(line(label), self.style.bold(line(label)), 1)}"
        yield from (f"{INDENT * 2}{one}" for one in more)
        files = [one for kind in self.diff.files_by_kind(label).values() for one in kind]
        shown = files if self.full else files[:MOST_FILES]
        for one in shown:
            yield f"{INDENT * 2}{self.tinted(line(file_line(one)))}"
        if len(files) > len(shown):
            rest = f"… and {len(files) - len(shown):,} more, in full with --scripts"
            yield self.style.dim(f"{INDENT * 2}{rest}")


def file_line(change: FileChange) -> str:
    """Return a changed file as one line that begins with its mark: `+`, `-` or `!`."""
    before, after = change.before, change.after
    if before is None or after is None:
        there = after or before
        assert there is not None  # noqa: S101 - a change has one side at least
        mark = "-" if after is None else "+"
        return f"{mark} {_named(change.path)}  {_told(there)}"
    if change.moved_from is not None:
        extra = "" if before.exec == after.exec else f", {_mode(after)}"
        return f"! {_named(change.moved_from)} → {_named(change.path)}  moved{extra}"
    said = [_told(before), _told(after)]
    if said[0] == said[1]:
        return f"! {_named(change.path)}  {said[0]}, other content"
    if before.sha256 == after.sha256 and before.type == after.type:
        return f"! {_named(change.path)}  {_mode(before)} → {_mode(after)}"
    return f"! {_named(change.path)}  {said[0]} → {said[1]}"


def _named(path: str) -> str:
    return path or "(the file itself)"


def _mode(entry: PayloadEntry) -> str:
    return "executable" if entry.exec else "not executable"


def _told(entry: PayloadEntry) -> str:
    if entry.type == "link":
        return f"link to {entry.target}"
    return f"{size(entry.size)}{', executable' if entry.exec else ''}"
