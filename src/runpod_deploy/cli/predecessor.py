"""What earlier releases had on the command line and this one has not, and what to do instead.

Asked only when a flag is not known. Whoever builds one of them deletes its row.
"""

from collections.abc import Mapping
from typing import Any

from runpod_deploy.errors import InvalidInput

_IN_THE_FILE = "A plan says everything that will be done, so this is said in the job file:\n  "
_VERSION_3 = "It needs a file of version 3, which `runpod-deploy migrate` writes."
_LIVE = "`--live` asks the cloud for stock and the registry for the image:\n  "
_LIVE += "runpod-deploy validate JOB.yaml --live"

_NO_SPOT = "Leave it out: RunPod's API has no spot pods any more, every price is the one on demand."
_SCANNED = "Leave it out: paths of somebody's own machine are looked for in every file that would be sent\n"
_SCANNED += "(`user-path-in-file`); with --strict they fail."

REPLACED_FLAGS: Mapping[tuple[str, str], str] = {
    ("gpu-list", "--spot"): _NO_SPOT,
    ("gpu-prices", "--spot"): _NO_SPOT,
    ("validate", "--check-local"): "Leave it out: local paths are always checked.",
    ("validate", "--check-availability"): _LIVE,
    ("validate", "--check-image-registry"): _LIVE,
    ("validate", "--skip-registry-check"): "Leave it out: only `validate --live` asks a registry.",
    ("validate", "--scan-consumer"): _SCANNED,
    ("validate", "--all"): "Name the files:\n  runpod-deploy validate configs/runpod/*.yaml",
    ("run", "--dry-run"): "`plan` shows everything that would be done, and does nothing; with\n"
    "--live it asks the cloud for prices and stock:\n  runpod-deploy plan JOB.yaml --live",
    ("run", "--offline-dry-run"): "`plan` works without network and account:\n  "
    "runpod-deploy plan JOB.yaml",
    ("run", "--cost-cap-usd"): f"{_IN_THE_FILE}budget: {{cost_cap_usd: 10}}",
    ("run", "--max-runtime-minutes"): f"{_IN_THE_FILE}budget: {{max_runtime_minutes: 240}}",
    ("run", "--ssh-ready-timeout-sec"): f"{_IN_THE_FILE}budget: {{ssh_ready_timeout_sec: 1200}}",
    ("run", "--max-gpu-price"): f"{_IN_THE_FILE}pod: {{max_price_per_hour_usd: 2.5}}\n"
    f"It is the price of the whole pod. {_VERSION_3}",
    ("run", "--gpu-id"): f"{_IN_THE_FILE}variables: {{gpu: NVIDIA L4}}\n"
    '  pod: {gpu_order: ["{{ gpu }}"]}\n'
    f"{_VERSION_3} With the variable it can be chosen here:\n"
    "  runpod-deploy run JOB.yaml --var gpu='NVIDIA L4'",
    ("run", "--datacenter-id"): f"{_IN_THE_FILE}variables: {{place: EU-RO-1}}\n"
    '  pod: {datacenters: ["{{ place }}"]}\n'
    f"{_VERSION_3} With the variable it can be chosen here:\n"
    "  runpod-deploy run JOB.yaml --var place=EU-RO-1",
    ("run", "--fallback-cloud-type"): f"{_IN_THE_FILE}pod: {{cloud_type: ANY}}\n"
    f"Secure Cloud is tried first, then Community Cloud. {_VERSION_3}",
    (
        "run",
        "--force-fresh",
    ): "Leave it out: every run rents a pod of its own, unless an earlier\n"
    "one kept its pod with `on_success: recycle`. To begin anew there, end that pod first:\n"
    "  runpod-deploy cleanup --state-file .runpod-deploy/JOB.json",
}
"""Each flag that is gone from a command that stayed, and what says the same now."""


def missing_flag(problem: Any) -> InvalidInput | None:
    """Return what to say about a flag that is not known, when an earlier release had it.

    Args:
        problem: A usage error as Click raises it.
    """
    flag = getattr(problem, "option_name", None)
    command = getattr(getattr(problem, "ctx", None), "info_name", None)
    instead = REPLACED_FLAGS.get((str(command), str(flag)))
    if instead is None:
        return None
    return InvalidInput(f"`{command}` has no {flag} any more", help=instead)
