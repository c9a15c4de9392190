"""Lints about limits that are clearly too small: the money for the time, a disk for the files."""

from collections.abc import Iterator

from runpod_deploy.compiler import rates
from runpod_deploy.compiler.candidates import clouds
from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.lifecycle import mount
from runpod_deploy.compiler.listed import listed_price
from runpod_deploy.compiler.payload_files import sums_of
from runpod_deploy.compiler.pod_paths import inside
from runpod_deploy.compiler.resolve import Resolved

CAP_BEFORE_RUNTIME = Lint(
    code="cap-before-runtime",
    summary="The cost cap is reached before the run can be over",
    why="The money is counted from the pod's creation on, pull of the image and setup included. A "
    "run that reaches its cap is ended, however far it is.",
    cure="Raise `budget.cost_cap_usd`, or shorten `budget.max_runtime_minutes`. What the catalog "
    "says of prices now:\n  runpod-deploy estimate JOB.yaml",
)
DISK_TOO_SMALL = Lint(
    code="disk-too-small",
    summary="The files that would be sent do not fit on their disk",
    why="The upload fails where the disk is full, after the pod was paid for to start and to set up.",
    cure="Rent a larger disk (`pod.container_disk_gb`, `storage.volume_gb`), or send less.",
)
LINTS = (CAP_BEFORE_RUNTIME, DISK_TOO_SMALL)

_HARDLY_MINUTES = 10.0
_GB = 10**9


def cap_before_runtime(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """A cap that ends the run before its time, or as soon as it began, is told about."""
    budget = config.budget
    rate, source, unknown = _rate(config)
    if rate is None or budget.cost_cap_usd <= 0:
        return
    minutes = budget.cost_cap_usd / rate * 60
    longest = budget.max_runtime_minutes
    if minutes >= (_HARDLY_MINUTES if longest is None else longest):
        return
    reached = "already, its start included" if longest is None else f"of the {longest:g} allowed"
    allowed = "" if longest is None else " by `max_runtime_minutes`"
    yield CAP_BEFORE_RUNTIME.at(
        "/budget/cost_cap_usd",
        f"At {rate:.2f} USD per hour ({source}) the cap of {_usd(budget.cost_cap_usd)} USD is reached "
        f"after {minutes:.0f} minutes {reached}{allowed}." + unknown,
    )


def _usd(amount: float) -> str:
    """Return an amount; one of less than a cent is not shown as nothing."""
    return f"{amount:.2f}" if amount >= 0.01 else f"{amount:g}"


def _rate(config: Resolved) -> tuple[float | None, str, str]:
    """Return the pod's rate as far as it is known offline, where it is from, and what is not known."""
    budget = config.budget
    if budget.assumed_hourly_rate_usd:
        return budget.assumed_hourly_rate_usd, "assumed_hourly_rate_usd", ""
    if config.pod.max_price_per_hour_usd:
        return config.pod.max_price_per_hour_usd, "max_price_per_hour_usd", ""
    offers = {
        (listed_price(gpu, cloud), gpu, cloud.title())
        for gpu in config.pod.gpu_order
        for cloud in clouds(config)
    }
    known = sorted((price, gpu, cloud) for price, gpu, cloud in offers if price is not None)
    if not known:
        return None, "", ""
    price, gpu, cloud = known[0]
    priced = {one[1] for one in known}
    missing = [name for name in config.pod.gpu_order if name not in priced]
    told = ", ".join(f"`{name}`" for name in missing)
    unknown = f" What {told} costs is not known to this release." if missing else ""
    persistent = config.storage.volume_gb or 0 if config.storage.mode == "ephemeral" else 0
    nodes = config.cluster.nodes if config.cluster else 1
    rate = price * config.pod.gpu_count
    rate += rates.running_disk_per_hour(config.pod.container_disk_gb, persistent)
    rate *= nodes
    gpus = config.pod.gpu_count * nodes
    number = f"{gpus} × " if gpus > 1 else ""
    return rate, f"{number}{gpu} in {cloud} Cloud, by the prices of this release", unknown


def disks(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """Each disk has room for the files that are sent to it."""
    folder = mount(config)
    ours: dict[bool, list[tuple[str, int]]] = {True: [], False: []}
    for entry in config.staging:
        size = sums_of(facts.payload.get(entry.label, ())).bytes
        on_mount = folder is not None and inside(entry.destination, folder)
        ours[on_mount].append((entry.label, size))
    volume = config.storage.volume_gb if config.storage.mode == "ephemeral" else None
    for sent, room, pointer, what in (
        (ours[False], config.pod.container_disk_gb, "/pod/container_disk_gb", "container disk"),
        (ours[True], volume, "/storage/volume_gb", "disk that is mounted"),
    ):
        total = sum(size for _, size in sent)
        if room is not None and total > room * _GB:
            labels = ", ".join(f"`{label}`" for label, size in sent if size)
            yield DISK_TOO_SMALL.at(
                pointer,
                f"{labels} sends {total / _GB:.1f} GB to the {what}, and `{pointer[1:].replace('/', '.')}` "
                f"is {room} GB.",
            )


RULES = (cap_before_runtime, disks)
