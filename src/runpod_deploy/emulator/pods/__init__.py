"""Emulated pods: process trees of this machine, each behind an SSH server of its own."""

import sys
from pathlib import Path

from runpod_deploy.emulator.ports import PodHost, PodHostUnavailable


async def open_pod_host(state_dir: Path) -> PodHost:
    """Open this machine as a builder of pods.

    Args:
        state_dir: A folder for the emulator alone; pods do not see it.

    Raises:
        PodHostUnavailable: Pods cannot be isolated here; the message names what to enable.
    """
    if sys.platform != "linux":
        raise PodHostUnavailable(
            "emulated pods are Linux processes in namespaces of their own, which "
            f"{sys.platform} does not have: run the emulator on Linux, in WSL 2 or in a Linux VM."
        )
    # Its modules need what only Linux has, and this message needs to reach the others.
    from runpod_deploy.emulator.pods.availability import find_host  # noqa: PLC0415 - see above

    return await find_host(state_dir)
