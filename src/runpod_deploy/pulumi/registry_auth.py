"""A registry credential as a Pulumi resource."""

from __future__ import annotations

from typing import ClassVar

import pulumi

from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.resources import REGISTRIES
from runpod_deploy.pulumi.fields import Field, text
from runpod_deploy.pulumi.provider import Props, Provider, Seen
from runpod_deploy.pulumi.resource import RunPodResource, output


class RegistryAuthProvider(Provider):
    """Makes and removes credentials; RunPod can change none and never tells what is in one."""

    fields: ClassVar[tuple[Field, ...]] = (
        Field(name="registry_name", read=text, required=True, replaces=True),
        Field(name="username", read=text, required=True, replaces=True),
        Field(name="password", read=text, required=True, replaces=True),
    )

    async def made(self, cloud: RunPodCloud, props: Props) -> Seen:
        """Make it."""
        body = {
            "name": props["registry_name"],
            "username": props["username"],
            "password": props["password"],
        }
        made = await cloud.resources.create(REGISTRIES, body, secrets=(props["password"],))
        return _seen(made.id, made.name, props)

    async def found(self, cloud: RunPodCloud, id_: str, props: Props) -> Seen | None:
        """Look whether it is there; what is in it cannot be seen."""
        registry = await cloud.resources.get(REGISTRIES, id_)
        return None if registry is None else _seen(registry.id, registry.name, props)

    async def removed(self, cloud: RunPodCloud, id_: str, props: Props) -> None:
        """Remove it; RunPod refuses while a pod or a template uses it."""
        del props
        await cloud.resources.remove(REGISTRIES, id_)


def _seen(id_: str, name: str, props: Props) -> Seen:
    kept = {"username": props.get("username"), "password": props.get("password")}
    return Seen(id=id_, outs={"registry_name": name, **kept, "registry_id": id_})


class RegistryAuth(RunPodResource, kind="RegistryAuth"):
    """Who may pull private images. Every change makes a new one, and then removes the old one.

    Args:
        username: At the registry; kept as a secret in the state.
        password: Or token; kept as a secret in the state.
        registry_name: Its name at RunPod; by default that of the resource.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        username: pulumi.Input[str],
        password: pulumi.Input[str],
        registry_name: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            RegistryAuthProvider(),
            resource_name,
            {
                "registry_name": registry_name or resource_name,
                "username": pulumi.Output.secret(username),
                "password": pulumi.Output.secret(password),
                "registry_id": None,
            },
            pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(additional_secret_outputs=["username", "password"])
            ),
        )

    @property
    @pulumi.getter
    def registry_id(self) -> pulumi.Output[str]:
        """Its id at RunPod, for `registry_auth` of pods, templates and job files."""
        return output(self, "registry_id", str)
