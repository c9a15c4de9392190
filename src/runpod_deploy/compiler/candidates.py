"""The ring of places to try, in the order in which they are tried."""

from collections.abc import Iterator
from typing import Literal

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.schema.job import CloudType

VOLUME = "@volume"


def ring(config: Resolved) -> tuple[Candidate, ...]:
    """Return every candidate once; the cloud is innermost, SECURE before COMMUNITY.

    `pod.prefer: price` keeps the order of the file: prices are looked up only when applied.
    """
    return tuple(dict.fromkeys(_walk(config)))


def _walk(config: Resolved) -> Iterator[Candidate]:
    datacenters = _datacenters(config)
    if config.pod.prefer == "datacenter":
        places = [(gpu, place) for place in datacenters for gpu in config.pod.gpu_order]
    else:
        places = [(gpu, place) for gpu in config.pod.gpu_order for place in datacenters]
    volume = config.storage.mode == "network_volume"
    for gpu, datacenter in places:
        for cloud in _clouds("SECURE" if volume else config.pod.cloud_type):
            yield Candidate(gpu=gpu, datacenter=datacenter, cloud=cloud)


def _datacenters(config: Resolved) -> tuple[str | None, ...]:
    if config.storage.mode == "network_volume" and not config.storage.create:
        return (VOLUME,)
    if isinstance(config.pod.datacenters, str):
        return (None,)
    return tuple(None if name == "any" else name for name in config.pod.datacenters)


def _clouds(cloud: CloudType) -> Iterator[Literal["SECURE", "COMMUNITY"]]:
    if cloud != "COMMUNITY":
        yield "SECURE"
    if cloud != "SECURE":
        yield "COMMUNITY"
