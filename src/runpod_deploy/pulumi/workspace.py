"""Volume, registry login, template and jobs of one project, joined."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pulumi

from runpod_deploy.pulumi.job import Job
from runpod_deploy.pulumi.network_volume import NetworkVolume
from runpod_deploy.pulumi.registry_auth import RegistryAuth
from runpod_deploy.pulumi.template import Template


class Workspace(pulumi.ComponentResource):
    """What a project needs at RunPod: where its data lie, who pulls its image, and its jobs.

    The jobs run after the rest is there, one after the other as Pulumi comes to them. What is not
    asked for is not made.

    Args:
        volume: The inputs of a `NetworkVolume`; it is protected unless `protect` says otherwise.
        registry: The inputs of a `RegistryAuth`.
        template: The inputs of a `Template`; its `registry_auth` is that of `registry`.
        jobs: Name to saved plan.
        project: The project's folder, for the jobs.
        protect: Whether Pulumi refuses to delete the volume.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        volume: Mapping[str, Any] | None = None,
        registry: Mapping[str, Any] | None = None,
        template: Mapping[str, Any] | None = None,
        jobs: Mapping[str, str | os.PathLike[str]] | None = None,
        project: pulumi.Input[str] | None = None,
        protect: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("runpod_deploy:pulumi:Workspace", resource_name, None, opts)
        below = pulumi.ResourceOptions(parent=self)
        self.volume: NetworkVolume | None = None
        self.registry: RegistryAuth | None = None
        self.template: Template | None = None
        if volume is not None:
            kept = pulumi.ResourceOptions.merge(below, pulumi.ResourceOptions(protect=protect))
            self.volume = NetworkVolume(f"{resource_name}-volume", **volume, opts=kept)
        if registry is not None:
            self.registry = RegistryAuth(f"{resource_name}-registry", **registry, opts=below)
        if template is not None:
            login = {"registry_auth": self.registry.registry_id} if self.registry else {}
            self.template = Template(
                f"{resource_name}-template", **{**login, **template}, opts=below
            )
        needed = [made for made in (self.volume, self.registry, self.template) if made is not None]
        after = pulumi.ResourceOptions.merge(below, pulumi.ResourceOptions(depends_on=needed))
        self.jobs = {
            name: Job(f"{resource_name}-{name}", plan_file=plan, project=project, opts=after)
            for name, plan in (jobs or {}).items()
        }
        self.register_outputs(
            {
                "volume_id": self.volume.volume_id if self.volume else None,
                "registry_id": self.registry.registry_id if self.registry else None,
                "template_id": self.template.template_id if self.template else None,
                "runs": {name: job.run_dir for name, job in self.jobs.items()},
            }
        )
