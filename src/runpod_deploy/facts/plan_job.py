"""From a loaded job file to a plan file, in one call: what `plan`, `run` and `apply` begin with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runpod_deploy.compiler.check import headline
from runpod_deploy.compiler.compile import accept_resolution, check_rendered, compile_resolution
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.planfile import make_plan_file
from runpod_deploy.compiler.resolve import resolve
from runpod_deploy.errors import Diagnostic, InvalidInput
from runpod_deploy.facts.gather import Found, gather_resolution, project_of
from runpod_deploy.facts.observe import observe
from runpod_deploy.schema.job import JobConfig
from runpod_deploy.schema.load import Misfit, in_order, load


def plan_job(
    config: JobConfig,
    *,
    plan_id: str,
    allow_paths: Sequence[Path] = (),
    job_file: Path | None = None,
    use_cache: bool = True,
    found: Found | None = None,
) -> tuple[PlanFile, tuple[Diagnostic, ...]]:
    """Return the plan file of a job, and the warnings and notes about it.

    Args:
        config: A job as loaded.
        plan_id: 128 random bits in hex, new at each call.
        allow_paths: Folders outside of the repository that the job's paths may lead into.
        job_file: Where the job file lies, when that is not what messages call it.
        use_cache: Whether digests seen before may stand in for reading the files; apply says no.
        found: Files that were looked up for other runs of the same sweep; added to.

    Raises:
        InvalidInput: The job cannot be planned; carries every diagnostic.
    """
    resolution = resolve(config)
    project = project_of(resolution, job_file or Path(config.source.path), allow_paths)
    facts = gather_resolution(resolution, project, use_cache=use_cache, found=found)
    plan, diagnostics = compile_resolution(resolution, facts)
    observed = observe(project.root, overrides=config.source.overrides)
    return make_plan_file(plan, facts.payload, observed, plan_id), diagnostics


def load_job(
    path: Path, variables: Mapping[str, str], allow_paths: Sequence[Path] = ()
) -> JobConfig:
    """Read a job file; what does not fit its schema keeps nothing else from being told.

    Raises:
        InvalidInput: The file is wrong; carries every diagnostic, those about the rest of it too.
    """
    try:
        return load(path, variables, allow_paths=allow_paths)
    except Misfit as misfit:
        try:
            more = _about_the_rest(misfit, allow_paths)
        except InvalidInput as error:
            more = error.diagnostics
        told = {one.where for one in misfit.diagnostics}
        # Of one place the schema's word is enough; what has no place is told once.
        more = tuple(one for one in more if one.where is None or one.where not in told)
        found = tuple(dict.fromkeys((*misfit.diagnostics, *more)))
        file = misfit.config.source.path
        raise InvalidInput(
            headline(file, found), diagnostics=tuple(in_order(found, file))
        ) from None


def _about_the_rest(misfit: Misfit, allow_paths: Sequence[Path]) -> tuple[Diagnostic, ...]:
    config = misfit.config
    if config.matrix is not None:
        return ()  # each run of a sweep is checked by itself, and which there are is not known
    resolution = resolve(config)
    resolution = replace(resolution, failed=resolution.failed | misfit.doubtful)
    project = project_of(resolution, Path(config.source.path), allow_paths)
    return check_rendered(resolution, gather_resolution(resolution, project))


def check_job_file(
    config: JobConfig, *, allow_paths: Sequence[Path] = (), found: Found | None = None
) -> tuple[Diagnostic, ...]:
    """Return the warnings and notes about a job that can be planned; nothing is executed.

    Raises:
        InvalidInput: As `plan_job`.
    """
    resolution = resolve(config)
    project = project_of(resolution, Path(config.source.path), allow_paths)
    return accept_resolution(resolution, gather_resolution(resolution, project, found=found))
