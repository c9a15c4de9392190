"""A template as a Pulumi resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import CheckFailure

from runpod_deploy.executor.ports import Template as Found
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.resources import TEMPLATES
from runpod_deploy.pulumi.fields import Field, flag, mapping, one_of, path, text, texts, whole
from runpod_deploy.pulumi.provider import Props, Provider, Seen
from runpod_deploy.pulumi.resource import RunPodResource, output

_WIRE = {
    "template_name": "name",
    "image": "image",
    "args": "args",
    "container_disk_gb": "disk",
    "ports": "ports",
    "env": "env",
    "registry_auth": "registry",
    "category": "category",
    "public": "public",
    "start_ssh": "startSsh",
    "start_jupyter": "startJupyter",
    "allowed_cuda": "allowedCudaVersions",
}


class TemplateProvider(Provider):
    """Makes templates and changes them in place; pods keep no link to theirs."""

    fields: ClassVar[tuple[Field, ...]] = (
        Field(name="template_name", read=text, required=True),
        Field(name="image", read=text, required=True),
        Field(name="args", read=text, default=""),
        Field(name="container_disk_gb", read=whole(1), default=50),
        Field(name="ports", read=texts, default=["22/tcp"]),
        Field(name="env", read=mapping, default={}),
        Field(name="registry_auth", read=text),
        Field(name="category", read=one_of("CPU", "NVIDIA", "AMD"), default="NVIDIA"),
        Field(name="public", read=flag, default=False),
        Field(name="start_ssh", read=flag, default=True),
        Field(name="start_jupyter", read=flag, default=False),
        Field(name="allowed_cuda", read=texts, default=[]),
        Field(name="persistent_gb", read=whole(10)),
        Field(name="mount", read=path),
    )

    def rules(self, _inputs: Props) -> list[CheckFailure]:
        """A disk needs its place, and the place its disk."""
        if (_inputs["persistent_gb"] is None) == (_inputs["mount"] is None):
            return []
        missing = "mount" if _inputs["mount"] is None else "persistent_gb"
        return [CheckFailure(missing, "is needed: `persistent_gb` and `mount` go together")]

    def replaces(self, field: Field, _olds: Props, _news: Props) -> bool:
        """RunPod cannot take a disk away from a template."""
        return field.name in {"persistent_gb", "mount"} and _news.get(field.name) is None

    async def made(self, cloud: RunPodCloud, props: Props) -> Seen:
        """Make it."""
        body = {name: value for name, value in self._body(props).items() if value is not None}
        return _seen(await cloud.resources.create(TEMPLATES, body, secrets=_hidden(props)), props)

    async def found(self, cloud: RunPodCloud, id_: str, props: Props) -> Seen | None:
        """Look at it."""
        template = await cloud.resources.get(TEMPLATES, id_)
        return None if template is None else _seen(template, props)

    async def changed(self, cloud: RunPodCloud, id_: str, olds: Props, news: Props) -> Seen:
        """Change what differs."""
        old, new = self._body(olds), self._body(news)
        body = {name: value for name, value in new.items() if value != old.get(name)}
        changed = await cloud.resources.change(TEMPLATES, id_, body, secrets=_hidden(news))
        return _seen(changed, news)

    async def removed(self, cloud: RunPodCloud, id_: str, props: Props) -> None:
        """Remove it."""
        del props
        await cloud.resources.remove(TEMPLATES, id_)

    def _body(self, props: Props) -> dict[str, Any]:
        settled = {field.name: field.settled(props.get(field.name)) for field in self.fields}
        body = {wire: settled[name] for name, wire in _WIRE.items()}
        if settled["persistent_gb"] is not None:
            disk = {"size": settled["persistent_gb"], "path": settled["mount"]}
            body["mounts"] = {"persistent": disk}
        return body


def _hidden(props: Props) -> tuple[str, ...]:
    return tuple(value for value in (props.get("env") or {}).values() if len(value) >= 6)


def _seen(template: Found, props: Props) -> Seen:
    raw = template.raw
    mounts = raw.get("mounts")
    disk = mounts.get("persistent") if isinstance(mounts, Mapping) else None
    now = {name: raw.get(wire) for name, wire in _WIRE.items()}
    now["args"] = now["args"] or None
    now["persistent_gb"] = disk.get("size") if isinstance(disk, Mapping) else None
    now["mount"] = disk.get("path") if isinstance(disk, Mapping) else None
    # What the program left open stays open.
    inputs = {name: value if props.get(name) is not None else None for name, value in now.items()}
    return Seen(id=template.id, outs={**inputs, "template_id": template.id})


class Template(RunPodResource, kind="Template"):
    """What pods have in common, kept at RunPod: image, disk, ports, environment.

    A pod copies it when it is made; a later change of the template changes no pod.

    Args:
        image: Container image.
        template_name: Its name at RunPod; by default that of the resource.
        args: The container's command; by default the image's own.
        container_disk_gb: Wiped when a pod stops; 50 by default.
        ports: Such as "22/tcp"; that alone by default.
        env: Environment; kept as a secret in the state.
        registry_auth: Id of a registry credential.
        category: CPU, NVIDIA or AMD: where the console lists it.
        public: Whether others can see it.
        start_ssh: Whether RunPod gives its pods your account's public keys.
        start_jupyter: Whether its pods get a password for Jupyter.
        allowed_cuda: CUDA versions of the host that will do; by default any.
        persistent_gb: Size of a disk that survives a stop.
        mount: Where that disk lies.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        image: pulumi.Input[str],
        template_name: pulumi.Input[str] | None = None,
        args: pulumi.Input[str] | None = None,
        container_disk_gb: pulumi.Input[int] | None = None,
        ports: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        env: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        registry_auth: pulumi.Input[str] | None = None,
        category: pulumi.Input[str] | None = None,
        public: pulumi.Input[bool] | None = None,
        start_ssh: pulumi.Input[bool] | None = None,
        start_jupyter: pulumi.Input[bool] | None = None,
        allowed_cuda: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        persistent_gb: pulumi.Input[int] | None = None,
        mount: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            TemplateProvider(),
            resource_name,
            {
                "template_name": template_name or resource_name,
                "image": image,
                "args": args,
                "container_disk_gb": container_disk_gb,
                "ports": ports,
                "env": None if env is None else pulumi.Output.secret(env),
                "registry_auth": registry_auth,
                "category": category,
                "public": public,
                "start_ssh": start_ssh,
                "start_jupyter": start_jupyter,
                "allowed_cuda": allowed_cuda,
                "persistent_gb": persistent_gb,
                "mount": mount,
                "template_id": None,
            },
            pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(additional_secret_outputs=["env"])
            ),
        )

    @property
    @pulumi.getter
    def template_id(self) -> pulumi.Output[str]:
        """Its id at RunPod, for `Pod(template_id=…)` and `pod.template_id` of a job file."""
        return output(self, "template_id", str)
