"""The lease: who ends the pod when nobody comes back for it, from which moment on, and what it spares."""

import shlex
from collections.abc import Mapping
from typing import Any

from runpod_deploy.compiler import lifecycle
from runpod_deploy.compiler.plan import PlanLease
from runpod_deploy.compiler.resolve import Resolved

BOOT_ENV = "RUNPOD_DEPLOY_BOOT"
START_SCRIPT = "/start.sh"
_START_SH_IMAGES = ("runpod/base", "runpod/pytorch", "runpod/nvidia-pytorch")
_REGISTRIES = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")
# The watchdog comes in the environment: however RunPod splits the command into words, it stays whole.
_PREFIX = f'sh -c \'sh -c "${BOOT_ENV}" </dev/null & exec "$@"\' sh'


def decide(config: Resolved) -> PlanLease:
    """Return the watchdog's terms."""
    said = config.lease
    acts = lifecycle.decide(config).on_orphaned
    by_default = config.lifecycle.on_orphaned is None
    return PlanLease(
        silence_minutes=said.silence_minutes,
        boot_grace_minutes=said.boot_grace_minutes,
        while_running=said.while_running,
        required=said.required,
        at_boot=acts != "preserve" and _original_command(config) is not None,
        spares_results=by_default and acts == "delete" and said.while_running == "continue",
    )


def args(config: Resolved) -> str | None:
    """Return the container's command for the create call; None keeps the image's own."""
    if decide(config).at_boot:
        return f"{_PREFIX} {_original_command(config)}"
    return config.pod.start_command


def script_context(config: Resolved) -> Mapping[str, Any]:
    """Return what the templates of the pod's scripts are told; times in whole seconds."""
    terms = decide(config)
    action = lifecycle.decide(config).on_orphaned
    return {
        "silence_sec": _seconds(terms.silence_minutes * 60),
        "boot_grace_sec": _seconds(terms.boot_grace_minutes * 60),
        "keep_sec": _seconds(config.lifecycle.keep_hours * 3600),
        "while_running": terms.while_running,
        # As RunPod's API calls it; with `preserve` the script is never started.
        "action": "stop" if action == "stop" else "terminate",
        "spares_results": int(terms.spares_results),
        # What a stop leaves, for what must outlive it; nothing else outlives any other end.
        # One node cannot be ended by itself: what acts on it ends the whole cluster.
        "cluster": config.cluster is not None,
        "mount": (config.storage.volume_mount or "") if action == "stop" else "",
    }


def _original_command(config: Resolved) -> str | None:
    """Return what the container would run without us, where that is known and is a command."""
    said = config.pod.start_command
    if said is not None:
        return said if _is_command(said) else None
    if config.pod.template_id is not None or config.pod.image is None:
        return None
    return START_SCRIPT if _runs_start_sh(config.pod.image) else None


def _is_command(text: str) -> bool:
    # What begins with a dash is meant for the image's entry point.
    try:
        words = shlex.split(text)
    except ValueError:
        return False
    return bool(words) and not words[0].startswith("-")


def _runs_start_sh(image: str) -> bool:
    for registry in _REGISTRIES:
        image = image.removeprefix(registry)
    return image.partition("@")[0].partition(":")[0] in _START_SH_IMAGES


def _seconds(value: float) -> int:
    return max(1, round(value))
