"""The three ports of the executor: the cloud, the way into a pod, and time.

Adapters map every foreign exception to the tree in `errors.py`, most specific first, `from exc`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

PodAction = Literal["start", "stop", "restart"]
PodStatus = Literal[
    "PROVISIONING", "STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED", "BROKEN", "UNKNOWN"
]


# Nothing of it runs: the API lets such a pod be started or terminated, and not stopped.
STOPPED: frozenset[PodStatus] = frozenset({"EXITED", "ERROR"})
AT_REST: frozenset[PodStatus] = STOPPED | {"TERMINATED"}
# Nobody gets in, and waiting does not help.
LOST: frozenset[PodStatus] = AT_REST | {"BROKEN"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a pod's own SSH server answers."""

    host: str
    port: int
    username: str = "root"


@dataclass(frozen=True, kw_only=True, slots=True)
class PodRequest:
    """A create call, in our words; the adapter writes the body of the API.

    Attributes:
        nodes: With more than one, so many pods of this shape, as a cluster.
        network_volume_id: Attach this volume at `mount`; excludes `persistent_gb`.
        persistent_gb: Size of a host-local disk at `mount`; excludes `network_volume_id`.
        args: The container's start command, already quoted for a shell; None keeps the image's own.
        vcpus: Of a pod without a GPU, whose flavor is in `gpu`; None for one with GPUs.
    """

    name: str
    image: str | None
    gpu: str
    gpu_count: int
    cloud: Literal["SECURE", "COMMUNITY"]
    datacenter: str | None
    container_disk_gb: int
    ports: tuple[str, ...]
    env: Mapping[str, str]
    template_id: str | None = None
    registry_auth: str | None = None
    min_cuda: str | None = None
    mount: str | None = None
    network_volume_id: str | None = None
    persistent_gb: int | None = None
    args: str | None = None
    nodes: int = 1
    vcpus: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod as the API describes it; or a cluster in its place, as `clusters.py` does.

    Attributes:
        cluster_id: The cluster that it is a node of.
        rank: Which node of its cluster, from 0 on; None until that is known.
        members: The nodes, by rank, of what is a cluster.
        status: `UNKNOWN` for a status that this version does not know; `BROKEN`, which is ours, for a
            cluster that lost a node: the others run and bill, and nothing makes it whole.
        cost: USD per hour for the whole pod; None when the API gives none or 0.
        gpu: Of a pod without a GPU the flavor of its processor, with a count of 0.
        ssh: None until the pod has a public port for 22/tcp; of a cluster, its first node's.
        nodes: How many nodes it is to have, if it is a cluster.
        vcpus: Of a pod without a GPU; None for one with GPUs.
        raw: The API's own object, for `pod_describe`; holds the env in clear, never to be logged.
    """

    id: str
    name: str
    status: PodStatus
    gpu: str | None
    gpu_count: int | None
    cloud: str | None
    datacenter: str | None
    cost: float | None
    image: str | None
    ssh: Endpoint | None
    vcpus: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    cluster_id: str | None = None
    rank: int | None = None
    members: "tuple[Pod, ...]" = ()
    nodes: int = 0

    @property
    def ready(self) -> bool:
        """Whether it has a public port for SSH; of a cluster, whether each of its nodes has."""
        whole = len(self.members) >= self.nodes and all(one.ssh for one in self.members)
        return self.ssh is not None and whole


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuOffer:
    """A row of the catalog; prices in USD per hour for one GPU, None when unknown.

    Attributes:
        stock: Cloud to data center id to `LOW`, `MEDIUM` or `HIGH`: a data center that is missing has
            none. The data center `""` is the cloud as a whole, `NONE` included. A cloud that is
            missing did not say.
        max_count: Cloud to the most GPUs that one pod can have there; a missing one did not say.
    """

    id: str
    memory_gb: int
    secure_price: float | None
    community_price: float | None
    name: str = ""
    stock: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    max_count: Mapping[str, int] = field(default_factory=dict)

    def price(self, cloud: str) -> float | None:
        """Return the price of one GPU in a cloud, USD per hour."""
        return self.secure_price if cloud == "SECURE" else self.community_price


@dataclass(frozen=True, kw_only=True, slots=True)
class StockQuery:
    """Whose stock is asked for: that of pods with `gpu_count` GPUs, in each of these clouds.

    With `vcpus` it is that of pods without a GPU that have so many.

    Attributes:
        product: Whether the pods are to stand alone or to be nodes of a cluster.
    """

    gpu_count: int = 1
    clouds: tuple[str, ...] = ("SECURE", "COMMUNITY")
    min_cuda: str | None = None
    product: Literal["POD", "CLUSTER"] = "POD"
    vcpus: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A network volume; size in GB, `type` STANDARD or HIGH_PERFORMANCE where the API says it."""

    id: str
    name: str
    datacenter: str
    size_gb: int
    type: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A template; `raw` is the API's own object and holds its env in clear, never to be logged."""

    id: str
    name: str
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """A registry credential; the API never tells user name or password."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """A line of a pod's log; `source` is `container` or `system`."""

    source: str
    line: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What was billed for one pod in one stretch of time; USD."""

    pod_id: str
    total_usd: float
    gpu_usd: float
    disk_usd: float


class Account(Protocol):
    """What those need who look after all pods of an account; methods raise as those of `Cloud`."""

    async def pods(self) -> list[Pod]:
        """Return every pod of the account."""

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod, None when the API says that it is not there."""

    async def act(self, pod_id: str, action: PodAction) -> None:
        """Start, stop or restart a pod."""

    async def delete(self, pod_id: str) -> None:
        """Ask for the pod's end; 404 counts as success."""

    async def billed(self, since: str, pod_id: str | None = None) -> list[Bill]:
        """Return what was billed for pods since a time, in rows that add up."""


