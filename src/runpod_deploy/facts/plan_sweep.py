"""From a loaded job file with a `matrix` to the plans of all its runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.compiler.matrix import combinations
from runpod_deploy.compiler.sweep_uploads import refuse_shared_places
from runpod_deploy.compiler.sweepfile import SweepFile, make_sweep_file
from runpod_deploy.errors import Diagnostic, InvalidInput, Severity
from runpod_deploy.facts.gather import Found
from runpod_deploy.facts.plan_job import check_job_file, plan_job
from runpod_deploy.schema.job import JobConfig

_SHOWN = 50


def is_sweep(config: JobConfig) -> bool:
    """Return whether a job means several runs; one whose axes are all set from outside is one run."""
    matrix = config.matrix
    return matrix is not None and not matrix.axes.keys() <= config.source.overrides.keys()


def shard_config(config: JobConfig, values: Mapping[str, str]) -> JobConfig:
    """Return the job of one run of a sweep: the same file, with its variables set from outside."""
    overrides = {**config.source.overrides, **values}
    return replace(
        config,
        variables={**config.variables, **values},
        source=replace(config.source, overrides=overrides),
    )


def each_config(config: JobConfig) -> tuple[JobConfig, ...]:
    """Return the job of each run of a sweep; of a job that is none, itself."""
    if not is_sweep(config):
        return (config,)
    return tuple(shard_config(config, one.variables) for one in combinations(config))


def plan_sweep(
    config: JobConfig,
    *,
    new_id: Callable[[], str],
    allow_paths: Sequence[Path] = (),
    use_cache: bool = True,
) -> tuple[SweepFile, tuple[Diagnostic, ...]]:
    """Return the plans of a sweep, and the warnings and notes about them, each once.

    Args:
        config: A job as loaded, with a `matrix`.
        new_id: Returns 128 random bits in hex, new at each call.
        allow_paths: Folders outside of the repository that the job's paths may lead into.
        use_cache: Whether digests seen before may stand in for reading the files; apply says no.

    Raises:
        InvalidInput: A run of it cannot be planned; carries every diagnostic of all runs.
    """
    found: Found = {}
    plans = []
    told: dict[Diagnostic, None] = {}
    refused: list[InvalidInput] = []
    jobs = each_config(config)
    refuse_shared_places(config, jobs)
    for job in jobs:
        try:
            plan_file, diagnostics = plan_job(
                job,
                plan_id=new_id(),
                allow_paths=allow_paths,
                use_cache=use_cache,
                found=found,
            )
        except InvalidInput as error:
            refused.append(error)
            continue
        plans.append(plan_file)
        told.update(dict.fromkeys(diagnostics))
    if refused:
        raise _together(config, refused)
    return make_sweep_file(plans, new_id()), tuple(told)


def check_any(config: JobConfig, *, allow_paths: Sequence[Path] = ()) -> tuple[Diagnostic, ...]:
    """Return the warnings and notes about a job or a sweep that can be planned.

    Raises:
        InvalidInput: It cannot; carries every diagnostic.
    """
    check = check_sweep if is_sweep(config) else check_job_file
    return check(config, allow_paths=allow_paths)


def check_sweep(config: JobConfig, *, allow_paths: Sequence[Path] = ()) -> tuple[Diagnostic, ...]:
    """Return the warnings and notes about a sweep that can be planned, each once.

    Raises:
        InvalidInput: As `plan_sweep`.
    """
    found: Found = {}
    told: dict[Diagnostic, None] = {}
    refused: list[InvalidInput] = []
    jobs = each_config(config)
    refuse_shared_places(config, jobs)
    for job in jobs:
        try:
            told.update(dict.fromkeys(check_job_file(job, allow_paths=allow_paths, found=found)))
        except InvalidInput as error:
            refused.append(error)
    if refused:
        raise _together(config, refused)
    return tuple(told)


def _together(config: JobConfig, refused: Sequence[InvalidInput]) -> InvalidInput:
    """Return all that is wrong with the runs of a sweep, what is wrong with several once."""
    told = dict.fromkeys(one for error in refused for one in error.diagnostics)
    if not told:
        return refused[0]
    errors = sum(one.severity is Severity.ERROR for one in told)
    return InvalidInput(
        f"{config.source.path} has {_errors(errors)}", diagnostics=tuple(told)[:_SHOWN]
    )


def _errors(count: int) -> str:
    return "1 error" if count == 1 else f"{count} errors"
