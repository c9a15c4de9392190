"""What a job of version 2 means, section by section, in the keys of version 3.

The result says only what version 3 would not fill in by itself, so that it is also what a migrated
file should say. Texts still hold the placeholders of version 2.
"""

import posixpath
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from runpod_deploy.schema.v2.notes import Notes
from runpod_deploy.schema.v2.paths import landing_path, lies_in, pod_path, root_path, state_path
from runpod_deploy.schema.v2.placeholders import BUILT_INS, filled

MIN_VOLUME_GB, DEFAULT_VOLUME_GB = 10, 20
_SEVERAL_COMMANDS = re.compile(r"[;|&\n`]|\$\(")
_UNIQUE_NAMES = {"staging": "label", "secrets": "name", "artifacts": "label"}


def upgrade(data: Mapping[str, Any], variables: Mapping[str, str], notes: Notes) -> dict[str, Any]:
    """Return `data`, valid in version 2, in the keys of version 3, without the variables.

    Args:
        data: The document.
        variables: Names to values, those of the command line laid over those of the file.
        notes: Takes what now means something else than it did.
    """
    job = deepcopy(dict(data))
    job.pop("variables", None)
    mount = job["storage"].get("volume_mount", "/workspace")
    values = {name: text for name, text in variables.items() if name not in BUILT_INS}
    values["volume_mount"] = mount
    mount = posixpath.normpath(filled(mount, values))
    _keys_without_effect(job, notes)
    _pod(job["pod"], notes, any_volume=job["storage"]["mode"] == "network_volume")
    _storage(job["storage"], notes)
    if "project_root" in job.get("local", {}):
        job["local"]["project_root"] = root_path(job["local"]["project_root"])
    for phase in ("setup", "preflight"):
        for command in job.get(phase, ()):
            command.setdefault("with_env", False)
            if _SEVERAL_COMMANDS.search(command["command"].strip()):
                command["strict"] = False
    if not job["run"]["body"].startswith("#!"):
        job["run"]["strict"] = False
    for secret in job.get("secrets", ()):
        secret["export"] = False
    _pod_paths(job, values, notes)
    _staging(job.get("staging", []), values, notes)
    for artifact in job.get("artifacts", ()):
        artifact["local_path"] = landing_path(
            artifact["local_path"], artifact["remote_path"], values
        )
    _lifecycle(job, mount, values, notes)
    for section, key in _UNIQUE_NAMES.items():
        _unique_names(job.get(section, []), section, key, notes)
    job["schema_version"] = 3
    return job


def _keys_without_effect(job: dict[str, Any], notes: Notes) -> None:
    _state_file(job, notes)
    if "key_path" in job.get("ssh", {}):
        notes.add(
            "v2-key-path",
            "The SSH key is not needed",
            "Each run has a key pair of its own, so this one is not looked for.",
            "/ssh/key_path",
            help="To be let in with it besides, write the file in version 3.",
        )
    job.pop("ssh", None)
    for key in ("spot", "min_vcpu_count", "min_memory_gb"):
        job["pod"].pop(key, None)


def _state_file(job: dict[str, Any], notes: Notes) -> None:
    said = job.pop("state_file", None)
    if said is None:
        return
    if job.get("lifecycle", {}).get("on_success") != "recycle":
        notes.add(
            "v2-state-file",
            "The state file has no effect",
            "Earlier releases kept the pod's id there. Every run now has a folder of its own that "
            "says it; a state file is only for `lifecycle.on_success: recycle`.",
            "/state_file",
        )
        return
    place = state_path(said)
    if place is not None:
        job["state_file"] = place
        return
    notes.add(
        "v2-state-file",
        "The state file lies in the project",
        f"`{said}` lies outside of the project. The pod that is kept for the next run is remembered "
        "in `.runpod-deploy/` of the project root, in a file of the job's own name.",
        "/state_file",
    )


def _pod(pod: dict[str, Any], notes: Notes, *, any_volume: bool) -> None:
    for key in ("gpu_order", "datacenters", "ports"):
        if key in pod:
            pod[key] = list(dict.fromkeys(pod[key]))
    if "ports" in pod and "22/tcp" not in pod["ports"]:
        pod["ports"].append("22/tcp")
        notes.add(
            "v2-ssh-port",
            "The SSH port is opened as well",
            "SSH is the only way into the pod, so `22/tcp` is added to the list.",
            "/pod/ports",
        )
    if not any_volume and min(len(pod["gpu_order"]), len(pod["datacenters"])) > 1:
        pod["prefer"] = "datacenter"


