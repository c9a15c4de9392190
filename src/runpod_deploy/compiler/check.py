"""All findings about a job, in the order of the file: nothing is made of one that has an error."""

from collections.abc import Iterator

from runpod_deploy.compiler.checks import Rule, machine, naming, outcome, placement
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding, below
from runpod_deploy.compiler.lints import known_codes, told
from runpod_deploy.compiler.resolve import Resolution
from runpod_deploy.errors import Diagnostic, Severity

RULES: tuple[Rule, ...] = (
    naming.unique_labels,
    naming.environment_names,
    naming.reserved_pod_env,
    machine.image_or_template,
    machine.ssh_port,
    machine.lease_at_boot,
    machine.cuda_format,
    machine.network_volume,
    machine.ephemeral_size,
    machine.mount_point,
    placement.absolute_on_pod,
    placement.distinct_destinations,
    placement.deleting_staging,
    placement.artifact_local_paths,
    outcome.one_script,
    outcome.script_can_start,
    outcome.script_line_ends,
    outcome.markers,
    outcome.cap_before_runtime,
    outcome.caps,
    outcome.recycle,
    outcome.loss_on_stop,
    known_codes,
)


def check_resolution(resolution: Resolution, facts: Facts) -> tuple[Diagnostic, ...]:
    """Return everything that is wrong or remarkable about a rendered job.

    Nothing is said about a text whose template has a fault: what it means is not known. What the
    job's `lint.ignore` switches off is left out.
    """
    source = resolution.config.source
    placed = [finding.at(source) for finding in _findings(resolution, facts)]
    placed += (*facts.diagnostics, *source.notes)
    return tuple(sorted(dict.fromkeys(told(resolution.config, placed)), key=_order))


def has_errors(diagnostics: tuple[Diagnostic, ...]) -> bool:
    """Return whether one of `diagnostics` stops the work."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def _findings(resolution: Resolution, facts: Facts) -> Iterator[Finding]:
    yield from resolution.findings
    for rule in RULES:
        for finding in rule(resolution.config, facts):
            if not below(finding.pointer, resolution.failed):
                yield finding


def _order(diagnostic: Diagnostic) -> tuple[str, int, int]:
    where = diagnostic.where
    return (where.file, where.line, where.column) if where else ("", 0, 0)
