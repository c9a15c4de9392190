"""Network volumes by name or id: seen with the pods that have them, made once, grown, removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runpod_deploy.errors import InvalidInput
from runpod_deploy.executor.ports import Pod, Volume
from runpod_deploy.executor.runpod.resources import VOLUMES, Resources


class Owner(Protocol):
    """As much of a cloud as it takes to look after volumes."""

    @property
    def resources(self) -> Resources:
        """What else than pods the account can own."""

    async def pods(self) -> list[Pod]:
        """Return every pod of the account."""

    async def volumes(self) -> list[Volume]:
        """Return the account's network volumes."""

    async def create_volume(
        self, name: str, size_gb: int, datacenter: str, kind: str | None = None
    ) -> Volume:
        """Make a network volume, exactly one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A volume and the ids of the pods that have it, stopped ones among them."""

    volume: Volume
    pods: tuple[str, ...]


async def see_all(owner: Owner) -> list[Seen]:
    """Return every volume, by name."""
    volumes, pods = await owner.volumes(), await owner.pods()
    rows = [Seen(volume=one, pods=_users(one.id, pods)) for one in volumes]
    return sorted(rows, key=lambda row: (row.volume.name, row.volume.id))


def pick(rows: Sequence[Seen], wanted: Iterable[str]) -> list[Seen]:
    """Return the volumes that are named, by id or by a name that only one has.

    Raises:
        InvalidInput: There is none, or more than one, of such a name.
    """
    return list(dict.fromkeys(_pick(rows, name) for name in wanted))


def _pick(rows: Sequence[Seen], wanted: str) -> Seen:
    by_id = [row for row in rows if row.volume.id == wanted]
    found = by_id or [row for row in rows if row.volume.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(f"{row.volume.id} in {row.volume.datacenter}" for row in found)
        raise InvalidInput(
            f"{len(found)} network volumes are called {wanted!r}: {places}",
            help="Name the one you mean by its id.",
        )
    raise InvalidInput(
        f"the account has no network volume {wanted!r}", help="See all:\n  runpod-deploy volume ls"
    )


async def make(
    owner: Owner, name: str, size_gb: int, datacenter: str, kind: str | None = None
) -> Volume:
    """Make a volume, unless its name is taken in that place.

    Raises:
        InvalidInput: It is: a job file could not tell the two apart by name.
        CloudError: RunPod refused, as where the data center has no volumes.
    """
    for volume in await owner.volumes():
        if (volume.name, volume.datacenter) == (name, datacenter):
            raise InvalidInput(
                f"a network volume called {name!r} is in {datacenter} already: {volume.id}, "
                f"{volume.size_gb} GB",
                help=f"Use that one, or let it grow:\n  runpod-deploy volume resize {volume.id} --size GB",
            )
    return await owner.create_volume(name, size_gb, datacenter, kind)


async def grow(owner: Owner, seen: Seen, size_gb: int) -> Volume:
    """Let a volume grow.

    Raises:
        InvalidInput: It has that size already, or is larger.
    """
    volume = seen.volume
    if size_gb <= volume.size_gb:
        raise InvalidInput(
            f"{volume.id} ({volume.name}) has {volume.size_gb} GB; network volumes only grow",
            help="For a smaller one, make another volume and copy the data over.",
        )
    return await owner.resources.change(VOLUMES, volume.id, {"size": size_gb})


def refuse_in_use(rows: Iterable[Seen]) -> None:
    """Refuse volumes that pods have, before anything is removed.

    Raises:
        InvalidInput: Names the first, and the pods.
    """
    for row in rows:
        if row.pods:
            raise InvalidInput(
                f"{row.volume.id} ({row.volume.name}) is attached to {', '.join(row.pods)}",
                help="End those first:\n  runpod-deploy cleanup " + " ".join(row.pods),
            )


async def remove(owner: Owner, seen: Seen) -> None:
    """Remove a volume with everything on it; returns once it is confirmed gone."""
    await owner.resources.remove(VOLUMES, seen.volume.id)


def _users(volume_id: str, pods: Iterable[Pod]) -> tuple[str, ...]:
    return tuple(
        pod.id for pod in pods if pod.status != "TERMINATED" and volume_id in _attached(pod.raw)
    )


def _attached(raw: Mapping[str, Any]) -> list[object]:
    mounts = raw.get("mounts")
    network = mounts.get("network") if isinstance(mounts, Mapping) else None
    rows = network if isinstance(network, list) else []
    return [row.get("volumeId") for row in rows if isinstance(row, Mapping)]
