"""A sweep's runs: every combination of the values of its axes, each with a name and its variables.

An axis is a variable that is set from outside, as one of the command line is. So the plan of one
run of a sweep is the plan of its job file with all axes set, and is checked again in the same way.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import product

from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.plan import PlanShard
from runpod_deploy.errors import InvalidInput
from runpod_deploy.frozen import frozen
from runpod_deploy.schema.job import JobConfig, MatrixSection
from runpod_deploy.schema.sweep_rules import MAX_RUNS

_LONGEST_NAME = 60
_NOT_FOR_NAMES = re.compile(r"[^A-Za-z0-9.=-]+")


@frozen
class Combination:
    """One run of a sweep.

    Attributes:
        name: `seed=1_lr=1e-4`: fit for a folder's name, and of no other run of the same sweep.
        variables: Every axis and its value, and what else an `include` sets.
    """

    name: str
    variables: Mapping[str, str]


def combinations(config: JobConfig) -> tuple[Combination, ...]:
    """Return the runs of a job's sweep, the first axis changing slowest, `include` last.

    An axis that the command line sets has that value alone; what `include` adds must then have it.

    Raises:
        InvalidInput: There is none, there are more than `MAX_RUNS`, or one lacks an axis.
    """
    matrix = config.matrix
    if matrix is None:
        return ()
    found: dict[tuple[tuple[str, str], ...], None] = {}
    for values in (*_product(config, matrix), *_included(config, matrix)):
        found[tuple(values.items())] = None
        if len(found) > MAX_RUNS:
            raise _refused(
                config,
                Finding(
                    pointer="/matrix/axes",
                    code="out-of-range",
                    summary="Value out of range",
                    detail=f"The sweep would have more than {MAX_RUNS:,} runs.",
                    on_key=True,
                ),
            )
    if not found:
        raise _refused(
            config,
            Finding(
                pointer="/matrix",
                code="empty-sweep",
                summary="The sweep has no run",
                detail="Every combination of the axes is left out by `exclude` or by a value of the "
                "command line.",
                on_key=True,
            ),
        )
    return tuple(Combination(name=_name(dict(one)), variables=dict(one)) for one in found)


def shard_of(config: JobConfig) -> PlanShard | None:
    """Return which run of its sweep a job is whose axes are all set; None when it is no sweep.

    Raises:
        InvalidInput: An axis has no value yet, so that this is many runs.
    """
    matrix = config.matrix
    if matrix is None:
        return None
    given = config.source.overrides
    missing = [axis for axis in matrix.axes if axis not in given]
    if missing:
        raise InvalidInput(
            f"{config.source.path} describes a sweep, and this asks for one run: "
            f"no value is given for {', '.join(f'`{axis}`' for axis in missing)}",
            help="Give each axis a value:\n  "
            + " ".join(f"--var {axis}={matrix.axes[axis][0]}" for axis in missing),
        )
    added = {name for entry in matrix.include for name in entry}
    values = {name: value for name, value in given.items() if name in matrix.axes or name in added}
    return PlanShard(
        name=_name(values),
        values=values,
        max_parallel=matrix.max_parallel,
        fail_fast=matrix.fail_fast,
        cap_usd=config.budget.sweep_cap_usd,
    )


def _product(config: JobConfig, matrix: MatrixSection) -> Iterator[dict[str, str]]:
    given = config.source.overrides
    ranges = [
        [given[axis]] if axis in given else list(values) for axis, values in matrix.axes.items()
    ]
    for chosen in product(*ranges):
        values = dict(zip(matrix.axes, chosen, strict=True))
        if not any(entry.items() <= values.items() for entry in matrix.exclude):
            yield values


def _included(config: JobConfig, matrix: MatrixSection) -> Iterator[dict[str, str]]:
    given = config.source.overrides
    for index, entry in enumerate(matrix.include):
        values = {axis: entry.get(axis, given.get(axis)) for axis in matrix.axes}
        for axis, value in values.items():
            if value is None and axis not in config.variables:
                raise _refused(
                    config,
                    Finding(
                        pointer=f"/matrix/include/{index}",
                        code="missing-axis",
                        summary="A run of the sweep lacks an axis",
                        detail=f"This combination gives no value for `{axis}`, and `variables` "
                        "holds none to fall back on.",
                        help=f"Add `{axis}`, or give it a usual value under `variables`.",
                    ),
                )
        whole = {
            axis: config.variables[axis] if value is None else value
            for axis, value in values.items()
        }
        whole |= {name: value for name, value in entry.items() if name not in whole}
        if all(whole.get(name, value) == value for name, value in given.items()):
            yield whole


def _name(values: Mapping[str, str]) -> str:
    """Return a name for a combination that depends on nothing but the combination."""
    said = "_".join(f"{name}={value}" for name, value in values.items())
    fit = "_".join(
        f"{name}={_NOT_FOR_NAMES.sub('-', value).strip('-.')}" for name, value in values.items()
    )
    if fit == said and len(fit) <= _LONGEST_NAME:
        return fit
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{fit[: _LONGEST_NAME - 9].rstrip('-_=.')}-{digest}"


def _refused(config: JobConfig, finding: Finding) -> InvalidInput:
    return InvalidInput(
        f"{config.source.path} has 1 error", diagnostics=(finding.at(config.source),)
    )
