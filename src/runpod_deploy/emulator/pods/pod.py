"""One running pod: its process tree, its container command and its SSH endpoint."""

import asyncio
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runpod_deploy.emulator.pods import layout
from runpod_deploy.emulator.pods.blueprint import Blueprint
from runpod_deploy.emulator.pods.container import keep_running
from runpod_deploy.emulator.pods.control import Control, PodGoneError
from runpod_deploy.emulator.pods.launch import Launched, launch
from runpod_deploy.emulator.pods.ssh_server import SshEndpoint
from runpod_deploy.emulator.ports import OnLog, PodSpec, PodStartError


class Pod:
    """A pod of this machine (see `runpod_deploy.emulator.ports.PodProcess`)."""

    def __init__(self, launched: Launched, control: Control, endpoint: SshEndpoint | None) -> None:
        self._launched = launched
        self._control = control
        self._endpoint = endpoint
        self._container: asyncio.Task[None] | None = None
        self.ssh_port = 0 if endpoint is None else endpoint.port
        self.host_key_fingerprint = "" if endpoint is None else endpoint.fingerprint
        self._over = asyncio.ensure_future(self._clean_up())

    async def stop(self) -> None:
        """Kill every process of the pod, close SSH and drop the container disk; idempotent."""
        self._control.close()
        await self._launched.leave()
        await asyncio.shield(self._over)

    async def wait(self) -> int:
        """Return when PID 1's tree ended by itself or through `stop`; gives its exit status."""
        return await asyncio.shield(self._launched.ended)

    async def drop_connections(self) -> None:
        """Cut every SSH connection now; the pod keeps running."""
        if self._endpoint is not None:
            await self._endpoint.drop_connections()

    async def reopen_ssh(
        self, *, dark: float = 0.0, new_port: bool = False, new_key: bool = False
    ) -> None:
        """Cut SSH and open it again after `dark` seconds, where asked with another port or host key."""
        if self._endpoint is not None:
            await self._endpoint.reopen(dark=dark, new_port=new_port, new_key=new_key)
            self.ssh_port = self._endpoint.port
            self.host_key_fingerprint = self._endpoint.fingerprint

    def open_connections(self) -> int:
        """Give the number of SSH connections that are logged in and open."""
        return 0 if self._endpoint is None else self._endpoint.open_connections()

    def run_container(self, spec: PodSpec, on_log: OnLog) -> None:
        """Start the container command, which official images call `/start.sh`."""
        # As the start script of RunPod's images does; another command prints no such thing.
        if self._endpoint is not None and "/start.sh" in (spec.args or "/start.sh"):
            printed = spec.printed_fingerprint or self.host_key_fingerprint
            for line in (
                "SSH host keys:",
                "Key: /etc/ssh/ssh_host_ed25519_key.pub",
                f"256 {printed} root@{spec.pod_id} (ED25519)",
            ):
                on_log("container", line)
        if spec.args is not None:
            env = layout.container_environment(spec)
            work = keep_running(self._control, spec.args, env, on_log)
            self._container = asyncio.ensure_future(work)

    async def _clean_up(self) -> None:
        """Whatever ended the processes: nothing of the pod stays."""
        await asyncio.shield(self._launched.ended)
        self._control.close()
        if self._container is not None:
            self._container.cancel()
            with suppress(asyncio.CancelledError):
                await self._container
        if self._endpoint is not None:
            await self._endpoint.close()


async def start_pod(
    kind: str, spec: PodSpec, on_log: OnLog, *, state_dir: Path, scratch: Path
) -> Pod:
    """Build one pod.

    Raises:
        PodStartError: A step failed; nothing of the pod is left.
    """
    blueprint = layout.draw(
        spec, state_dir=state_dir, scratch=scratch, user_namespace=kind != "root"
    )
    # Bound before anything runs: the container's environment names its public port.
    bound = socket.create_server(("127.0.0.1", 0)) if spec.accept_ssh else None
    try:
        return await _build(kind, spec, on_log, blueprint, bound)
    except PodStartError:
        if bound is not None:
            bound.close()
        raise


async def _build(
    kind: str, spec: PodSpec, on_log: OnLog, blueprint: Blueprint, bound: socket.socket | None
) -> Pod:
    port = {} if bound is None else {"RUNPOD_TCP_PORT_22": str(bound.getsockname()[1])}
    spec = replace(spec, env={**port, **spec.env})
    env = layout.container_environment(spec)
    try:
        launched, sock = launch(kind, env)
    except (OSError, ValueError) as error:
        raise PodStartError(f"pod {spec.pod_id} cannot be started: {error}") from error
    control = Control(sock)
    endpoint = _endpoint(spec, control) if spec.accept_ssh else None
    try:
        if endpoint is not None:  # PID 1's interpreter starts up meanwhile
            await endpoint.listen(bound)
        await control.boot(blueprint)
    except (PodGoneError, OSError) as error:
        control.close()
        await launched.leave()
        if endpoint is not None:
            await endpoint.close()
        reason = launched.complaint.strip() or str(error)
        raise PodStartError(f"pod {spec.pod_id} cannot be built: {reason}") from error
    pod = Pod(launched, control, endpoint)
    pod.run_container(spec, on_log)
    return pod


def _endpoint(spec: PodSpec, control: Control) -> SshEndpoint:
    keys = spec.env.get("PUBLIC_KEY", "")
    return SshEndpoint(
        control, keys, layout.login_environment(), layout.login_shell(), spec.trouble
    )
