"""What the cloud said while planning, and what a run would cost by it: seen, never part of a plan's identity.

Prices in USD, times in seconds, sizes in GB. None always means "not known" and never "nothing": the
catalog writes 0 or null where it has no price.
"""

from typing import Literal

from runpod_deploy.frozen import frozen

StockLevel = Literal["NONE", "LOW", "MEDIUM", "HIGH"]
PassedOver = Literal["not_in_catalog", "price_unknown", "above_ceiling", "out_of_stock"]


@frozen
class CandidateOffer:
    """What the catalog says about one candidate.

    Attributes:
        gpu: As in the plan, like `datacenter` and `cloud`.
        memory_gb: Of one GPU.
        price_per_gpu_hour_usd: What the catalog asks for one GPU.
        price_per_hour_usd: The same times the pod's number of GPUs, disks not included.
        stock: A hint, not a promise: a place that shows some may refuse, and the other way round.
        passed_over: Why apply would not ask for it; `out_of_stock` is asked for when nothing else
            is left. None: apply asks for it.
    """

    gpu: str
    datacenter: str | None
    cloud: Literal["SECURE", "COMMUNITY"]
    memory_gb: int | None
    price_per_gpu_hour_usd: float | None
    price_per_hour_usd: float | None
    stock: StockLevel | None
    passed_over: PassedOver | None


@frozen
class ObservedVolume:
    """The network volume of the plan, as the account has it: it decides where the pod will be."""

    name: str
    datacenter: str
    size_gb: int


@frozen
class ObservedCatalog:
    """Price and stock of every candidate at one moment.

    Attributes:
        cloud: `runpod` or `emulator`: whose catalog it was.
        read_at: When the cloud was asked, UTC, `YYYY-MM-DDTHH:MM:SSZ`; earlier than the plan when
            the answer was kept.
        candidates: One for each candidate of the plan, in the same order.
        volume: None when the plan uses no network volume, or the account has none of that name.
    """

    cloud: str
    read_at: str
    candidates: tuple[CandidateOffer, ...]
    volume: ObservedVolume | None = None


@frozen
class ObservedImage:
    """Which image the plan's tag pointed at when the registry was asked.

    Attributes:
        digest: `sha256:…` of the manifest, or of the list of manifests.
        read_at: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    """

    digest: str
    read_at: str


@frozen
class Spend:
    """So long at the estimate's rate costs so much."""

    seconds: float
    usd: float


@frozen
class TypicalSpend:
    """What a run like the earlier ones of this job would cost at today's rate.

    Attributes:
        runs: How many succeeded runs it is the median of.
        same_gpu: Whether they all ran on the GPU of the estimate.
        seconds: From the pod's create call to its end.
        usd: None when the rate is not known.
    """

    runs: int
    same_gpu: bool
    seconds: float
    usd: float | None


@frozen
class Estimate:
    """What a run would cost on the candidate that apply would ask for first.

    Attributes:
        candidate: Its index in the plan's candidates; None when apply would ask for none.
        price_source: `catalog`, or `assumed` for the job's own `budget.assumed_hourly_rate_usd`.
        compute_per_hour_usd: The whole pod's GPUs.
        disk_per_hour_usd: Container disk and persistent disk of a running pod.
        rate_per_hour_usd: Both together; None when the price is not known.
        volume_per_month_usd: The network volume, whether a pod runs or not; in none of the sums.
        stopped_per_day_usd: The persistent disk of a stopped pod; None when the plan never stops one.
        typical: None when no succeeded run of this job is in the project.
        at_max_runtime: None when the job has no `max_runtime_minutes` or the rate is not known;
            counted from the start of the script, what comes before and after is on top.
        at_cap: How long the cost cap lasts; None when the rate is not known.
        ends_by: Which of the two ends a run that never ends by itself.
    """

    candidate: int | None
    price_source: Literal["catalog", "assumed"] | None
    compute_per_hour_usd: float | None
    disk_per_hour_usd: float
    rate_per_hour_usd: float | None
    volume_per_month_usd: float | None
    stopped_per_day_usd: float | None
    typical: TypicalSpend | None
    at_max_runtime: Spend | None
    at_cap: Spend | None
    ends_by: Literal["max_runtime", "cost_cap"] | None
