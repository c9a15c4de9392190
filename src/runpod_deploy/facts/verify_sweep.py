"""Whether a saved sweep is what its commit gives: the plan of each run, and that these are the runs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.compiler.freshness import Drift
from runpod_deploy.compiler.matrix import combinations
from runpod_deploy.compiler.sweep_diff import shard_name
from runpod_deploy.compiler.sweepfile import SweepFile
from runpod_deploy.errors import InvalidInput
from runpod_deploy.facts.plan_sweep import is_sweep
from runpod_deploy.facts.replan import first_problem
from runpod_deploy.facts.verify import Bench, Verified, laid_out_commit

_SHOWN = 5


def verify_sweep(
    sweep: SweepFile,
    plan: Path,
    toplevel: Path,
    *,
    allow_paths: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> Verified:
    """Compile the runs of a saved sweep from its commit; arguments and errors as of `verify`.

    Returns:
        The differences of all runs, each field with the name of its run in front unless all runs
        have the same difference there.
    """
    with laid_out_commit(sweep.shards, plan, toplevel, environ) as bench:
        outcomes = [bench.compiled(one, allow_paths) for one in sweep.shards]
        roster, chosen = _roster(sweep, bench, allow_paths) if bench.has_job else ((), ())
    hashes = [one.compiled_hash for one in outcomes]
    return Verified(
        commit=outcomes[0].commit,
        compiled_hash=None if None in hashes or roster else sha256(hashes),
        drifts=(*roster, *_together(sweep, outcomes)),
        changes=bench.changes,
        notes=(*chosen, *dict.fromkeys(note for one in outcomes for note in one.notes)),
    )


def _together(sweep: SweepFile, outcomes: Sequence[Verified]) -> Iterator[Drift]:
    count = Counter(drift for one in outcomes for drift in one.drifts)
    told = set()
    for shard, outcome in zip(sweep.shards, outcomes, strict=True):
        for drift in outcome.drifts:
            if count[drift] < len(outcomes):
                yield replace(drift, field=f"{shard_name(shard)}: {drift.field}")
            elif drift not in told:
                told.add(drift)
                yield drift


def _roster(
    sweep: SweepFile, bench: Bench, allow_paths: Sequence[Path]
) -> tuple[tuple[Drift, ...], tuple[str, ...]]:
    """Return a difference when the commit's sweep is not one of these very runs; and a note."""
    planned = [shard_name(one) for one in sweep.shards]
    try:
        plain, fixed = _from_outside(sweep, bench, allow_paths)
        every = _names(sweep, bench, plain, allow_paths)
        if planned == every:
            return (), ()
        if planned == _names(sweep, bench, fixed, allow_paths):
            given = " ".join(f"--var {name}={fixed[name]}" for name in fixed if name not in plain)
            return (), (f"these are not all runs of the sweep but those of {given}",)
    except InvalidInput as error:
        return (_runs(planned, first_problem(error)),), ()
    return (_runs(planned, _told(every)),), ()


def _from_outside(
    sweep: SweepFile, bench: Bench, allow_paths: Sequence[Path]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the command line may have set: without axes, and with those that never change.

    A plan does not tell an axis that was set from one of which there is only that value.
    """
    first = sweep.first
    overrides = first.observed.overrides
    matrix = bench.config(first, {}, allow_paths).matrix
    if matrix is None:
        return dict(overrides), dict(overrides)
    ours = {*matrix.axes, *(name for entry in matrix.include for name in entry)}
    plain = {name: value for name, value in overrides.items() if name not in ours}
    fixed = {
        name: value
        for name, value in overrides.items()
        if all(one.observed.overrides.get(name) == value for one in sweep.shards)
    }
    return plain, fixed


def _names(
    sweep: SweepFile, bench: Bench, overrides: Mapping[str, str], allow_paths: Sequence[Path]
) -> list[str]:
    config = bench.config(sweep.first, overrides, allow_paths)
    return [one.name for one in combinations(config)] if is_sweep(config) else []


def _runs(planned: Sequence[str], now: str) -> Drift:
    return Drift(field="runs", planned=_told(planned), now=now, verdict="refuse")


def _told(names: Sequence[str]) -> str:
    if not names:
        return "no sweep"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
