"""The ways in which the emulator can fail: what each does, how often, and what can be set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ALWAYS: Final = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One way to fail: how often by default (None: always), and its parameters with defaults."""

    times: int | None
    params: Mapping[str, float | str]
    effect: str


KINDS: Mapping[str, Kind] = {
    "stock-out": Kind(
        times=ALWAYS,
        params={"hidden": 0},
        effect="creates answer the capacity 400; hidden=1 leaves it on show in the catalog",
    ),
    "stock-limit": Kind(times=ALWAYS, params={"free": 1}, effect="only `free` GPUs are left"),
    "create-5xx-before": Kind(times=1, params={"status": 500}, effect="no pod, 5xx"),
    "create-5xx-after": Kind(times=1, params={"status": 500}, effect="the pod is made, then 5xx"),
    "create-hang-after": Kind(
        times=1, params={"seconds": 30}, effect="the pod is made, the answer comes late"
    ),
    "create-hang-before": Kind(
        times=1, params={"seconds": 30}, effect="no pod, and the answer, a 504, comes late"
    ),
    "rate-limit": Kind(times=1, params={"retry_after": 1}, effect="429 with Retry-After"),
    "server-error": Kind(times=1, params={"status": 503}, effect="5xx before anything happens"),
    "slow": Kind(times=ALWAYS, params={"seconds": 1}, effect="requests wait before they act"),
    "lost-answer": Kind(
        times=1, params={"status": 502}, effect="a request that changes something does, then 5xx"
    ),
    "slow-answer": Kind(
        times=1, params={"seconds": 30}, effect="a request acts at once, its answer comes late"
    ),
    "balance-too-low": Kind(times=ALWAYS, params={}, effect="creates answer 402"),
    "pod-key-refused": Kind(
        times=ALWAYS, params={"status": 403}, effect="the key inside the pod is refused"
    ),
    "image-refused": Kind(times=ALWAYS, params={}, effect="creates answer 422"),
    "wrong-price": Kind(
        times=ALWAYS, params={"factor": 2}, effect="the pod costs `factor` times the list price"
    ),
    "never-ready": Kind(times=ALWAYS, params={}, effect="runtime and ssh.direct stay null"),
    "no-sshd": Kind(times=ALWAYS, params={}, effect="the image starts no sshd"),
    "error-state": Kind(
        times=ALWAYS, params={"seconds": 0}, effect="the pod turns to ERROR after `seconds`"
    ),
    "slow-pull": Kind(
        times=ALWAYS, params={"seconds": 10}, effect="the image pull takes `seconds`"
    ),
    "pull-fails": Kind(times=ALWAYS, params={}, effect="the image pull fails for ever"),
    "zero-gpus": Kind(
        times=ALWAYS,
        params={"when": "always"},
        effect="nvidia-smi shows no GPU; when=create, start or always",
    ),
    "disk-full": Kind(
        times=ALWAYS, params={"mib": 4}, effect="the container disk has `mib` MiB and no more"
    ),
    "balance-gone": Kind(
        times=ALWAYS,
        params={"seconds": 5},
        effect="the account is empty `seconds` after the start: the pod goes, one with a network "
        "volume is stopped",
    ),
    "start-refused": Kind(
        times=1, params={"status": 400}, effect="start answers that the host has no free GPU"
    ),
    "stale-port": Kind(
        times=ALWAYS, params={}, effect="the first poll after a start still shows the old port"
    ),
    "delete-fails": Kind(times=1, params={"status": 500}, effect="delete answers 5xx, pod stays"),
    "delete-lies": Kind(times=1, params={}, effect="delete answers 204, pod stays"),
    "pod-killed": Kind(
        times=ALWAYS,
        params={"seconds": 5, "then": "exited"},
        effect="the pod dies after `seconds`; then=exited, error or gone",
    ),
    "ssh-drop": Kind(
        times=ALWAYS, params={"seconds": 5}, effect="SSH connections are cut after `seconds`"
    ),
    "ssh-cut": Kind(
        times=1,
        params={"during": "pull", "kib": 256, "dark": 0},
        effect="SSH is cut in the middle: `during` an upload or a pull after `kib` KiB, during a "
        "command as soon as it runs; for `dark` seconds nobody gets in",
    ),
    "port-change": Kind(
        times=1, params={"seconds": 5}, effect="SSH moves to another port after `seconds`"
    ),
    "host-key-change": Kind(
        times=1,
        params={"seconds": 5},
        effect="connections are cut after `seconds`, and SSH shows another host key",
    ),
    "host-key-forged": Kind(
        times=ALWAYS, params={}, effect="SSH shows another host key than the pod's log names"
    ),
    "slow-command": Kind(
        times=ALWAYS, params={"seconds": 5}, effect="commands over SSH begin `seconds` late"
    ),
    "hung-command": Kind(
        times=1, params={}, effect="a command over SSH is accepted and never begins"
    ),
    "log-drop": Kind(
        times=1, params={"events": 1}, effect="the log stream is cut after `events` events"
    ),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "when": ("create", "start", "always"),
    "then": ("exited", "error", "gone"),
    "during": ("command", "upload", "pull"),
}
"""Parameters that are one of a few words."""
