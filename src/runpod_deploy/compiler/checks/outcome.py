"""Rules about the script, its verdict, its money and its end."""

import posixpath
from collections.abc import Iterator
from typing import Literal

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.lifecycle import mount, wiped_by_stop
from runpod_deploy.compiler.local_paths import is_contained
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.scripts import run_command, run_suffix
from runpod_deploy.errors import Severity

IDLE_SAMPLES = 3
"""How many samples must fit into the time that GPUs may idle."""


def one_script(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """The job is either a body or a file."""
    if (config.run.body is None) == (config.run.script is None):
        said = "neither" if config.run.body is None else "both"
        yield Finding(
            pointer="/run",
            code="run-script",
            summary="The run needs a body or a script",
            detail=f"`run` has {said} of `body` and `script`; it needs exactly one.",
        )


def script_can_start(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """Something says which program runs the script file."""
    if config.run.script is None or facts.script_text is None:
        return
    if not run_command(config, facts.script_text, "script"):
        yield Finding(
            pointer="/run/script",
            code="script-interpreter",
            summary="Nothing says which program runs the script",
            detail=f"Files that end in `{run_suffix(config)}` are not known to runpod-deploy, and "
            "the first line names no program.",
            help="Begin the file with a line such as:\n  #!/usr/bin/env -S Rscript",
        )


def script_line_ends(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """A script with Windows line ends is told about: shells read the CR as part of the word."""
    text = config.run.body if config.run.script is None else facts.script_text
    if text and "\r\n" in text:
        yield Finding(
            pointer="/run/body" if config.run.script is None else "/run/script",
            severity=Severity.WARNING,
            code="script-line-ends",
            summary="The script has Windows line ends",
            detail="It travels byte for byte, and a shell takes the carriage return at the end of "
            "a line for part of the last word.",
            help="Convert it:\n  sed -i 's/\\r$//' FILE",
        )


def markers(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """The mark of success is not a mark of failure."""
    success = config.run.success_marker
    for index, failure in enumerate(config.run.failure_markers):
        if success and failure and failure in success:
            yield Finding(
                pointer=f"/run/failure_markers/{index}",
                code="marker-conflict",
                summary="The success marker is a failure marker as well",
                detail=f"Whoever prints `{success}` prints `{failure}` too, so every success would "
                "also look like a failure.",
            )


def caps(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Caps are amounts that can be reached."""
    budget = config.budget
    if not 0 < budget.soft_cap_fraction <= 1:
        yield Finding(
            pointer="/budget/soft_cap_fraction",
            code="soft-cap",
            summary="The soft cap is not a part of the cap",
            detail=f"`soft_cap_fraction` is a number above 0 and up to 1, not "
            f"{budget.soft_cap_fraction:g}.",
        )
    if budget.cost_cap_usd <= 0:
        yield Finding(
            pointer="/budget/cost_cap_usd",
            code="cost-cap",
            summary="The cost cap allows nothing",
            detail="A pod costs money from its first second, so the cap must be above 0.",
        )
    if budget.max_runtime_minutes is not None and budget.max_runtime_minutes <= 0:
        yield Finding(
            pointer="/budget/max_runtime_minutes",
            code="max-runtime",
            summary="The runtime limit allows nothing",
            detail="`max_runtime_minutes` must be above 0; leave it out for no limit of its own.",
        )


def state_file(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """A kept pod is remembered inside of the project, in a file that is for nothing else."""
    said = config.state_file
    if said is None:
        return
    if config.lifecycle.on_success != "recycle":
        yield Finding(
            pointer="/state_file",
            severity=Severity.WARNING,
            code="state-file-unused",
            summary="The state file is for nothing",
            detail="No pod is kept for the next run, so nothing is remembered in it.",
            help="Remove the line, or let the next run use the pod again:\n"
            "  lifecycle: {on_success: recycle}",
            on_key=True,
        )
        return
    place = posixpath.normpath(said)
    outside = said.startswith("~") or not is_contained(place) or place == "."
    wrong = "lies outside of it" if outside else None
    if ".git" in place.split("/"):
        wrong = "lies in git's own folder"
    elif place.startswith("artifacts/runpod/"):
        wrong = "lies among the run folders"
    elif place == facts.job_file:
        wrong = "is the job file"
    if wrong:
        yield Finding(
            pointer="/state_file",
            code="state-file",
            summary="The state file has no place of its own in the project",
            detail=f"A kept pod is remembered in a file of the project, and `{said}` {wrong}.",
            help="Leave the line out; the file is then `.runpod-deploy/NAME.json`.",
        )


def loss_on_stop(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """A stop wipes no result that was not pulled, unless the job accepts the loss."""
    if config.lifecycle.accept_loss:
        return
    for key in ("on_failure", "on_orphaned", "on_success"):
        if getattr(config.lifecycle, key) in {"stop", "recycle"}:
            yield from _loss(config, key)


def _loss(
    config: Resolved, key: Literal["on_failure", "on_orphaned", "on_success"]
) -> Iterator[Finding]:
    folder = mount(config)
    if folder is None:
        yield Finding(
            pointer=f"/lifecycle/{key}",
            code="stop-without-mount",
            summary="A stop would keep nothing",
            detail="A stop wipes the container disk, and with `storage.mode: none` there is no "
            "other; the stopped pod would hold nothing of the run.",
            help=f"Write `{key}: delete`, or rent a disk with `storage.mode: ephemeral`.",
        )
        return
    # After success every required result has been pulled and verified, and `delete` is legal too.
    severity = Severity.WARNING if key == "on_success" else Severity.ERROR
    for artifact in wiped_by_stop(config):
        yield Finding(
            pointer=f"/lifecycle/{key}",
            severity=severity,
            code="stop-wipes-artifact",
            summary="A stop would wipe a result",
            detail=f"A stop wipes the container disk, and the artifact `{artifact.label}` lies "
            f"there: `{artifact.remote_path}` is outside of `{folder}`.",
            help=f"Let the job write below `{folder}`, write `{key}: delete`, or accept it:\n"
            "  accept_loss: true",
        )


def idle_measured(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Somebody measures whether the GPUs idle, and often enough to tell a pause from an end."""
    minutes, telemetry = config.budget.idle_gpu_minutes, config.telemetry
    if minutes is None:
        return
    if not telemetry.enabled:
        why = "it is measured with the samples that `telemetry.enabled: false` leaves out."
    elif minutes * 60 < IDLE_SAMPLES * telemetry.sample_interval_sec:
        why = (
            f"{minutes:g} minutes are fewer than {IDLE_SAMPLES} samples, one every "
            f"{telemetry.sample_interval_sec:g} seconds (`telemetry.sample_interval_sec`)."
        )
    else:
        return
    yield Finding(
        pointer="/budget/idle_gpu_minutes",
        code="idle-unmeasured",
        summary="It would not be known whether the GPUs idle",
        detail=f"`idle_gpu_minutes` cannot be kept: {why}",
    )
