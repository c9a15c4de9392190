"""The seam inside the emulator: what its cloud asks of whatever builds pods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

LogSource = Literal["container", "system"]
"""Where a log line comes from: the pod's command, or the machinery round it."""

OnLog = Callable[[str, str], None]
"""Called as `on_log(source, line)` on the event loop, once per line, without its line end."""


class PodHostUnavailable(Exception):
    """No way to isolate pods on this machine; the message names what to enable."""


class PodStartError(Exception):
    """One pod could not be built; the message names the step and the system's answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuModel:
    """The GPU a pod rents, as its stub nvidia-smi reports it.

    Attributes:
        id: RunPod's GPU type id, also the product name nvidia-smi prints.
        memory_mib: Memory of one GPU, MiB.
        count: Number of GPUs visible; 0 for the zero-GPU fault.
        driver_version: For example "570.124.06".
        cuda_version: For example "12.8".
    """

    id: str
    memory_mib: int
    count: int
    driver_version: str
    cuda_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PodClock:
    """How time runs inside: `speed` times as fast as outside, from `now` (POSIX seconds) on."""

    speed: float = 1.0
    now: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fate:
    """What becomes of a command over SSH.

    Attributes:
        delay: Seconds until it begins; infinity never begins.
        dark: SSH is cut once it runs, and nobody gets in for so many seconds; None leaves it alone.
    """

    delay: float = 0.0
    dark: float | None = None


class Trouble(Protocol):
    """Decides what goes wrong over a pod's SSH connections."""

    def of_command(self, text: str) -> Fate:
        """Decide about a command that is about to begin."""
        ...

    def of_traffic(self, during: str, size: int) -> float | None:
        """Take note of bytes of an "upload" or a "pull"; seconds of darkness when they are cut now."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PodSpec:
    """What it takes to start one pod's processes once; a restart is a new spec, same workspace.

    Attributes:
        pod_id: RunPod's pod id, also the host name inside.
        env: Complete environment of PID 1, `RUNPOD_*` and `PUBLIC_KEY` included.
        args: Container command, split as a shell would; None idles as `/start.sh` does.
        container_disk_gb: Size of the memory-backed container disk, capped by the host's memory.
        shell: Program that is `sh` inside; empty for this machine's.
        printed_fingerprint: Of the host key that the log names, where that is not the pod's own.
        disk_mib: Size of it in MiB instead, for a disk that is full at once.
        workspace: Host folder bound at `mount_path`; None when nothing is mounted.
        mount_path: Where the volume is mounted, "/workspace" unless the request says otherwise.
        gpu: What nvidia-smi shows.
        accept_ssh: False stands for an image without sshd: nothing listens.
        trouble: Asked about each command and each piece of data; None lets all pass.
        clock: Shown by `date` and `sleep`, which `$RD_DATE` and `$RD_SLEEP` name where it runs fast.
    """

    pod_id: str
    env: Mapping[str, str]
    args: str | None
    container_disk_gb: int
    workspace: Path | None
    mount_path: str
    gpu: GpuModel
    accept_ssh: bool
    clock: PodClock = PodClock()
    trouble: Trouble | None = None
    disk_mib: int | None = None
    printed_fingerprint: str | None = None
    shell: str = ""


class PodProcess(Protocol):
    """One running pod: its process tree and its SSH endpoint.

    Attributes:
        ssh_port: Loopback TCP port, 0 when the pod accepts no SSH.
        host_key_fingerprint: "SHA256:…" of the pod's own SSH host key.
    """

    ssh_port: int
    host_key_fingerprint: str

    async def stop(self) -> None:
        """Kill every process of the pod, close SSH and drop the container disk; idempotent."""
        ...

    async def wait(self) -> int:
        """Return when PID 1's tree ended by itself or through `stop`; gives its exit status."""
        ...

    async def drop_connections(self) -> None:
        """Cut every SSH connection now; the pod keeps running."""
        ...

    async def reopen_ssh(
        self, *, dark: float = 0.0, new_port: bool = False, new_key: bool = False
    ) -> None:
        """Cut SSH and open it again after `dark` seconds, where asked with another port or host key."""
        ...

    def open_connections(self) -> int:
        """Give the number of SSH connections that are logged in and open."""
        ...


class PodHost(Protocol):
    """Builds pods on this machine.

    Attributes:
        kind: How isolation is done ("root", "userns", "sudo"), shown by `emulator status`.
    """

    kind: str

    async def start(self, spec: PodSpec, on_log: OnLog) -> PodProcess:
        """Start the pod's processes; returns once its PID 1 is up and SSH listens.

        Raises:
            PodStartError: Building the pod failed; nothing of it is left.
        """
        ...

    async def close(self) -> None:
        """Stop every pod that is still running; idempotent."""
        ...
