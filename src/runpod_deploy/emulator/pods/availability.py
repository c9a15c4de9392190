"""Which way of isolating pods works on this machine: found by doing it once."""

import os
import shutil
from pathlib import Path

from runpod_deploy.emulator.pods.host import LocalPodHost
from runpod_deploy.emulator.ports import GpuModel, PodHostUnavailable, PodSpec, PodStartError

_found: str | None = None

_NO_GPU = GpuModel(id="none", memory_mib=0, count=0, driver_version="0", cuda_version="0")
_TRIAL = PodSpec(
    pod_id="trial",
    env={},
    args=None,
    container_disk_gb=1,
    workspace=None,
    mount_path="/workspace",
    gpu=_NO_GPU,
    accept_ssh=False,
)


async def find_host(state_dir: Path) -> LocalPodHost:
    """Give a host that was seen to build a pod; the answer is kept for this process.

    Raises:
        PodHostUnavailable: No way works; the message names each, and what to enable.
    """
    global _found  # noqa: PLW0603 - a trial costs a pod, and the machine does not change
    os.makedirs(state_dir, mode=0o700, exist_ok=True)  # noqa: PTH103 - one folder, once
    if _found is not None:
        return LocalPodHost(state_dir, _found)
    reasons = []
    for kind in _candidates():
        host = LocalPodHost(state_dir, kind)
        try:
            await (await host.start(_TRIAL, lambda _source, _line: None)).stop()
        except PodStartError as error:
            reasons.append(f"{kind}: {str(error).partition(': ')[2]}")
        else:
            _found = kind
            return host
        finally:
            await host.close()
    raise PodHostUnavailable(_explain(reasons))


def _candidates() -> list[str]:
    if os.getuid() == 0:
        return ["root", "userns"]
    return ["userns", "sudo"] if shutil.which("sudo") else ["userns"]


def _explain(reasons: list[str]) -> str:
    tried = "; ".join(reasons)
    return (
        f"emulated pods need Linux namespaces, and this machine gives none ({tried}). "
        "Enable one of: unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1 "
        "and user.max_user_namespaces above 0; on Ubuntu also "
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0), passwordless sudo, "
        "or run the emulator as root. In a container, it must be privileged."
    )
