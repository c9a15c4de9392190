"""What differs between two sweeps: run by run, and what differs alike told once.

Runs are the same by their names, which are made of their axes' values. A new run is compared with
the run of before that is nearest to it. A job that is no sweep counts as a sweep of one run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from runpod_deploy.compiler.alike import Group, RunChange, RunKind, alike, run_name
from runpod_deploy.compiler.plan import PlanFile, PlanShard
from runpod_deploy.compiler.plan_diff import compare
from runpod_deploy.compiler.sweepfile import SweepFile

KINDS: tuple[RunKind, ...] = ("changed", "added", "removed", "same")
AnyPlan = PlanFile | SweepFile


@dataclass(frozen=True, kw_only=True)
class SweepDiff:
    """Everything that differs; `before` is None when there was no such job."""

    before: AnyPlan | None
    after: AnyPlan
    runs: tuple[RunChange, ...]

    @cached_property
    def same(self) -> bool:
        """Whether both do the same, in the same order."""
        return self.before is not None and self.before.plan_hash == self.after.plan_hash

    @property
    def reordered(self) -> bool:
        """Whether nothing but the order differs in which the runs are begun."""
        return self.both_sweeps and not self.same and all(one.kind == "same" for one in self.runs)

    @property
    def both_sweeps(self) -> bool:
        """Whether neither side is a single run."""
        return isinstance(self.before, SweepFile) and isinstance(self.after, SweepFile)

    def names(self, kind: RunKind) -> tuple[str, ...]:
        """Return the names of the runs of which that became."""
        return tuple(one.name for one in self.runs if one.kind == kind)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The differences of changed and new runs, each with the names of all that differ so."""
        return alike(self.runs)


def compare_sweeps(before: AnyPlan | None, after: AnyPlan) -> SweepDiff:
    """Return what `after` does otherwise than `before`; None: the job was not there."""
    runs = () if before is None else tuple(_runs(runs_of(before), runs_of(after)))
    return SweepDiff(before=before, after=after, runs=runs)


def runs_of(plan: AnyPlan) -> Sequence[PlanFile]:
    """Return the plans of all runs."""
    return plan.shards if isinstance(plan, SweepFile) else (plan,)


def first_of(plan: AnyPlan) -> PlanFile:
    """Return the plan of the first run."""
    return runs_of(plan)[0]


def counterpart(sweep: SweepFile, plan_file: PlanFile) -> PlanFile | None:
    """Return the run of `sweep` that `plan_file` is a plan of; None when it is of no such run."""
    matrix = plan_file.plan.matrix
    if matrix is None:
        return None
    return next((one for one in sweep.shards if shard_name(one) == matrix.name), None)


def _runs(before: Sequence[PlanFile], after: Sequence[PlanFile]) -> Iterator[RunChange]:
    old = {run_name(one): one for one in before}
    new = {run_name(one): one for one in after}
    values = [(_values(one), one) for one in before]
    for name in dict.fromkeys([*new, *old]):
        was, now = old.get(name), new.get(name)
        if now is None:
            yield RunChange(name=name, diff=None, before=was, after=None)
            continue
        near = was or _nearest(now, values)
        yield RunChange(
            name=name,
            diff=compare(near, now),
            before=was,
            after=now,
            beside=run_name(near) if was is None else None,
        )


def _nearest(run: PlanFile, others: Sequence[tuple[set[tuple[str, str]], PlanFile]]) -> PlanFile:
    """Return the one of `others` that has the most values of axes in common, of several the first."""
    mine = _values(run)
    return max(others, key=lambda one: len(mine & one[0]))[1]


def _values(plan_file: PlanFile) -> set[tuple[str, str]]:
    matrix = plan_file.plan.matrix
    return set() if matrix is None else set(matrix.values.items())


def shard_name(plan_file: PlanFile) -> str:
    """Return which run of its sweep a plan is."""
    matrix = plan_file.plan.matrix
    assert isinstance(matrix, PlanShard)  # noqa: S101 - a sweep file holds no other plans
    return matrix.name
