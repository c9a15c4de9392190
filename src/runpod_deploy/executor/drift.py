"""Whether a pod that was kept is still what the job asks for: everything its create call fixed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runpod_deploy.compiler.plan import Candidate, Plan, PlanFile
from runpod_deploy.executor.image_now import image_to_pull
from runpod_deploy.executor.ports import Pod, Volume


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """A difference: the key of the job file, what it asks for, and what is there."""

    field: str
    wanted: str
    there: str

    def __str__(self) -> str:
        return f"{self.field} · wanted {self.wanted} · there {self.there}"


def made_as(plan: Plan) -> dict[str, Any]:
    """Return what a pod made by `plan` can never change, by the names of the job file.

    The environment is not among it: it is set anew at each start.
    """
    pod, storage = plan.pod, plan.storage
    return {
        "pod.image": pod.image,
        "pod.template_id": pod.template_id,
        "pod.registry_auth": pod.registry_auth,
        "pod.gpu_count": pod.gpu_count,
        **({} if pod.cpu is None else {"pod.cpu.vcpus": pod.cpu.vcpus}),
        "pod.min_cuda": pod.min_cuda,
        "pod.container_disk_gb": pod.container_disk_gb,
        "pod.ports": sorted(pod.ports),
        "pod.start_command": pod.args,
        "storage.mode": storage.mode,
        "storage.volume_mount": storage.mount,
        "storage.volume_name": storage.volume_name,
        "storage.volume_gb": storage.volume_gb,
        # A template's environment is not known here, so a name that was ours is not to stay.
        "pod.env": sorted(pod.env) if pod.template_id is not None else None,
    }


def find_drifts(
    plan_file: PlanFile, kept: Mapping[str, Any], pod: Pod, volume: Volume | None
) -> tuple[Drift, ...]:
    """Return every difference between what the plan asks for and what the pod is.

    Args:
        plan_file: With the digest of the image where that is known: then it has to be that one.
        kept: What `made_as` said when the pod was made.
        pod: As the API describes it now; what it does not tell is not held against it.
        volume: The network volume that the plan names.
    """
    plan = plan_file.plan
    found = {drift.field: drift for drift in _changed(made_as(plan), kept)}
    others = (*_image(plan_file, pod), *_differing(plan, pod, volume), *_placed(plan, pod, volume))
    for drift in others:
        found.setdefault(drift.field, drift)
    return tuple(found.values())


def candidate_of(plan: Plan, pod: Pod, volume: Volume | None) -> Candidate | None:
    """Return the candidate that the pod is one of; None when the plan would not ask for it."""
    for candidate in plan.candidates:
        if pod.gpu in (None, candidate.gpu) and pod.cloud in (None, candidate.cloud):
            place = _datacenter(candidate, volume)
            if place is None or pod.datacenter in (None, place):
                return candidate
    return None


def _changed(now: Mapping[str, Any], kept: Mapping[str, Any]) -> Iterator[Drift]:
    for field, wanted in now.items():
        if kept.get(field) != wanted:
            yield Drift(field=field, wanted=_said(wanted), there=_said(kept.get(field)))


def _image(plan_file: PlanFile, pod: Pod) -> Iterator[Drift]:
    """A tag alone is met by the image that it meant when the pod was made."""
    wanted, there = image_to_pull(plan_file), pod.image
    tag_is_enough = plan_file.observed.image is None and (there or "").startswith(f"{wanted}@")
    if wanted is not None and there is not None and wanted != there and not tag_is_enough:
        yield Drift(field="pod.image", wanted=wanted, there=_said(there))


def _differing(plan: Plan, pod: Pod, volume: Volume | None) -> Iterator[Drift]:
    of, raw = plan.pod, pod.raw
    facts: list[tuple[str, Any, Any]] = [
        ("pod.gpu_count", of.gpu_count, pod.gpu_count),
        ("pod.container_disk_gb", of.container_disk_gb, raw.get("disk")),
        ("pod.start_command", of.args, raw.get("args")),
    ]
    ports = raw.get("ports")
    if isinstance(ports, list) and all(isinstance(port, str) for port in ports):
        facts.append(("pod.ports", sorted(of.ports), sorted(ports)))
    if isinstance(raw.get("mounts"), Mapping):
        facts.append(("storage", _mounts(plan, volume), _mounted(raw["mounts"])))
    for field, wanted, there in facts:
        if wanted is not None and there is not None and wanted != there:
            yield Drift(field=field, wanted=_said(wanted), there=_said(there))


def _placed(plan: Plan, pod: Pod, volume: Volume | None) -> Iterator[Drift]:
    if candidate_of(plan, pod, volume) is not None:
        return
    gpus = {one.gpu for one in plan.candidates}
    if pod.gpu is not None and pod.gpu not in gpus:
        yield Drift(field="pod.gpu_order", wanted=_said(sorted(gpus)), there=pod.gpu)
        return
    clouds = {str(one.cloud) for one in plan.candidates}
    if pod.cloud is not None and pod.cloud not in clouds:
        yield Drift(field="pod.cloud_type", wanted=_said(sorted(clouds)), there=pod.cloud)
        return
    places = {_datacenter(one, volume) or "any" for one in plan.candidates}
    yield Drift(field="pod.datacenters", wanted=_said(sorted(places)), there=_said(pod.datacenter))


def _datacenter(candidate: Candidate, volume: Volume | None) -> str | None:
    return volume.datacenter if volume is not None else candidate.datacenter


def _mounts(plan: Plan, volume: Volume | None) -> dict[str, Any]:
    storage = plan.storage
    if volume is not None:
        return {"network": [{"volumeId": volume.id, "path": storage.mount}]}
    if storage.mode == "ephemeral":
        return {"persistent": {"size": storage.volume_gb, "path": storage.mount}}
    return {}


def _mounted(mounts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the API says of a pod's mount, as far as it is known here."""
    disk, rows = mounts.get("persistent"), mounts.get("network")
    found: dict[str, Any] = {}
    if isinstance(disk, Mapping):
        found["persistent"] = {key: disk.get(key) for key in ("size", "path")}
    if isinstance(rows, list) and rows:
        known = [row for row in rows if isinstance(row, Mapping)]
        found["network"] = [{key: row.get(key) for key in ("volumeId", "path")} for row in known]
    return found


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_said(item)}" for key, item in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_said, value)) or "none"
    return "none" if value is None else str(value)
