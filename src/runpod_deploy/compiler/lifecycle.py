"""What becomes of the pod, and which results a stop would wipe."""

import posixpath
import re
from typing import Literal

from runpod_deploy.compiler.plan import PlanLifecycle
from runpod_deploy.compiler.pod_paths import inside
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.schema.job import ArtifactEntry

Action = Literal["delete", "stop", "preserve"]

STATE_FOLDER = ".runpod-deploy"
_NOT_FOR_NAMES = re.compile(r"[^A-Za-z0-9._=-]+")


def mount(config: Resolved) -> str | None:
    """Return the folder that survives a stop of the pod, None when nothing does."""
    return None if config.storage.mode == "none" else config.storage.volume_mount


def wiped_by_stop(config: Resolved) -> tuple[ArtifactEntry, ...]:
    """Return the artifacts that lie on the container disk, which a stop wipes."""
    folder = mount(config)
    return tuple(
        artifact
        for artifact in config.artifacts
        if folder is None or not inside(artifact.remote_path, folder)
    )


def decide(config: Resolved) -> PlanLifecycle:
    """Return the lifecycle with its defaults decided: stop only where it keeps every result."""
    said = config.lifecycle
    # A cluster cannot be stopped.
    keeps = (
        config.cluster is None
        and mount(config) is not None
        and (said.accept_loss or not wiped_by_stop(config))
    )
    default: Action = "stop" if keeps else "delete"
    return PlanLifecycle(
        on_success=said.on_success,
        on_failure=said.on_failure or default,
        on_orphaned=said.on_orphaned or default,
        accept_loss=said.accept_loss,
        keep_hours=said.keep_hours,
        state_file=state_file(config) if said.on_success == "recycle" else None,
        retry=said.retry,
    )


def state_file(config: Resolved) -> str:
    """Return where a kept pod is remembered, relative to the project root."""
    if config.state_file is not None:
        return posixpath.normpath(config.state_file)
    name = _NOT_FOR_NAMES.sub("-", config.name).strip(".-")[:100] or "job"
    return f"{STATE_FOLDER}/{name}.json"
