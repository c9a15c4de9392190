"""A pod as a Pulumi resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from runpod_deploy.pulumi.pod_provider import PodProvider
from runpod_deploy.pulumi.resource import RunPodResource, identity, output

_OUTPUTS = (
    "pod_id",
    "full_name",
    "status",
    "gpu",
    "datacenter",
    "cloud",
    "cost_per_hour_usd",
    "ssh_host",
    "ssh_port",
    "ssh_user",
)


class Pod(RunPodResource, kind="Pod"):
    """A pod that stays: for notebooks, services, work by hand. For a job that ends there is `Job`.

    Its GPU, data center and cloud are the first that can be had of those that are allowed. Making it
    again (a replacement) deletes the old one first.

    Args:
        gpu_order: GPU ids, the preferred one first.
        image: Needed unless a template is named.
        template_id: Template that says what is not said here.
        pod_name: Begins its name at RunPod; by default that of the resource.
        gpu_count: GPUs of the pod.
        datacenters: Data center ids in order; by default RunPod chooses.
        cloud_type: SECURE, COMMUNITY or ANY.
        min_cuda: Least CUDA version of the host, such as "12.8".
        container_disk_gb: Wiped when the pod stops.
        ports: Such as "22/tcp" and "8888/http"; with "22/tcp" the pod is ready once SSH has a port.
        env: Environment of the container; kept as a secret in the state.
        public_key: Who may log in: public SSH keys, one a line.
        registry_auth: Id of a registry credential.
        args: The container's command; by default the image's own.
        mount: Where the network volume or the persistent disk lies.
        network_volume_id: Volume to attach; the pod is then made in its data center.
        persistent_gb: Size of a disk that survives a stop, on the pod's host.
        max_price_per_hour_usd: Most that the whole pod may cost per hour; checked when it is made.
        ready_minutes: How long it may take until SSH has a port.
        max_hours: Age at which `runpod-deploy reap` deletes it; by default never.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        gpu_order: pulumi.Input[Sequence[pulumi.Input[str]]],
        image: pulumi.Input[str] | None = None,
        template_id: pulumi.Input[str] | None = None,
        pod_name: pulumi.Input[str] | None = None,
        gpu_count: pulumi.Input[int] | None = None,
        datacenters: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        cloud_type: pulumi.Input[str] | None = None,
        min_cuda: pulumi.Input[str] | None = None,
        container_disk_gb: pulumi.Input[int] | None = None,
        ports: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        env: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        public_key: pulumi.Input[str] | None = None,
        registry_auth: pulumi.Input[str] | None = None,
        args: pulumi.Input[str] | None = None,
        mount: pulumi.Input[str] | None = None,
        network_volume_id: pulumi.Input[str] | None = None,
        persistent_gb: pulumi.Input[int] | None = None,
        max_price_per_hour_usd: pulumi.Input[float] | None = None,
        ready_minutes: pulumi.Input[float] | None = None,
        max_hours: pulumi.Input[float] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            PodProvider(),
            resource_name,
            {
                "identity": identity(resource_name, opts),
                "pod_name": pod_name or resource_name,
                "image": image,
                "template_id": template_id,
                "gpu_order": gpu_order,
                "gpu_count": gpu_count,
                "datacenters": datacenters,
                "cloud_type": cloud_type,
                "min_cuda": min_cuda,
                "container_disk_gb": container_disk_gb,
                "ports": ports,
                "env": None if env is None else pulumi.Output.secret(env),
                "public_key": public_key,
                "registry_auth": registry_auth,
                "args": args,
                "mount": mount,
                "network_volume_id": network_volume_id,
                "persistent_gb": persistent_gb,
                "max_price_per_hour_usd": max_price_per_hour_usd,
                "ready_minutes": ready_minutes,
                "max_hours": max_hours,
                **dict.fromkeys(_OUTPUTS),
            },
            pulumi.ResourceOptions.merge(
                opts,
                pulumi.ResourceOptions(
                    # The same name finds a pod again that an interrupted call left.
                    delete_before_replace=True,
                    additional_secret_outputs=["env"],
                ),
            ),
        )

    @property
    @pulumi.getter
    def pod_id(self) -> pulumi.Output[str]:
        """Its id at RunPod."""
        return output(self, "pod_id", str)

    @property
    @pulumi.getter
    def full_name(self) -> pulumi.Output[str]:
        """Its name at RunPod."""
        return output(self, "full_name", str)

    @property
    @pulumi.getter
    def status(self) -> pulumi.Output[str]:
        """RUNNING, EXITED, … when it was looked at last."""
        return output(self, "status", str)

    @property
    @pulumi.getter
    def gpu(self) -> pulumi.Output[str]:
        """The GPU that was had."""
        return output(self, "gpu", str)

    @property
    @pulumi.getter
    def datacenter(self) -> pulumi.Output[str]:
        """Where it is."""
        return output(self, "datacenter", str)

    @property
    @pulumi.getter
    def cloud(self) -> pulumi.Output[str]:
        """SECURE or COMMUNITY."""
        return output(self, "cloud", str)

    @property
    @pulumi.getter
    def cost_per_hour_usd(self) -> pulumi.Output[float]:
        """Rate of the whole pod; none where RunPod gives none."""
        return output(self, "cost_per_hour_usd", float)

    @property
    @pulumi.getter
    def ssh_host(self) -> pulumi.Output[str]:
        """Where its SSH server answers."""
        return output(self, "ssh_host", str)

    @property
    @pulumi.getter
    def ssh_port(self) -> pulumi.Output[int]:
        """The port of its SSH server; another one after each start."""
        return output(self, "ssh_port", int)

    @property
    @pulumi.getter
    def ssh_user(self) -> pulumi.Output[str]:
        """Who logs in there."""
        return output(self, "ssh_user", str)