class Cloud(Protocol):
    """RunPod, as far as the executor needs it; methods raise `CloudError` or `AccountError`."""

    @property
    def label(self) -> str:
        """`runpod` or `emulator`, as it is written into the manifest."""

    async def create(self, request: PodRequest) -> Pod:
        """Create a pod once, never retried inside: after `EffectUnknown` the caller asks `find`."""

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod, None when the API says that it is not there."""

    async def pods(self) -> list[Pod]:
        """Return every pod of the account."""

    async def find(self, name: str) -> list[Pod]:
        """Return every pod called exactly `name`."""

    async def act(self, pod_id: str, action: PodAction) -> None:
        """Start, stop or restart a pod."""

    async def set_env(self, pod_id: str, env: Mapping[str, str]) -> Pod:
        """Replace the environment that the pod's next start has, and return the pod."""

    async def delete(self, pod_id: str) -> None:
        """Ask for the pod's end; 404 counts as success. Proof is only `get` returning None."""

    def logs(self, pod_id: str, *, tail: int) -> AsyncGenerator[LogLine, None]:
        """Yield the last `tail` lines of the pod's log and then what comes, until the pod is gone."""

    async def volumes(self) -> list[Volume]:
        """Return the account's network volumes."""

    async def create_volume(self, name: str, size_gb: int, datacenter: str) -> Volume:
        """Make a network volume, exactly one.

        Raises:
            EffectUnknown: The answer was lost, and no such volume can be found.
        """

    async def billed(self, since: str, pod_id: str | None = None) -> list[Bill]:
        """Return what was billed for pods, one row for each pod and day, from a UTC time on."""

    async def catalog(self, query: StockQuery) -> list[GpuOffer]:
        """Return every GPU of the catalog with its prices and the stock that was asked for."""

    async def close(self) -> None:
        """Close connections; idempotent."""


class WholeCloud(Cloud, Protocol):
    """Pods and clusters alike, each found by its id."""

    def standing_alone(self, *pods: str) -> None:
        """Take these ids and names for those of pods that are no cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """A finished remote command; `exit_status` is -1 when a signal ended it."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class Reader(Protocol):
    """Where bytes of a connection come from."""

    async def read(self, n: int = -1, /) -> bytes:
        """Return some bytes, none at the end."""


class Writer(Protocol):
    """Where bytes of a connection go to."""

    def write(self, data: bytes, /) -> None:
        """Take bytes."""

    async def drain(self) -> None:
        """Wait until there is room for more."""

    def write_eof(self) -> None:
        """Say that nothing more comes."""

    def close(self) -> None:
        """Close both directions."""


class Transport(Protocol):
    """One SSH connection to one pod. Every method may raise a `TransportError`."""

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | AsyncIterator[bytes] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run `command` in the remote user's shell and collect its output (at most 16 MiB each).

        Raises:
            TimeoutError: `timeout` seconds passed; the remote command was sent SIGTERM.
            ConnectionLost: The connection broke before the exit status arrived.
        """

    def stream(
        self, command: str, *, stdin: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[bytes]:
        """Yield stdout in chunks as it comes; closing the iterator ends the remote command.

        Raises:
            ConnectionLost: The connection broke.
            CommandFailed: The command ended with a non-zero status.
        """

    async def dial(self, port: int) -> tuple[Reader, Writer]:
        """Open a connection to a port of the pod's own loopback address."""

    def host_key(self) -> str:
        """Return the server's host key in OpenSSH format, `ssh-ed25519 AAAA…`."""

    def latency(self) -> float:
        """Return the shortest time that an answer took so far, in seconds; 0 before the first."""

    async def close(self) -> None:
        """Close the connection; idempotent."""


class Connector(Protocol):
    """Opens connections to pods; one per run, holding the run's key and its known hosts."""

    @property
    def public_key(self) -> str:
        """The run's public key in OpenSSH format, for `env.PUBLIC_KEY`."""

    def forget(self, pod_id: str) -> None:
        """Strike out the host key of a pod that is about to be started anew, and so gets another.

        Raises:
            OSError: The known hosts cannot be written.
        """

    async def connect(self, endpoint: Endpoint, pod_id: str, *, timeout: float) -> Transport:
        """Open one connection; the first to a pod enrols its host key, later ones must match.

        Raises:
            ConnectFailed: Nobody answered or finished the handshake within `timeout` seconds.
            AuthRejected: The server answered and refused the key.
            HostKeyChanged: The server shows another key than the one enrolled for `pod_id`.
        """


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float:
        """Return seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
