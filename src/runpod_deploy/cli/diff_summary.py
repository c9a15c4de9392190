"""What two plans cost and run on, side by side, and how much else differs."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runpod_deploy.cli.amounts import count, limit, size, usd
from runpod_deploy.cli.diff_words import TITLES, value_in_words, words
from runpod_deploy.compiler.line_diff import unified
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.compiler.plan_diff import PlanDiff, ScriptChange

MOST_NAMES = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffRow:
    """A value on both sides; `before` is None where there is no other side."""

    label: str
    before: str | None
    after: str
    dotted: bool = False

    @property
    def changed(self) -> bool:
        """Whether the sides differ."""
        return self.before is not None and self.before != self.after


def _cap(of: PlanFile) -> str:
    return usd(of.plan.budget.cost_cap_usd)


def _ceiling(of: PlanFile) -> str:
    ceiling = of.plan.pod.max_price_per_hour_usd
    return "no ceiling" if ceiling is None else f"{usd(ceiling)}/h for the whole pod"


def _runtime(of: PlanFile) -> str:
    minutes = of.plan.budget.max_runtime_minutes
    return "as long as the money lasts" if minutes is None else limit(minutes * 60)


def _price_now(of: PlanFile) -> str:
    estimate = of.observed.estimate
    if estimate is None:
        return "not looked up"
    rate = estimate.rate_per_hour_usd
    return "unknown" if rate is None else f"{usd(rate)}/h with its disks"


def _image(of: PlanFile) -> str:
    pod = of.plan.pod
    return " from template ".join(one for one in (pod.image, pod.template_id) if one) or "none"


def _gpus(of: PlanFile) -> str:
    names = dict.fromkeys(one.gpu for one in of.plan.candidates)
    plan, pod = of.plan, of.plan.pod
    nodes = "" if plan.cluster is None else f"{plan.nodes} nodes × "
    vcpus = "" if pod.cpu is None else " vCPUs"
    return f"{nodes}{pod.units}{vcpus} × {_some(list(names))}"


def _places(of: PlanFile) -> str:
    places = dict.fromkeys(
        f"{value_in_words('', one.datacenter) if one.datacenter else 'any datacenter'}, {one.cloud}"
        for one in of.plan.candidates
    )
    return _some(list(places), "; ")


def _disk(of: PlanFile) -> str:
    return f"{of.plan.pod.container_disk_gb} GB"


def _some(names: list[str], between: str = ", ") -> str:
    more = len(names) - MOST_NAMES
    shown = between.join(names[:MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown


_CPU = ("pod.cpu", "pod.cpu.flavor", "pod.cpu.vcpus")
_Say = Callable[[PlanFile], str]
_SUMMARY: dict[str, tuple[tuple[str, tuple[str, ...], _Say], ...]] = {
    "cost": (
        ("cost at most", ("budget.cost_cap_usd",), _cap),
        ("price at most", ("pod.max_price_per_hour_usd",), _ceiling),
        ("run at most", ("budget.max_runtime_minutes",), _runtime),
    ),
    "hardware": (
        ("image", ("pod.image", "pod.template_id"), _image),
        ("GPUs", ("pod.gpu_count", "cluster.nodes", *_CPU), _gpus),
        ("places", (), _places),
        ("container disk", ("pod.container_disk_gb",), _disk),
    ),
}


def summary_rows(diff: PlanDiff, section: str) -> list[DiffRow]:
    """Return what is always told of a section, changed or not: of cost and hardware."""
    sides = [diff.after] if diff.before is None else [diff.before, diff.after]
    told = list(_SUMMARY.get(section, ()))
    if section == "cost" and any(one.observed.estimate is not None for one in sides):
        # Not a change of the plan: prices move by themselves.
        told.append(("price now", (), _price_now))
    return [
        DiffRow(
            label=label,
            before=None if diff.before is None else say(diff.before),
            after=say(diff.after),
        )
        for label, _, say in told
    ]


def changed_rows(diff: PlanDiff, section: str) -> list[DiffRow]:
    """Return what else differs in a section, under the dotted names of the plan."""
    told = {field for _, fields, _ in _SUMMARY.get(section, ()) for field in fields}
    rows = [words(one) for one in diff.fields_of(section) if one.field not in told]
    return [
        DiffRow(label=one.field, before=one.before, after=one.after, dotted=True) for one in rows
    ]


def script_lines(change: ScriptChange) -> list[str]:
    """Return the unified diff of a script."""
    return list(unified(change.before or "", change.after or ""))


def script_headline(change: ScriptChange, lines: list[str]) -> str:
    """Return `changed, +3 −1 lines`."""
    signs = Counter(line[0] for line in lines if line)
    plus, minus = signs["+"], signs["-"]
    ours = ", part of runpod-deploy" if change.phase == "pod" else ""
    return f"{change.kind}, +{plus:,} −{minus:,} lines{ours}"


def payload_headline(diff: PlanDiff, label: str) -> str:
    """Return `2 added, 1 removed; now 11 files, 174 kB (was 10 files, 170 kB)`."""
    kinds = diff.files_by_kind(label)
    changes = ", ".join(f"{len(files):,} {kind}" for kind, files in kinds.items())
    before, after = _payload(diff.before, label), _payload(diff.after, label)
    was = f" (was {before})" if before != after else ""
    return f"{changes or 'no file differs'}; now {after}{was}"


def _payload(plan_file: PlanFile | None, label: str) -> str:
    entries = () if plan_file is None else plan_file.payload.get(label, ())
    total = sum(one.size for one in entries if one.type == "file")
    return f"{count(len(entries), 'file')}, {size(total)}"


def overview(diff: PlanDiff) -> str:
    """Return how many changes there are of each kind: `cost 1, scripts 2, payload 12 files`."""
    if diff.before is None:
        return "the job is new"
    return ", ".join(_overview(diff)) or "no change"


def _overview(diff: PlanDiff) -> Iterator[str]:
    for section, title in TITLES.items():
        values = len(diff.fields_of(section))
        parts = [count(values, "value")] if values else []
        if section == "scripts" and diff.scripts:
            parts.insert(0, count(len(diff.scripts), "text"))
        if section == "payload" and diff.files:
            parts.insert(0, count(len(diff.files), "file"))
        if parts:
            yield f"{title.lower()}: {' and '.join(parts)}"
