"""Every rule that a rendered job is held against, and every lint among them."""

from runpod_deploy.compiler.checks import (
    Rule,
    catalog,
    environment,
    image,
    limits,
    machine,
    naming,
    network_volume,
    notify,
    outcome,
    payload,
    placement,
    shell,
    uploads,
)
from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.forwards import forward_ports

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
    outcome.caps,
    outcome.idle_measured,
    outcome.state_file,
    outcome.loss_on_stop,
    uploads.upload_keys,
    uploads.upload_credentials,
    uploads.upload_endpoint,
    uploads.upload_places,
    notify.command_words,
    forward_ports,
    *catalog.RULES,
    *image.RULES,
    *environment.RULES,
    *shell.RULES,
    *network_volume.RULES,
    *payload.RULES,
    *limits.RULES,
)

LINTS: tuple[Lint, ...] = (
    *catalog.LINTS,
    *image.LINTS,
    *environment.LINTS,
    *shell.LINTS,
    *network_volume.LINTS,
    *payload.LINTS,
    *limits.LINTS,
)
"""What only warns, for the page of lints and for `lint.ignore`."""
