"""Ports of a pod on this machine while somebody else carries its run on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runpod_deploy.cli.ssh_command import way_in
from runpod_deploy.cli.terminal import Terminal
from runpod_deploy.compiler.plan import PlanForward
from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor.forwarding import ForwardedPorts
from runpod_deploy.executor.pod_access import PodAccess
from runpod_deploy.executor.ports import Reader, Writer
from runpod_deploy.executor.ssh.transport import AsyncsshTransport
from runpod_deploy.forensics.status import read_status


@contextmanager
def forwarded(folder: Path, forwards: Sequence[PlanForward], terminal: Terminal) -> Iterator[None]:
    """Forward ports over a login of our own until the caller is done.

    Raises:
        InvalidInput: A port of this machine is taken, or the run has no pod.
        AccountError: There is no API key to ask for the pod's address with.
        CloudError: The cloud cannot be asked, or the pod has no address.
    """
    line = _Line(way_in(read_status(folder, time.time()), terminal))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True, name="forwarded ports")
    thread.start()

    def do(work: Coroutine[Any, Any, ForwardedPorts | None]) -> ForwardedPorts | None:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    ports = None
    try:
        ports = do(ForwardedPorts.bound(forwards, terminal.say))
        if ports is not None:
            ports.dial = line.dial
        yield
    finally:
        if ports is not None:
            do(ports.close())
        do(line.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Line:
    """One login to the pod, made when it is first needed and again when it broke."""

    def __init__(self, access: PodAccess) -> None:
        self._access = access
        self._transport: AsyncsshTransport | None = None
        self._lock = asyncio.Lock()

    async def dial(self, port: int) -> tuple[Reader, Writer]:
        """Open a connection to a port of the pod."""
        async with self._lock:
            if self._transport is not None and self._transport.broken:
                await self.close()
            if self._transport is None:
                self._transport = await self._access.connect()
            transport = self._transport
        return await transport.dial(port)

    async def close(self) -> None:
        """Log out; idempotent."""
        transport, self._transport = self._transport, None
        if transport is not None:
            with suppress(RunpodDeployError):
                await transport.close()
