"""Pods without substance: the API answers, nothing runs and nothing listens."""

import asyncio

from runpod_deploy.emulator.ports import OnLog, PodProcess, PodSpec


class HollowHost:
    """For rehearsing API calls on a machine that cannot isolate pods."""

    kind = "none"

    async def start(self, spec: PodSpec, on_log: OnLog) -> PodProcess:
        """Pretend that the pod is up."""
        on_log("system", f"{spec.pod_id}: this emulator runs no processes (--pods none)")
        return HollowProcess()

    async def close(self) -> None:
        """There is nothing to stop."""


class HollowProcess:
    """Stays up until it is stopped."""

    ssh_port = 0
    host_key_fingerprint = ""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()

    async def stop(self) -> None:
        """Let `wait` return."""
        self._stopped.set()

    async def wait(self) -> int:
        """Wait for `stop`."""
        await self._stopped.wait()
        return 0

    async def drop_connections(self) -> None:
        """There are none."""

    async def reopen_ssh(
        self, *, dark: float = 0.0, new_port: bool = False, new_key: bool = False
    ) -> None:
        """There is no SSH."""

    def open_connections(self) -> int:
        """Give 0."""
        return 0
