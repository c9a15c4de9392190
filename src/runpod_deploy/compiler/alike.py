"""Runs that differ alike: their differences told once, under all their names.

Differences are alike when they are but for the values of each run's own axes, and only where the
run's name spells those values out: what a name does not show is told by itself.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from runpod_deploy.compiler.line_diff import unified
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.plan_diff import FieldChange, PlanDiff, ScriptChange, compare

RunKind = Literal["changed", "added", "removed", "same"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunChange:
    """What became of one run.

    Attributes:
        diff: None of a run that is gone.
        beside: The run of before that a new one is compared with; None of all others.
    """

    name: str
    diff: PlanDiff | None
    before: PlanFile | None
    after: PlanFile | None
    beside: str | None = None

    @property
    def kind(self) -> RunKind:
        """Whether the run came, went, does something else, or the same."""
        if self.before is None:
            return "added"
        if self.diff is None:
            return "removed"
        return "same" if self.diff.same else "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Runs that differ alike.

    Attributes:
        diff: Of the first of them.
        beside: What the first of them is compared with, when it is new; else None.
    """

    diff: PlanDiff
    names: tuple[str, ...]
    beside: str | None


def alike(runs: Iterable[RunChange]) -> tuple[Group, ...]:
    """Return the runs that differ from what they are compared with, by what differs."""
    found: dict[object, list[RunChange]] = {}
    for one in runs:
        if one.diff is not None and not one.diff.same:
            key = one.beside is None, _likeness(one.diff)
            found.setdefault(key, []).append(one)
    return tuple(
        Group(diff=ones[0].diff, names=tuple(one.name for one in ones), beside=ones[0].beside)
        for ones in found.values()
        if ones[0].diff is not None
    )


def from_the_first(runs: Iterable[PlanFile]) -> tuple[Group, ...]:
    """Return how the runs of one sweep differ from its first."""
    first, *others = runs
    beside = run_name(first)
    return alike(
        RunChange(
            name=run_name(one), diff=compare(first, one), before=None, after=one, beside=beside
        )
        for one in others
    )


def run_name(plan_file: PlanFile) -> str:
    """Return which run of its sweep a plan is; one that is of none is called `(one run)`."""
    matrix = plan_file.plan.matrix
    return "(one run)" if matrix is None else matrix.name


def _likeness(diff: PlanDiff) -> object:
    """Return what two differences have in common that read the same."""
    was, now = _own_values(diff.before), _own_values(diff.after)
    # Values are JSON-like data, of which not all can be hashed.
    fields = [
        (one.field, repr(_put(one.before, was)), repr(_put(one.after, now)))
        for one in diff.fields
        if not _says_the_name(one)
    ]
    scripts = tuple((one.name, one.kind, tuple(_told(one, was, now))) for one in diff.scripts)
    return tuple(fields), scripts, diff.files


def _says_the_name(change: FieldChange) -> bool:
    return change.field == "matrix.name"


def _put(value: Any, own: Callable[[str], str]) -> Any:
    return own(value) if isinstance(value, str) else value


def _told(
    change: ScriptChange, was: Callable[[str], str], now: Callable[[str], str]
) -> Iterator[str]:
    for line in unified(change.before or "", change.after or ""):
        if line.startswith("@@"):
            yield line
        else:
            yield was(line) if line.startswith("-") else now(line)


def _own_values(plan_file: PlanFile | None) -> Callable[[str], str]:
    """Return what puts the names of axes in the place of their values, where those stand alone."""
    matrix = None if plan_file is None else plan_file.plan.matrix
    if matrix is None:
        return str
    spelt_out = matrix.name == "_".join(f"{name}={one}" for name, one in matrix.values.items())
    named = {value: f"\0{name}\0" for name, value in matrix.values.items() if value and spelt_out}
    if not named:
        return str
    longest_first = sorted(map(re.escape, named), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(longest_first)})(?![\w.])")
    return lambda text: pattern.sub(lambda found: named[found[0]], text)
