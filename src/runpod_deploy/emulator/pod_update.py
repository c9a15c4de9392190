"""What a PATCH changes on a pod: stored now, effective at its next start or restart."""

from typing import Any

from runpod_deploy.emulator.pod_request import check_image, pod_template
from runpod_deploy.emulator.problems import bad_request, invalid
from runpod_deploy.emulator.records import Account, Pod

_FROM_TEMPLATE = ("image", "args", "disk", "ports", "registry")


def update_pod(pod: Pod, body: dict[str, Any], account: Account) -> None:
    """Apply a checked body to a pod.

    Raises:
        Problem: 404 for an unknown template, 422 or 400 for what cannot be changed so.
    """
    changes = dict(body)
    template_id = changes.pop("templateId", None)
    if template_id is not None:
        template = pod_template(template_id, account.templates)
        changes = {key: template[key] for key in _FROM_TEMPLATE} | changes
        changes["env"] = {**template["env"], **body.get("env", {})}
    if "image" in changes:
        check_image(changes["image"])
    registry = changes.get("registry")
    if registry is not None and registry not in account.registries:
        raise bad_request(f'Registry "{registry}" not found')
    if "mounts" in changes:
        pod.mounts = _changed_mounts(pod, changes.pop("mounts"))
    enabled = changes.pop("globalNetworking", None)
    if enabled and pod.gpu_id is None:
        raise bad_request("Global networking requires an NVIDIA GPU")
    if enabled is not None:
        pod.global_networking = enabled
    for key, value in changes.items():
        setattr(pod, key, value)


def _changed_mounts(pod: Pod, asked: dict[str, Any]) -> dict[str, Any]:
    if not asked or set(asked) != set(pod.mounts):
        raise bad_request("The kind of a pod's mount is fixed when it is created")
    if "persistent" in asked:
        if asked["persistent"]["size"] < pod.persistent_gb:
            raise bad_request("mounts.persistent.size can only grow")
        return asked
    if not asked["network"]:
        raise bad_request("A network volume cannot be detached from its pod")
    if asked["network"][0]["volumeId"] != pod.volume_id:
        raise invalid(["$.mounts.network[0].volumeId: cannot be changed"])
    return asked
