"""What the emulated account owns, as it is kept in memory and in the state folder."""

from dataclasses import asdict, dataclass, field
from typing import Any

from runpod_deploy.emulator.billing import Meter
from runpod_deploy.emulator.catalog import Cloud
from runpod_deploy.emulator.lifecycle import Power


@dataclass(kw_only=True, slots=True)
class Pod:
    """One pod, from its create call until it is gone and after.

    Attributes:
        env: As requested; never written to disk.
        mounts: As in the API: `persistent` or `network`.
        gpu_id: Set for GPU pods; `cpu_id` for the others.
        gpu_count: Number of GPUs rented.
        cluster_id: Set for members of a cluster, as are `rank` and, for some types, `role`.
        address: A member's own on its cluster's private network.
        price: USD per hour of the whole pod's compute.
        api_key: Accepted for this pod alone; never written to disk.
        created_at: POSIX seconds, as are the other times.
        ended_by: Empty while the pod exists; then "deleted", "killed" or "lost".
    """

    id: str
    name: str
    image: str
    args: str
    disk: int
    ports: list[str]
    registry: str | None
    mounts: dict[str, Any]
    cloud: Cloud
    datacenter: str
    price: float
    created_at: float
    gpu_id: str | None = None
    gpu_count: int = 0
    cpu_id: str | None = None
    vcpu_count: int = 0
    cuda: str | None = None
    global_networking: bool = False
    locked: bool = False
    env: dict[str, str] = field(default_factory=dict)
    injected_env: dict[str, str] = field(default_factory=dict)
    api_key: str = ""
    cluster_id: str = ""
    rank: int = 0
    role: str = ""
    address: str = ""
    power: Power = "on"
    started_at: float | None = None
    ended_at: float | None = None
    ended_by: str = ""
    meter: Meter = field(default_factory=Meter)

    @property
    def persistent_gb(self) -> int:
        """Size of the persistent mount, 0 without one."""
        persistent = self.mounts.get("persistent")
        return int(persistent["size"]) if persistent else 0

    @property
    def volume_id(self) -> str | None:
        """Id of the attached network volume."""
        network = self.mounts.get("network")
        return str(network[0]["volumeId"]) if network else None

    @property
    def mount_path(self) -> str | None:
        """Where its persistent mount or network volume lies inside."""
        if "persistent" in self.mounts:
            return str(self.mounts["persistent"]["path"])
        network = self.mounts.get("network")
        return str(network[0]["path"]) if network else None

    def document(self) -> dict[str, Any]:
        """Give what the state file keeps: everything but the secrets."""
        return {
            name: getattr(self, name)
            for name in self.__slots__
            if name not in {"env", "injected_env", "api_key", "meter"}
        } | {"meter": self.meter.document()}

    @classmethod
    def from_document(cls, row: dict[str, Any]) -> "Pod":
        """Read what `document` gave."""
        return cls(**{**row, "meter": Meter.from_document(row["meter"])})


@dataclass(kw_only=True, slots=True)
class Cluster:
    """Several pods of one shape in one data center; they end with their daemon, and so does it.

    Attributes:
        number: Which cluster of this daemon it is, from 1 on: its private network is called after it.
        datacenter: Where all its pods are.
    """

    id: str
    name: str
    type: str
    gpu_id: str
    gpu_count: int
    pod_count: int
    datacenter: str
    number: int
    created_at: float

    @property
    def cidr(self) -> str:
        """The private network, a part of the loopback network that all emulated pods share."""
        return f"127.65.{self.number % 256}.0/24"

    def address(self, rank: int) -> str:
        """Give the private address of a member."""
        return f"127.65.{self.number % 256}.{rank + 2}"


@dataclass(kw_only=True, slots=True)
class Volume:
    """One network volume; `deleted` ones stay for the bill."""

    id: str
    name: str
    size: int
    datacenter: str
    type: str
    deleted: bool = False
    meter: Meter = field(default_factory=Meter)

    def document(self) -> dict[str, Any]:
        """Give what the state file keeps."""
        kept = {n: getattr(self, n) for n in self.__slots__ if n != "meter"}
        return kept | {"meter": self.meter.document()}

    @classmethod
    def from_document(cls, row: dict[str, Any]) -> "Volume":
        """Read what `document` gave."""
        return cls(**{**row, "meter": Meter.from_document(row["meter"])})


@dataclass(kw_only=True, slots=True)
class Registry:
    """A registry credential; the password is not kept, nothing is ever pulled."""

    id: str
    name: str


@dataclass(kw_only=True, slots=True)
class Account:
    """What outlives the daemon; templates are kept in the API's form."""

    volumes: dict[str, Volume] = field(default_factory=dict)
    registries: dict[str, Registry] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    ssh_keys: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Give what the state file keeps."""
        return {
            "volumes": [volume.document() for volume in self.volumes.values()],
            "registries": [asdict(registry) for registry in self.registries.values()],
            "templates": list(self.templates.values()),
            "ssh_keys": self.ssh_keys,
        }

    @classmethod
    def from_document(cls, raw: dict[str, Any]) -> "Account":
        """Read what `document` gave."""
        volumes = [Volume.from_document(row) for row in raw["volumes"]]
        return cls(
            volumes={volume.id: volume for volume in volumes},
            registries={row["id"]: Registry(**row) for row in raw["registries"]},
            templates={row["id"]: row for row in raw["templates"]},
            ssh_keys=list(raw["ssh_keys"]),
        )
