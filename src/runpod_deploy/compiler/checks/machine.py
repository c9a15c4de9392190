"""Rules about the machine and its disks."""

import re
from collections.abc import Iterator

from runpod_deploy.compiler import lease, lifecycle
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.pod_paths import normal
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.errors import Severity

MIN_VOLUME_GB = 10
_CUDA = re.compile(r"\d+\.\d+")


def image_or_template(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Something says which container runs."""
    if not config.pod.image and not config.pod.template_id:
        yield Finding(
            pointer="/pod",
            code="no-image",
            summary="Nothing says which image runs",
            detail="A pod needs `pod.image`, or `pod.template_id` with an image in the template.",
        )


def ssh_port(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Port 22 is open: SSH is the only way in."""
    if "22/tcp" not in config.pod.ports:
        ports = ", ".join(f'"{port}"' for port in ("22/tcp", *config.pod.ports))
        yield Finding(
            pointer="/pod/ports",
            code="no-ssh-port",
            summary="The pod has no SSH port",
            detail="SSH is the only way into the pod, so `22/tcp` must be one of its ports.",
            help=f"Write:\n  ports: [{ports}]",
        )


def lease_at_boot(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """A pod that nothing ends before the first login is told about."""
    ends = lifecycle.decide(config).on_orphaned != "preserve"
    if not ends or lease.decide(config).at_boot:
        return
    where = ("start_command", "template_id", "image")
    key = next((name for name in where if getattr(config.pod, name)), "image")
    yield Finding(
        pointer=f"/pod/{key}",
        severity=Severity.WARNING,
        code="lease-after-login",
        summary="No lease until the pod is connected",
        detail="What this container runs by itself is not known here, so no watchdog can be started "
        "beside it. Should this machine be lost before the first login, nothing on the pod ends it.",
        help="Say what it runs, and the watchdog starts with it:\n  start_command: /start.sh",
    )


def cuda_format(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """CUDA floors are two numbers, as RunPod compares them."""
    floors = {
        "/pod/min_cuda": config.pod.min_cuda,
        "/pod/admission/min_cuda": config.pod.admission.min_cuda,
    }
    for pointer, value in floors.items():
        if value is not None and not _CUDA.fullmatch(value):
            yield Finding(
                pointer=pointer,
                code="cuda-format",
                summary="A CUDA version has another form than RunPod's",
                detail=f"`{value}` is not of the form MAJOR.MINOR.",
                help='Write it with quotes:\n  min_cuda: "12.8"',
            )


def _made_volume(config: Resolved) -> Iterator[Finding]:
    """A volume that is made needs a size and one place."""
    if config.storage.volume_gb is None:
        yield Finding(
            pointer="/storage/create",
            code="volume-size",
            summary="The network volume has no size",
            detail="`create: true` makes a volume of `storage.volume_gb`, and there is none.",
            help="Add below `storage`:\n  volume_gb: 100",
        )
    named = config.pod.datacenters
    places = [] if isinstance(named, str) else [name for name in named if name != "any"]
    if len(places) != 1 or len(named) != 1:
        yield Finding(
            pointer="/storage/create",
            code="volume-place",
            summary="Where the network volume is made is open",
            detail="A volume stays in its data center for good, so `pod.datacenters` names the one "
            f"where it is made; it names {len(places) or 'none'}.",
            help="Write one data center, such as:\n  datacenters: [EU-RO-1]",
        )


def network_volume(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """A network volume has a name, and lies where Secure Cloud is."""
    if config.storage.mode != "network_volume":
        return
    if not config.storage.volume_name:
        yield Finding(
            pointer="/storage",
            code="volume-name",
            summary="The network volume has no name",
            detail="`storage.mode: network_volume` needs `storage.volume_name`.",
        )
    if config.pod.cloud_type == "COMMUNITY":
        yield Finding(
            pointer="/pod/cloud_type",
            code="volume-cloud",
            summary="Network volumes exist in Secure Cloud only",
            detail="A pod in Community Cloud cannot mount a network volume.",
            help="Write `cloud_type: SECURE`, or `storage.mode: ephemeral`.",
        )
    if config.pod.cloud_type == "ANY":
        yield Finding(
            pointer="/pod/cloud_type",
            severity=Severity.NOTE,
            code="volume-cloud",
            summary="Network volumes exist in Secure Cloud only",
            detail="Only candidates in Secure Cloud are tried.",
        )
    if config.storage.create:
        yield from _made_volume(config)
    elif config.pod.datacenters != "any":
        yield Finding(
            pointer="/pod/datacenters",
            severity=Severity.NOTE,
            code="volume-datacenter",
            summary="The network volume decides the data center",
            detail="A pod can be only where its network volume is, so the list is not used.",
        )


def ephemeral_size(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """An ephemeral volume has a size that RunPod rents."""
    if config.storage.mode != "ephemeral":
        return
    size = config.storage.volume_gb
    if size is None or size < MIN_VOLUME_GB:
        yield Finding(
            pointer="/storage" if size is None else "/storage/volume_gb",
            code="volume-size",
            summary="The volume has no size that RunPod rents",
            detail=f"`storage.mode: ephemeral` needs `volume_gb` of {MIN_VOLUME_GB} or more.",
        )


def mount_point(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """The volume is mounted at a folder of its own."""
    path = config.storage.volume_mount
    if not path.startswith("/") or normal(path) in ("/", "/root", "/tmp"):  # noqa: S108 - the pod's
        yield Finding(
            pointer="/storage/volume_mount",
            code="volume-mount",
            summary="The volume cannot be mounted there",
            detail=f"`{path}` is not an absolute path of a folder that a volume may cover.",
            help="RunPod's images expect:\n  volume_mount: /workspace",
        )
