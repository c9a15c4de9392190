"""The ring of places to try, in the order in which they are tried."""

from collections.abc import Iterator, Mapping
from typing import Literal

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.schema.job import CloudType

VOLUME = "@volume"
_CLOUDS: Mapping[CloudType, tuple[Literal["SECURE", "COMMUNITY"], ...]] = {
    "SECURE": ("SECURE",),
    "COMMUNITY": ("COMMUNITY",),
    "ANY": ("SECURE", "COMMUNITY"),
}


def ring(config: Resolved) -> tuple[Candidate, ...]:
    """Return every candidate once; the cloud is innermost, SECURE before COMMUNITY.

    `pod.prefer: price` keeps the order of the file: prices are looked up only when applied.
    """
    return tuple(dict.fromkeys(_walk(config)))


def _walk(config: Resolved) -> Iterator[Candidate]:
    datacenters, cpu = _datacenters(config), config.pod.cpu
    machines = config.pod.gpu_order if cpu is None else (cpu.flavor,)
    if config.pod.prefer == "datacenter":
        places = [(gpu, place) for place in datacenters for gpu in machines]
    else:
        places = [(gpu, place) for gpu in machines for place in datacenters]
    for gpu, datacenter in places:
        for cloud in clouds(config):
            yield Candidate(gpu=gpu, datacenter=datacenter, cloud=cloud)


def _datacenters(config: Resolved) -> tuple[str | None, ...]:
    if config.storage.mode == "network_volume" and not config.storage.create:
        return (VOLUME,)
    if isinstance(config.pod.datacenters, str):
        return (None,)
    return tuple(None if name == "any" else name for name in config.pod.datacenters)


def clouds(config: Resolved) -> tuple[Literal["SECURE", "COMMUNITY"], ...]:
    """Return the clouds that are tried, in order; network volumes and clusters are in Secure Cloud only."""
    secure = config.storage.mode == "network_volume" or config.cluster is not None
    return _CLOUDS["SECURE" if secure else config.pod.cloud_type]
