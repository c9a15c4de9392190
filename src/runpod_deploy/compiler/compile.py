"""The compiler: a job and the facts about its files in, the plan out."""

from runpod_deploy.compiler import lease, lifecycle, sections
from runpod_deploy.compiler.candidates import ring
from runpod_deploy.compiler.check import check_resolution, has_errors, headline
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.forwards import forwards
from runpod_deploy.compiler.local_paths import anchored, in_project
from runpod_deploy.compiler.matrix import shard_of
from runpod_deploy.compiler.plan import POD_PROTOCOL, Plan, PlanCapacity
from runpod_deploy.compiler.resolve import Resolution, Resolved, resolve
from runpod_deploy.compiler.script_file import with_rendered_script
from runpod_deploy.compiler.scripts import HOME, all_scripts
from runpod_deploy.compiler.steps import all_steps
from runpod_deploy.errors import Diagnostic, InvalidInput
from runpod_deploy.schema.job import JobConfig


def compile_job(config: JobConfig, facts: Facts) -> Plan:
    """Return the plan of a job; the same arguments always give the same plan.

    Raises:
        InvalidInput: The job cannot be planned; carries every diagnostic, warnings too.
    """
    return compile_resolution(resolve(config), facts)[0]


def check_job(config: JobConfig, facts: Facts) -> tuple[Diagnostic, ...]:
    """Return everything that is wrong or remarkable about a job, errors and warnings."""
    return check_rendered(resolve(config), facts)


def check_rendered(resolution: Resolution, facts: Facts) -> tuple[Diagnostic, ...]:
    """Return the same about a rendered job."""
    resolution = anchored(resolution, facts.job_file)
    return check_resolution(resolution, with_rendered_script(resolution, facts))


def compile_resolution(resolution: Resolution, facts: Facts) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Return the plan of a rendered job, and the warnings about it.

    Raises:
        InvalidInput: As `compile_job`.
    """
    resolution, facts, diagnostics = _sound(resolution, facts)
    return _plan(resolution.config, facts), diagnostics


def accept_resolution(resolution: Resolution, facts: Facts) -> tuple[Diagnostic, ...]:
    """Return the warnings about a rendered job that can be planned, without planning it.

    Raises:
        InvalidInput: As `compile_job`.
    """
    return _sound(resolution, facts)[2]


def _sound(
    resolution: Resolution, facts: Facts
) -> tuple[Resolution, Facts, tuple[Diagnostic, ...]]:
    resolution = anchored(resolution, facts.job_file)
    facts = with_rendered_script(resolution, facts)
    diagnostics = check_resolution(resolution, facts)
    if has_errors(diagnostics):
        file = resolution.config.source.path
        raise InvalidInput(headline(file, diagnostics), diagnostics=diagnostics)
    return resolution, facts, diagnostics


def _plan(config: Resolved, facts: Facts) -> Plan:
    run_text = config.run.body if config.run.script is None else facts.script_text
    scripts = all_scripts(config, run_text or "")
    candidates = ring(config)
    staging = sections.staging(config, facts)
    return Plan(
        protocol=POD_PROTOCOL,
        job=sections.job(config, facts),
        candidates=candidates,
        capacity=PlanCapacity(
            wait_minutes=config.capacity.wait_minutes, attempts=config.capacity.attempts
        ),
        pod=sections.pod(config),
        storage=sections.storage(config),
        home=HOME,
        required_paths=tuple(map(in_project, config.local.required_paths)),
        scripts=scripts,
        staging=staging,
        secrets=sections.secrets(config),
        run=sections.run(config, scripts[-1].name),
        artifacts=sections.artifacts(config),
        steps=all_steps(config, candidates, staging),
        lifecycle=lifecycle.decide(config),
        lease=lease.decide(config),
        budget=sections.budget(config),
        telemetry=sections.telemetry(config),
        matrix=shard_of(config),
        cluster=sections.cluster(config),
        notify=sections.notify(config),
        forward=forwards(config),
    )