def _storage(storage: dict[str, Any], notes: Notes) -> None:
    if storage["mode"] == "network_volume":
        _drop(storage, "volume_gb", notes)
        return
    _drop(storage, "volume_name", notes)
    said = storage.get("volume_gb")
    if said is None or said < MIN_VOLUME_GB:
        storage["volume_gb"] = DEFAULT_VOLUME_GB if said is None else MIN_VOLUME_GB
        notes.add(
            "v2-volume-size",
            "The disk gets a size that RunPod rents",
            f"RunPod rents {MIN_VOLUME_GB} GB or more; the disk is rented with "
            f"{storage['volume_gb']} GB.",
            "/storage" if said is None else "/storage/volume_gb",
        )


def _drop(storage: dict[str, Any], key: str, notes: Notes) -> None:
    if storage.pop(key, None) is not None:
        notes.add(
            "v2-no-effect",
            "Key without effect",
            f"`storage.{key}` means nothing with `mode: {storage['mode']}`.",
            f"/storage/{key}",
        )


def _pod_paths(job: dict[str, Any], values: Mapping[str, str], notes: Notes) -> None:
    places: list[tuple[Any, Any, str]] = [
        (job["run"], key, f"/run/{key}") for key in ("script_path", "log_path")
    ]
    for section, key in (
        ("staging", "destination"),
        ("secrets", "destination"),
        ("artifacts", "remote_path"),
    ):
        entries = job.get(section, ())
        places += [(one, key, f"/{section}/{index}/{key}") for index, one in enumerate(entries)]
    files = job.get("remote_env", {}).get("source_files", [])
    places += [(files, i, f"/remote_env/source_files/{i}") for i in range(len(files))]
    for holder, key, pointer in places:
        place = pod_path(holder[key], values)
        if place != holder[key]:
            notes.add(
                "v2-pod-path",
                "A path on the pod is made absolute",
                f"`{holder[key]}` began at the home folder of the login; it is read as `{place}`.",
                pointer,
            )
            holder[key] = place


def _staging(entries: list[dict[str, Any]], values: Mapping[str, str], notes: Notes) -> None:
    folders = [posixpath.normpath(filled(entry["destination"], values)) for entry in entries]
    for index, entry in enumerate(entries):
        others = folders[:index] + folders[index + 1 :]
        deletes = entry.get("delete", True)
        shared = any(lies_in(other, folders[index], values) for other in others)
        if "delete" in entry or not shared:
            entry["delete"] = deletes and not shared
        if deletes and shared:
            notes.add(
                "v2-staging-delete",
                "A staging does not delete what another one puts there",
                f"Another staging lies in `{entry['destination']}`, so nothing is deleted there.",
                f"/staging/{index}/destination",
            )
        entry.setdefault("excludes_default", False)
        entry["gitignore"] = False


def _lifecycle(job: dict[str, Any], mount: str, values: Mapping[str, str], notes: Notes) -> None:
    said = job.get("lifecycle", {})
    outside = [
        artifact["label"]
        for artifact in job.get("artifacts", ())
        if not lies_in(artifact["remote_path"], mount, values)
    ]
    if outside and said.get("on_failure", "stop") == "stop":
        job["lifecycle"] = {**said, "on_failure": "stop", "accept_loss": True}
        notes.add(
            "v2-stop-loss",
            "A stop after a failure wipes results",
            "What can be saved after a failure is brought back first. Then the pod is stopped, "
            f"which wipes all outside of `{mount}`: here {', '.join(f'`{one}`' for one in outside)}.",
            "/lifecycle",
        )


def _unique_names(entries: list[dict[str, Any]], section: str, key: str, notes: Notes) -> None:
    taken = {entry[key] for entry in entries}
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        name, number = entry[key], 1
        while entry[key] in seen or (number > 1 and entry[key] in taken):
            number += 1
            entry[key] = f"{name}-{number}"
        if number > 1:
            notes.add(
                "v2-renamed",
                "A name is used twice",
                f"Reports could not tell two entries called `{name}` apart, so the later one is "
                f"called `{entry[key]}`.",
                f"/{section}/{index}/{key}",
            )
        seen.add(entry[key])
