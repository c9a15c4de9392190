"""Every rule that a policy may write, by its name in the file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runpod_deploy.compiler.image_name import parse_image
from runpod_deploy.compiler.plan import Plan
from runpod_deploy.compiler.policy.names import allowed, image_allowed
from runpod_deploy.compiler.policy.price import ceiling, price, sweep_cap
from runpod_deploy.compiler.policy.rule import Breach, Judged, Rule

_ON_VOLUME = "@volume"
_IN_JOB_FILE = "Set `{}` in the job file."


def at_most(field: str, read: Callable[[Plan], float | None], *, unset: str = "") -> Rule:
    """Return the rule that a number of the plan is at most the limit.

    Args:
        field: Dotted name in the plan.
        read: Returns the number, None when the plan has none.
        unset: Why having none breaks the rule; empty when it does not.
    """

    def breaches(judged: Judged, most: float) -> Iterator[Breach]:
        value = read(judged.plan)
        if value is None and unset:
            yield Breach(field=field, says=unset)
        elif value is not None and value > most:
            yield Breach(field=field, says=f"is {value:g}")

    return Rule(
        summary="The plan goes beyond a limit of the policy",
        breaches=breaches,
        cure=_IN_JOB_FILE.format(field),
    )


def one_of(field: str, read: Callable[[Plan], str]) -> Rule:
    """Return the rule that a word of the plan is one of those allowed."""

    def breaches(judged: Judged, words: Sequence[str]) -> Iterator[Breach]:
        value = read(judged.plan)
        if value not in words:
            yield Breach(field=field, says=f"is `{value}`")

    return Rule(
        summary="The policy does not allow this value",
        breaches=breaches,
        cure=_IN_JOB_FILE.format(field),
    )


def _images(judged: Judged, patterns: Sequence[str]) -> Iterator[Breach]:
    pod = judged.plan.pod
    if pod.image is None:
        yield Breach(
            field="pod.template_id", says=f"is `{pod.template_id}`, and only RunPod knows its image"
        )
    elif not image_allowed(pod.image, patterns):
        yield Breach(field="pod.image", says=f"is `{pod.image}`")


def _digest(judged: Judged, required: bool) -> Iterator[Breach]:
    pod = judged.plan.pod
    reference = parse_image(pod.image) if pod.image else None
    if required and (reference is None or not reference.pinned):
        said = f"is `{pod.image}`, without a digest" if pod.image else "is not set"
        yield Breach(field="pod.image", says=said)


def _gpus(judged: Judged, patterns: Sequence[str]) -> Iterator[Breach]:
    for index, candidate in enumerate(judged.plan.candidates):
        if not allowed(candidate.gpu, patterns):
            yield Breach(field=f"candidates[{index}].gpu", says=f"is `{candidate.gpu}`")


def _gpu_count(judged: Judged, most: float) -> Iterator[Breach]:
    """Whoever limited GPUs before there were clusters meant all that a job can have."""
    plan = judged.plan
    count = plan.pod.gpu_count * plan.nodes
    if count > most:
        whole = f", on {plan.nodes} nodes {count}" if plan.nodes > 1 else ""
        yield Breach(field="pod.gpu_count", says=f"is {plan.pod.gpu_count}{whole}")


def _clouds(judged: Judged, words: Sequence[str]) -> Iterator[Breach]:
    for index, candidate in enumerate(judged.plan.candidates):
        if candidate.cloud not in words:
            yield Breach(field=f"candidates[{index}].cloud", says=f"is `{candidate.cloud}`")


def _datacenters(judged: Judged, patterns: Sequence[str]) -> Iterator[Breach]:
    if "*" in patterns:
        return
    for index, candidate in enumerate(judged.plan.candidates):
        field, name = f"candidates[{index}].datacenter", candidate.datacenter
        if name == _ON_VOLUME:
            field = "observed.catalog.volume.datacenter"
            volume = judged.catalog.volume if judged.catalog else None
            name = volume.datacenter if volume else None
            if name is None:
                yield Breach(field=field, says="is not known, so neither is where the pod will be")
                continue
        if name is None:
            yield Breach(field=field, says="is left to RunPod")
        elif not allowed(name, patterns):
            yield Breach(field=field, says=f"is `{name}`")


def _keep_hours(judged: Judged, most: float) -> Iterator[Breach]:
    ends = judged.plan.lifecycle
    if ends.may_stop and ends.keep_hours > most:
        yield Breach(field="lifecycle.keep_hours", says=f"is {ends.keep_hours:g}")


def _lease(judged: Judged, required: bool) -> Iterator[Breach]:
    if required and not judged.plan.lease.required:
        yield Breach(field="lease.required", says="is false")


RULES: Mapping[str, Rule] = {
    "max_price_per_hour_usd": Rule(
        summary="The price is above the policy's, or not known",
        breaches=price,
        cure="Set `pod.max_price_per_hour_usd` in the job file: what is dearer, or has no price, is "
        "then passed over. Without it, ask for prices with --live.",
    ),
    "require_price_ceiling": Rule(
        summary="The plan has no ceiling for the price",
        breaches=ceiling,
        cure=_IN_JOB_FILE.format("pod.max_price_per_hour_usd"),
    ),
    "max_cost_cap_usd": at_most("budget.cost_cap_usd", lambda plan: plan.budget.cost_cap_usd),
    "max_sweep_cap_usd": Rule(
        summary="The runs of the sweep may together cost more than the policy allows",
        breaches=sweep_cap,
        cure="Set `budget.sweep_cap_usd` in the job file: a run then begins only when its cap fits "
        "in. Or plan fewer runs, or lower `budget.cost_cap_usd`, the cap of each.",
    ),
    "max_runtime_minutes": at_most(
        "budget.max_runtime_minutes",
        lambda plan: plan.budget.max_runtime_minutes,
        unset="is not set, so only the money ends the job",
    ),
    "allowed_images": Rule(
        summary="The policy does not allow the image",
        breaches=_images,
        cure="Name an image that the policy allows in `pod.image`.",
    ),
    "require_image_digest": Rule(
        summary="The image is not pinned by its digest",
        breaches=_digest,
        cure="Write the image as `name@sha256:…`. `validate --live` asks the registry for it.",
    ),
    "allowed_gpus": Rule(
        summary="The policy does not allow a GPU type",
        breaches=_gpus,
        cure="Take it out of `pod.gpu_order`.",
    ),
    "max_gpu_count": Rule(
        summary="The plan goes beyond a limit of the policy",
        breaches=_gpu_count,
        cure=_IN_JOB_FILE.format("pod.gpu_count"),
    ),
    "max_nodes": at_most("cluster.nodes", lambda plan: plan.nodes),
    "allowed_clouds": Rule(
        summary="The policy does not allow this cloud of RunPod",
        breaches=_clouds,
        cure=_IN_JOB_FILE.format("pod.cloud_type"),
    ),
    "allowed_datacenters": Rule(
        summary="The policy does not allow a data center, or it is not known",
        breaches=_datacenters,
        cure="Name data centers that the policy allows in `pod.datacenters`.",
    ),
    "allowed_storage_modes": one_of("storage.mode", lambda plan: plan.storage.mode),
    "max_container_disk_gb": at_most(
        "pod.container_disk_gb", lambda plan: plan.pod.container_disk_gb
    ),
    "max_volume_gb": at_most("storage.volume_gb", lambda plan: plan.storage.volume_gb),
    "on_success": one_of("lifecycle.on_success", lambda plan: plan.lifecycle.on_success),
    "on_failure": one_of("lifecycle.on_failure", lambda plan: plan.lifecycle.on_failure),
    "on_orphaned": one_of("lifecycle.on_orphaned", lambda plan: plan.lifecycle.on_orphaned),
    "max_keep_hours": Rule(
        summary="The plan goes beyond a limit of the policy",
        breaches=_keep_hours,
        cure=_IN_JOB_FILE.format("lifecycle.keep_hours"),
    ),
    "require_lease": Rule(
        summary="The pod's watchdog may be missing",
        breaches=_lease,
        cure=_IN_JOB_FILE.format("lease.required"),
    ),
}


def asks_catalog(rules: Mapping[str, Any], plan: Plan) -> bool:
    """Tell whether prices or the network volume must be looked up to judge the plan."""
    on_volume = any(one.datacenter == _ON_VOLUME for one in plan.candidates)
    return ("max_price_per_hour_usd" in rules and plan.pod.max_price_per_hour_usd is None) or (
        "allowed_datacenters" in rules and on_volume
    )
