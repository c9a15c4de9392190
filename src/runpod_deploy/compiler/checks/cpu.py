"""Rules about pods without a GPU: what RunPod does not give them, and what would mean nothing there."""

from collections.abc import Iterator

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import Resolved

_OF_GPUS = (
    "/pod/gpu_order",
    "/pod/gpu_count",
    "/pod/min_cuda",
    "/pod/admission/gpu_name",
    "/pod/admission/min_gpu_memory_gb",
    "/pod/admission/min_driver",
    "/pod/admission/min_cuda",
    "/budget/idle_gpu_minutes",
)


def one_machine(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Something says which machine is rented."""
    if config.pod.cpu is None and not config.pod.gpu_order:
        yield Finding(
            pointer="/pod",
            code="no-machine",
            summary="Nothing says which machine is rented",
            detail="A pod needs `pod.gpu_order`, or `pod.cpu` for one without a GPU.",
        )


def keys_of_gpus(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Nothing is said about GPUs that the pod does not have."""
    if config.pod.cpu is None:
        return
    for pointer in _OF_GPUS:
        if _said(config, pointer):
            name = pointer[1:].replace("/", ".")
            yield Finding(
                pointer=pointer,
                code="cpu-pod",
                summary="The pod has no GPU",
                detail=f"`pod.cpu` asks for a pod without a GPU, and `{name}` is about one.",
                help="Take one of the two out.",
                on_key=True,
            )


def places_of_cpus(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Cloud and disk are such as RunPod gives to pods without a GPU."""
    if config.pod.cpu is None:
        return
    if config.pod.cloud_type != "SECURE":
        yield Finding(
            pointer="/pod/cloud_type",
            code="cpu-pod",
            summary="Pods without a GPU run in Secure Cloud",
            detail=f"RunPod offers processors in Secure Cloud alone, not in {config.pod.cloud_type}.",
            help="Remove the line.",
        )
    if config.storage.mode == "ephemeral":
        yield Finding(
            pointer="/storage/mode",
            code="cpu-pod",
            summary="A pod without a GPU has no such disk",
            detail="Besides its container disk it can have a network volume alone: RunPod refuses a "
            "disk of the host's.",
            help="Write `mode: none`, or use a network volume.",
        )


def _said(config: Resolved, pointer: str) -> bool:
    """Return whether a key is written, or has another value than none by whoever made the job."""
    if pointer in config.source.positions:
        return True
    value = {
        "/pod/gpu_order": config.pod.gpu_order,
        "/pod/min_cuda": config.pod.min_cuda,
        "/budget/idle_gpu_minutes": config.budget.idle_gpu_minutes,
    }.get(pointer)
    return bool(value)


RULES = (one_machine, keys_of_gpus, places_of_cpus)
