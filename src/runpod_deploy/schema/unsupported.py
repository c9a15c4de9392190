"""Keys that cannot be, because RunPod's API offers no such thing, or that were replaced."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unsupported:
    """One key that is refused: JSON pointer, why, and what to do instead."""

    pointer: str
    summary: str
    detail: str
    help: str


_NO_SPOT = (
    "RunPod's API (v2) rents no spot pods. The pod would be billed at the full on-demand price "
    "without a word."
)
_NO_MINIMUM = (
    "RunPod's API (v2) takes no such wish. A pod's share of vCPUs and memory follows from its GPU "
    "type and the number of its GPUs."
)
_CEILING = (
    "Remove the line. To bound the price, set `pod.max_price_per_hour_usd`; Community Cloud "
    "(`pod.cloud_type: COMMUNITY`) is often cheaper."
)
_BIGGER = "Remove the line, and choose another GPU type or a larger `pod.gpu_count`."

UNSUPPORTED = (
    Unsupported("/pod/spot", "Not offered by RunPod", _NO_SPOT, _CEILING),
    Unsupported("/pod/interruptible", "Not offered by RunPod", _NO_SPOT, _CEILING),
    Unsupported("/pod/min_vcpu_count", "Not offered by RunPod", _NO_MINIMUM, _BIGGER),
    Unsupported("/pod/min_memory_gb", "Not offered by RunPod", _NO_MINIMUM, _BIGGER),
    Unsupported(
        "/stop",
        "Replaced key",
        "The block `stop` is not known any more. What becomes of the pod after success and after "
        "failure is said in the block `lifecycle`.",
        "Replace the whole block by this one, with `delete`, `stop` or `preserve` for each:\n\n"
        "  lifecycle:\n"
        "    on_success: delete\n"
        "    on_failure: stop",
    ),
)
