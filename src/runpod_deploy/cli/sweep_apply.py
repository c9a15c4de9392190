"""`apply` and `run` of a sweep: which of its runs, from a file or from the folder of an earlier try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runpod_deploy.errors import InvalidInput

if TYPE_CHECKING:
    from runpod_deploy.cli.planning import PlannedSweep
    from runpod_deploy.compiler.plan import PlanFile
    from runpod_deploy.compiler.sweepfile import SweepFile


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepFlags:
    """Flags that are about sweeps alone.

    Attributes:
        only: Names of runs, or values of axes as `AXIS=VALUE`; empty: all.
    """

    only: tuple[str, ...] = ()
    max_parallel: int | None = None
    retry: bool = False

    def refuse(self, path: Path) -> None:
        """Say that they do not go with a job that is no sweep.

        Raises:
            InvalidInput: One was given.
        """
        if self.retry:
            raise InvalidInput(
                f"--retry-failed goes with the folder of a sweep, and {path} is none",
                help="runpod-deploy apply artifacts/runpod/.sweeps/TIME --retry-failed",
            )
        if self.only or self.max_parallel is not None:
            raise InvalidInput(
                f"--only and --max-parallel go with a sweep, and {path} has no `matrix`"
            )


def earlier_sweep(
    folder: Path, flags: SweepFlags, variables: Mapping[str, str], allow_paths: Sequence[Path]
) -> PlannedSweep:
    """Return the sweep of an earlier try, to begin again what did not succeed.

    Raises:
        InvalidInput: The folder is none of a sweep, or flags were given that do not go with it.
    """
    from runpod_deploy.cli.planning import PlannedSweep, load_sweep  # noqa: PLC0415 - rarely
    from runpod_deploy.record.sweep import SWEEP_NAME, project_root_of_sweep  # noqa: PLC0415 - likewise

    if not (folder / SWEEP_NAME).is_file():
        raise InvalidInput(
            f"{folder} is a folder; a job file, a saved plan or the folder of a sweep is needed"
        )
    if not flags.retry:
        raise InvalidInput(
            f"{folder} holds a sweep that was applied already",
            help="To go on with it:\n"
            f"  runpod-deploy resume {folder}\n"
            "To begin again what did not succeed:\n"
            f"  runpod-deploy apply {folder} --retry-failed",
        )
    if variables:
        raise InvalidInput(f"{folder} holds a sweep: its variables are settled")
    return PlannedSweep(
        sweep_file=load_sweep(folder / SWEEP_NAME),
        diagnostics=(),
        project_root=project_root_of_sweep(folder),
        saved=True,
        allow_paths=tuple(allow_paths),
        folder=folder.resolve(),
    )


def prepared(
    planned: PlannedSweep,
    flags: SweepFlags,
    *,
    allow: Sequence[str],
    again: bool,
) -> PlannedSweep:
    """Return a sweep as it is to be carried out.

    Raises:
        InvalidInput: A flag does not go with it, or `--only` fits no run.
    """
    if flags.retry and planned.folder is None:
        raise InvalidInput(
            "--retry-failed goes with the folder of a sweep, which holds what became of its runs",
            help="runpod-deploy apply artifacts/runpod/.sweeps/TIME --retry-failed",
        )
    if allow:
        raise InvalidInput("--allow goes with the plan of one run; plan a changed sweep anew")
    if again and (not planned.saved or planned.folder is not None):
        raise InvalidInput("--again goes with a saved sweep; that of a job file is always new")
    chosen = None if not flags.only else _chosen(planned.sweep_file, flags.only)
    return replace(planned, only=chosen, max_parallel=flags.max_parallel, again=again)


def _chosen(sweep: SweepFile, wanted: Sequence[str]) -> frozenset[str]:
    """Return the names of the runs that any of `wanted` fits."""
    chosen: set[str] = set()
    for one in wanted:
        fitting = {name for name in (_name(plan) for plan in sweep.shards) if name == one}
        fitting |= {_name(plan) for plan in sweep.shards if _has(plan, one)}
        if not fitting:
            from runpod_deploy.schema.near_miss import near_miss  # noqa: PLC0415 - on a mistake

            names = [_name(plan) for plan in sweep.shards]
            values = [f"{axis}={text}" for plan in sweep.shards for axis, text in _values(plan)]
            near = near_miss(one, dict.fromkeys([*names, *values]))
            hint = f" Did you mean `{near}`?" if near else ""
            raise InvalidInput(
                f"--only {one} fits no run of the sweep.{hint}",
                help="Name a run, or a value of an axis:\n  " + "\n  ".join(names[:10]),
            )
        chosen |= fitting
    return frozenset(chosen)


def _has(plan_file: PlanFile, wanted: str) -> bool:
    axis, equals, value = wanted.partition("=")
    return bool(equals) and dict(_values(plan_file)).get(axis) == value


def _values(plan_file: PlanFile) -> Sequence[tuple[str, str]]:
    matrix = plan_file.plan.matrix
    return () if matrix is None else tuple(matrix.values.items())


def _name(plan_file: PlanFile) -> str:
    return "" if plan_file.plan.matrix is None else plan_file.plan.matrix.name
