"""A network volume as a Pulumi resource."""

from __future__ import annotations

from typing import ClassVar

import pulumi
from pulumi.dynamic import CheckFailure

from runpod_deploy.errors import Conflict, NotFound
from runpod_deploy.executor.ports import Volume
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.resources import VOLUMES
from runpod_deploy.pulumi.fields import Field, one_of, text, whole
from runpod_deploy.pulumi.provider import Props, Provider, Seen
from runpod_deploy.pulumi.resource import RunPodResource, output

_OWN = ("volume_name", "size_gb", "datacenter", "type")


class NetworkVolumeProvider(Provider):
    """Makes volumes, grows and renames them; one that `existing` names is looked at only."""

    fields: ClassVar[tuple[Field, ...]] = (
        Field(name="volume_name", read=text),
        Field(name="size_gb", read=whole(10, 4096)),
        Field(name="datacenter", read=text, replaces=True),
        Field(name="type", read=one_of("STANDARD", "HIGH_PERFORMANCE"), replaces=True),
        Field(name="existing", read=text, replaces=True),
    )

    def rules(self, _inputs: Props) -> list[CheckFailure]:
        """Either a volume is described, or one that exists is named."""
        if _inputs["existing"] is None:
            return [
                CheckFailure(name, "is needed for a new volume")
                for name in ("volume_name", "size_gb", "datacenter")
                if _inputs[name] is None
            ]
        return [
            CheckFailure(name, "goes with a new volume, not with `existing`")
            for name in _OWN
            if _inputs[name] is not None
        ]

    def replaces(self, field: Field, _olds: Props, _news: Props) -> bool:
        """A type that was left to RunPod and is now said as it came out is no change of it."""
        return field.replaces and not (
            field.name == "type" and _news.get("type") in (None, _olds.get("volume_type"))
        )

    def refused(self, _olds: Props, _news: Props) -> str | None:
        """A volume cannot shrink, and must not be replaced for it: that would lose its data."""
        if not _olds.get("existing") and _news.get("existing") == _olds.get("volume_id"):
            return (
                f"network volume {_olds.get('volume_id')} was made by this stack; naming it as `existing` "
                "would delete it as the old resource. Take it out of the state first: pulumi state delete"
            )
        old, new = _olds.get("size_gb"), _news.get("size_gb")
        if old is None or new is None or new >= old or _news.get("existing"):
            return None
        return (
            f"network volume {_olds.get('volume_name')!r} has {old:g} GB and cannot shrink to "
            f"{new:g} GB; to have a smaller one, make a new volume and copy the data over"
        )

    async def made(self, cloud: RunPodCloud, props: Props) -> Seen:
        """Make the volume, unless one of its name is in its place already."""
        if props.get("existing"):
            found = await self.found(cloud, props["existing"], props)
            if found is None:
                raise NotFound(f"there is no network volume {props['existing']}")
            return found
        for volume in await cloud.volumes():
            same = (volume.name, volume.datacenter) == (props["volume_name"], props["datacenter"])
            if same and props.get("type") in (None, volume.type):
                raise Conflict(
                    f"a network volume called {volume.name!r} is in {volume.datacenter} already: "
                    f"{volume.id}",
                    help="To use it as it is, without ever deleting it, write "
                    f"existing={volume.id!r}. If an interrupted `pulumi up` made it, remove it and "
                    f"try again:\n  runpod-deploy volume rm {volume.id}",
                )
        body = {
            "name": props["volume_name"],
            "size": int(props["size_gb"]),
            "dataCenter": props["datacenter"],
        }
        if props.get("type"):
            body["type"] = props["type"]
        return _seen(await cloud.resources.create(VOLUMES, body), props)

    async def found(self, cloud: RunPodCloud, id_: str, props: Props) -> Seen | None:
        """Look at the volume."""
        volume = await cloud.resources.get(VOLUMES, id_)
        return None if volume is None else _seen(volume, props)

    async def changed(self, cloud: RunPodCloud, id_: str, olds: Props, news: Props) -> Seen:
        """Rename it, or let it grow."""
        body: dict[str, object] = {}
        if news.get("volume_name") != olds.get("volume_name"):
            body["name"] = news["volume_name"]
        if news.get("size_gb") != olds.get("size_gb"):
            body["size"] = int(news["size_gb"])
        if body:
            return _seen(await cloud.resources.change(VOLUMES, id_, body), news)
        found = await self.found(cloud, id_, news)
        if found is None:
            raise NotFound(f"there is no network volume {id_}")
        return found

    async def removed(self, cloud: RunPodCloud, id_: str, props: Props) -> None:
        """Remove it with its data; one that was here before stays."""
        if not props.get("existing"):
            await cloud.resources.remove(VOLUMES, id_)


def _seen(volume: Volume, props: Props) -> Seen:
    own = {
        "volume_name": volume.name,
        "size_gb": volume.size_gb,
        "datacenter": volume.datacenter,
        "type": props.get("type") and volume.type,
    }
    existing = props.get("existing")
    outs = {**(dict.fromkeys(_OWN) if existing else own), "existing": existing}
    return Seen(
        id=volume.id,
        outs={
            **outs,
            "volume_id": volume.id,
            "volume_type": volume.type,
            "size": volume.size_gb,
            "location": volume.datacenter,
        },
    )


class NetworkVolume(RunPodResource, kind="NetworkVolume"):
    """Storage that outlives pods, in one data center; Secure Cloud only.

    A change of `datacenter` or `type` replaces it, and its data are lost with the old one: use
    `pulumi.ResourceOptions(protect=True)` for data that matter. `size_gb` can only grow.

    Args:
        volume_name: Its name at RunPod; by default that of the resource.
        size_gb: 10 to 4096.
        datacenter: Data center id, such as EU-RO-1.
        type: STANDARD or HIGH_PERFORMANCE; by default what the data center has.
        existing: Id of a volume that is there already: it is used as it is and never deleted.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        size_gb: pulumi.Input[int] | None = None,
        datacenter: pulumi.Input[str] | None = None,
        volume_name: pulumi.Input[str] | None = None,
        type: pulumi.Input[str] | None = None,
        existing: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        named = resource_name if volume_name is None and existing is None else volume_name
        super().__init__(
            NetworkVolumeProvider(),
            resource_name,
            {
                "volume_name": named,
                "size_gb": size_gb,
                "datacenter": datacenter,
                "type": type,
                "existing": existing,
                "volume_id": None,
                "volume_type": None,
                "size": None,
                "location": None,
            },
            opts,
        )

    @property
    @pulumi.getter
    def volume_id(self) -> pulumi.Output[str]:
        """Its id at RunPod."""
        return output(self, "volume_id", str)

    @property
    @pulumi.getter
    def volume_type(self) -> pulumi.Output[str]:
        """STANDARD or HIGH_PERFORMANCE."""
        return output(self, "volume_type", str)

    @property
    @pulumi.getter
    def size(self) -> pulumi.Output[int]:
        """Its size in GB."""
        return output(self, "size", int)

    @property
    @pulumi.getter
    def location(self) -> pulumi.Output[str]:
        """Its data center."""
        return output(self, "location", str)
