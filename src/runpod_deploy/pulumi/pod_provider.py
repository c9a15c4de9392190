"""The calls behind a pod resource."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pulumi.dynamic import CheckFailure

from runpod_deploy.compiler.canonical import sha256
from runpod_deploy.errors import NotFound
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.identity import LONGEST_NAME, owner_id
from runpod_deploy.executor.ownership import META
from runpod_deploy.executor.ports import Pod, PodRequest
from runpod_deploy.executor.readiness import reachable
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.resources import POD_SETTINGS, VOLUMES
from runpod_deploy.executor.standing_pods import Wanted, give_back, stand_up
from runpod_deploy.pulumi.fields import (
    Field,
    amount,
    mapping,
    one_of,
    path,
    some_texts,
    text,
    texts,
    whole,
)
from runpod_deploy.pulumi.provider import Props, Provider, Seen

_SSH = "22/tcp"
_CUDA = re.compile(r"\d+\.\d+")
_PATCHED = {"image": "image", "args": "args", "container_disk_gb": "disk", "ports": "ports"}
_PLACEMENT = ("gpu_order", "datacenters", "cloud_type")


def _cuda(value: Any) -> str:
    if not _CUDA.fullmatch(text(value)):
        raise ValueError("must be a version such as '12.8'")
    return str(value)


class PodProvider(Provider):
    """Makes pods, changes what RunPod can change, and deletes them until they are gone."""

    delete_first: ClassVar[bool] = True
    fields: ClassVar[tuple[Field, ...]] = (
        Field(name="identity", read=text, required=True, silent=True),
        Field(name="pod_name", read=text, required=True),
        Field(name="image", read=text),
        Field(name="template_id", read=text, replaces=True),
        Field(name="gpu_order", read=some_texts, required=True, replaces=True),
        Field(name="gpu_count", read=whole(1), default=1, replaces=True),
        Field(name="datacenters", read=some_texts, replaces=True),
        Field(
            name="cloud_type",
            read=one_of("SECURE", "COMMUNITY", "ANY"),
            default="SECURE",
            replaces=True,
        ),
        Field(name="min_cuda", read=_cuda, replaces=True),
        Field(name="container_disk_gb", read=whole(1), default=50),
        Field(name="ports", read=texts, default=[_SSH]),
        Field(name="env", read=mapping, default={}),
        Field(name="public_key", read=text),
        Field(name="registry_auth", read=text),
        Field(name="args", read=text),
        Field(name="mount", read=path, default="/workspace", replaces=True),
        Field(name="network_volume_id", read=text, replaces=True),
        Field(name="persistent_gb", read=whole(10), replaces=True),
        Field(name="max_price_per_hour_usd", read=amount, silent=True),
        Field(name="ready_minutes", read=amount, default=10.0, silent=True),
        Field(name="max_hours", read=amount),
    )

    def rules(self, _inputs: Props) -> list[CheckFailure]:
        """Return which inputs do not go together."""
        failures = []
        if _inputs["image"] is None and _inputs["template_id"] is None:
            failures.append(CheckFailure("image", "is needed without `template_id`"))
        if _inputs["network_volume_id"] is not None:
            if _inputs["persistent_gb"] is not None:
                failures.append(
                    CheckFailure("persistent_gb", "a pod has this or a network volume, not both")
                )
            if _inputs["cloud_type"] == "COMMUNITY":
                failures.append(CheckFailure("cloud_type", "network volumes are in SECURE only"))
        return failures

    def replaces(self, field: Field, _olds: Props, _news: Props) -> bool:
        """A pod that stands where it may still stand need not be replaced."""
        if field.name == "gpu_order":
            return _olds.get("gpu") not in _news["gpu_order"]
        if field.name == "datacenters":
            places = _news.get("datacenters")
            return places is not None and _olds.get("datacenter") not in places
        if field.name == "cloud_type":
            return field.settled(_news.get("cloud_type")) not in {"ANY", _olds.get("cloud")}
        return field.replaces

    async def made(self, cloud: RunPodCloud, props: Props) -> Seen:
        """Make the pod in the first place that has it."""
        settled = self._settled(props)
        digest = _digest(settled)
        env = _env(settled, _meta(settled, digest))
        requests = [request async for request in _requests(cloud, settled, env)]
        wanted = Wanted(
            ceiling=settled["max_price_per_hour_usd"],
            ready_within_sec=_patience(settled),
            fits=lambda pod: _meta_of(pod).get("inputs") == digest,
        )
        pod = await stand_up(cloud, SystemClock(), requests[0].name, requests, wanted)
        return _seen(pod, settled)

    async def found(self, cloud: RunPodCloud, id_: str, props: Props) -> Seen | None:
        """Look at the pod."""
        pod = await cloud.get(id_)
        return None if pod is None or pod.status == "TERMINATED" else _seen(pod, props)

    async def changed(self, cloud: RunPodCloud, id_: str, olds: Props, news: Props) -> Seen:
        """Change what RunPod can change of a pod; its container starts anew for most of it."""
        old, new = self._settled(olds), self._settled(news)
        pod = await cloud.get(id_)
        if pod is None:
            raise NotFound(f"there is no pod {id_}")
        body = {
            wire: new[name] if name != "args" else new[name] or ""
            for name, wire in _PATCHED.items()
            if new[name] != old[name] and (new[name] is not None or name == "args")
        }
        if new["registry_auth"] != old["registry_auth"]:
            body["registry"] = new["registry_auth"]
        if new["pod_name"] != old["pod_name"]:
            body["name"] = _name(new)
        if any(new[name] != old[name] for name in ("env", "public_key", "max_hours")):
            body["env"] = _env(new, _meta(new, _digest(new), pod))
        if body:
            hidden = tuple(value for value in new["env"].values() if len(value) >= 6)
            pod = await cloud.resources.change(POD_SETTINGS, id_, body, secrets=hidden)
            patience = _patience(new)
            if patience is not None and set(body) != {"name"}:
                pod = await reachable(cloud, SystemClock(), pod, patience)
        return _seen(pod, new)

    async def removed(self, cloud: RunPodCloud, id_: str, props: Props) -> None:
        """Delete it until it is gone."""
        del props
        await give_back(cloud, SystemClock(), id_)

    def _settled(self, props: Props) -> dict[str, Any]:
        return {field.name: field.settled(props.get(field.name)) for field in self.fields}


def _name(props: Props) -> str:
    """Return the pod's name: the same each time this resource is made, and no other's."""
    suffix = sha256({"identity": props["identity"]}).removeprefix("sha256:")[:12]
    return f"{props['pod_name'][: LONGEST_NAME - 13]}-{suffix}"


def _digest(props: Props) -> str:
    told = {name: value for name, value in props.items() if name != "ready_minutes"}
    return sha256(told).removeprefix("sha256:")[:16]


def _meta(props: Props, digest: str, pod: Pod | None = None) -> str:
    """Return what the pod says about itself, for `reap` and for a call that finds it again."""
    meta: dict[str, Any] = {
        "owner": owner_id(os.environ),
        "pulumi": props["identity"],
        "inputs": digest,
    }
    if pod is not None:
        meta |= {key: value for key, value in _meta_of(pod).items() if key in {"owner", "made"}}
    meta.setdefault("made", round(time.time()))
    if props["max_hours"] is not None:
        meta |= {"dead_after": meta["made"] + round(props["max_hours"] * 3600), "keep_hours": 0}
    return json.dumps(meta, separators=(",", ":"))


def _meta_of(pod: Pod) -> dict[str, Any]:
    env = pod.raw.get("env")
    said = env.get(META) if isinstance(env, Mapping) else None
    try:
        meta = json.loads(said) if isinstance(said, str) else {}
    except (ValueError, RecursionError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _env(props: Props, meta: str) -> dict[str, str]:
    key = {"PUBLIC_KEY": props["public_key"]} if props["public_key"] else {}
    return {**props["env"], **key, META: meta}


def _patience(props: Props) -> float | None:
    return props["ready_minutes"] * 60 if _SSH in props["ports"] else None


async def _requests(cloud: RunPodCloud, props: Props, env: Mapping[str, str]) -> Any:
    """Yield a request for each place, in order: GPU, data center, cloud."""
    places: list[str | None] = list(props["datacenters"] or [None])
    volume_id = props["network_volume_id"]
    if volume_id is not None:
        volume = await cloud.resources.get(VOLUMES, volume_id)
        if volume is None:
            raise NotFound(f"there is no network volume {volume_id}")
        places = [volume.datacenter]
    disk = volume_id is not None or props["persistent_gb"] is not None
    for gpu in props["gpu_order"]:
        for place in places:
            for name in _clouds("SECURE" if volume_id is not None else props["cloud_type"]):
                yield PodRequest(
                    name=_name(props),
                    image=props["image"],
                    gpu=gpu,
                    gpu_count=props["gpu_count"],
                    cloud=name,
                    datacenter=place,
                    container_disk_gb=props["container_disk_gb"],
                    ports=tuple(props["ports"]),
                    env=env,
                    template_id=props["template_id"],
                    registry_auth=props["registry_auth"],
                    min_cuda=props["min_cuda"],
                    mount=props["mount"] if disk else None,
                    network_volume_id=volume_id,
                    persistent_gb=props["persistent_gb"],
                    args=props["args"],
                )


def _clouds(wanted: str) -> Iterator[Literal["SECURE", "COMMUNITY"]]:
    if wanted != "COMMUNITY":
        yield "SECURE"
    if wanted != "SECURE":
        yield "COMMUNITY"


def _seen(pod: Pod, props: Props) -> Seen:
    """Return the state of a pod; inputs that were left open stay open."""
    raw = pod.raw
    told = raw.get("env")
    env = told if isinstance(told, Mapping) else {}
    now = {
        "image": pod.image,
        "args": raw.get("args") or None,
        "container_disk_gb": raw.get("disk"),
        "ports": raw.get("ports"),
        "registry_auth": raw.get("registry"),
        "env": {key: env[key] for key in props.get("env") or {} if key in env},
    }
    inputs = {field.name: props.get(field.name) for field in PodProvider.fields}
    inputs |= {name: value for name, value in now.items() if inputs[name] is not None}
    return Seen(
        id=pod.id,
        outs={
            **inputs,
            "pod_id": pod.id,
            "full_name": pod.name,
            "status": pod.status,
            "gpu": pod.gpu,
            "datacenter": pod.datacenter,
            "cloud": pod.cloud,
            "cost_per_hour_usd": pod.cost,
            "ssh_host": pod.ssh.host if pod.ssh else None,
            "ssh_port": pod.ssh.port if pod.ssh else None,
            "ssh_user": pod.ssh.username if pod.ssh else None,
        },
    )
