"""What differs between two sweeps: run by run, and what differs alike told once.

Runs are the same by their names, which are made of their axes' values. A plan of a job that was no
sweep, or is none any more, stands beside the sweep's first run.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from runpod_deploy.compiler.line_diff import unified
from runpod_deploy.compiler.plan import PlanFile, PlanShard
from runpod_deploy.compiler.plan_diff import PlanDiff, ScriptChange, compare
from runpod_deploy.compiler.sweepfile import SweepFile

RunKind = Literal["changed", "added", "removed", "same"]
KINDS: tuple[RunKind, ...] = ("changed", "added", "removed", "same")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunChange:
    """What became of one run.

    Attributes:
        diff: Of a run that both sweeps have; None when only one has it.
    """

    name: str
    diff: PlanDiff | None
    before: PlanFile | None
    after: PlanFile | None

    @property
    def kind(self) -> RunKind:
        """Whether the run came, went, does something else, or the same."""
        if self.diff is None:
            return "added" if self.before is None else "removed"
        return "same" if self.diff.same else "changed"


@dataclass(frozen=True, kw_only=True)
class SweepDiff:
    """Everything that differs; `before` is None when there was no such job."""

    before: SweepFile | None
    after: SweepFile
    runs: tuple[RunChange, ...]

    @cached_property
    def same(self) -> bool:
        """Whether both do the same, in the same order."""
        return self.before is not None and self.before.plan_hash == self.after.plan_hash

    @property
    def reordered(self) -> bool:
        """Whether nothing but the order differs in which the runs are begun."""
        return not self.same and all(one.kind == "same" for one in self.runs)

    def names(self, kind: RunKind) -> tuple[str, ...]:
        """Return the names of the runs of which that became."""
        return tuple(one.name for one in self.runs if one.kind == kind)

    @cached_property
    def groups(self) -> tuple[tuple[PlanDiff, tuple[str, ...]], ...]:
        """The differences of changed runs, each with the names of all runs that differ so.

        Scripts differ alike when they do but for the values of the run's own axes.
        """
        found: dict[object, tuple[PlanDiff, list[str]]] = {}
        for one in self.runs:
            if one.diff is not None and not one.diff.same:
                found.setdefault(_alike(one.diff), (one.diff, []))[1].append(one.name)
        return tuple((diff, tuple(names)) for diff, names in found.values())


def compare_sweeps(before: SweepFile | None, after: SweepFile) -> SweepDiff:
    """Return what `after` does otherwise than `before`; None: the job was not there."""
    runs = () if before is None else tuple(_runs(before.shards, after.shards))
    return SweepDiff(before=before, after=after, runs=runs)


def counterpart(sweep: SweepFile, plan_file: PlanFile) -> PlanFile | None:
    """Return the run of `sweep` that `plan_file` is a plan of; None when it is of no such run."""
    matrix = plan_file.plan.matrix
    if matrix is None:
        return None
    return next((one for one in sweep.shards if shard_name(one) == matrix.name), None)


def _runs(before: Sequence[PlanFile], after: Sequence[PlanFile]) -> Iterator[RunChange]:
    old = {shard_name(one): one for one in before}
    new = {shard_name(one): one for one in after}
    for name in dict.fromkeys([*new, *old]):
        was, now = old.get(name), new.get(name)
        diff = None if was is None or now is None else compare(was, now)
        yield RunChange(name=name, diff=diff, before=was, after=now)


def shard_name(plan_file: PlanFile) -> str:
    """Return which run of its sweep a plan is."""
    matrix = plan_file.plan.matrix
    assert isinstance(matrix, PlanShard)  # noqa: S101 - a sweep file holds no other plans
    return matrix.name


def _alike(diff: PlanDiff) -> object:
    """Return what two differences have in common that read the same."""
    matrix = diff.after.plan.matrix
    own = _own_values({} if matrix is None else matrix.values)
    scripts = tuple((one.name, one.kind, tuple(_told(one, own))) for one in diff.scripts)
    # Values are JSON-like data, of which not all can be hashed.
    return repr(diff.fields), scripts, diff.files


def _told(change: ScriptChange, own: Callable[[str], str]) -> Iterator[str]:
    for line in unified(change.before or "", change.after or ""):
        yield line if line.startswith("@@") else own(line)


def _own_values(values: Mapping[str, str]) -> Callable[[str], str]:
    """Return what puts the names of axes in the place of their values, where those stand alone."""
    named = {value: f"\0{name}\0" for name, value in values.items() if value}
    if not named:
        return str
    longest_first = sorted(map(re.escape, named), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(longest_first)})(?![\w.])")
    return lambda text: pattern.sub(lambda found: named[found[0]], text)
