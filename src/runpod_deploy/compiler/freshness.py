"""Whether a saved plan still means what it says: the one place that decides.

What the plan froze is derived anew from the job file and the files it names, and every difference
is told. Most make the plan stale. Some are only told: git's commit moves when a plan is merged, and
the scripts of ours that a plan carries are those of the version that made it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from runpod_deploy.compiler.differences import differences
from runpod_deploy.compiler.observed import CandidateOffer
from runpod_deploy.compiler.payload import total_bytes, tree_sha256
from runpod_deploy.compiler.plan import (
    GitFacts,
    LockfileFacts,
    PayloadEntry,
    Plan,
    PlanFile,
)
from runpod_deploy.compiler.planfile import make_plan_file
from runpod_deploy.compiler.price_drift import PricesUnknown, price_changes
from runpod_deploy.errors import InvalidInput

Verdict = Literal["refuse", "allowed", "note"]

ALLOWABLE: tuple[str, ...] = ("payload", "price", "image", *(one.name for one in fields(Plan)))
"""What `--allow` may name: the first part of a drift's field."""

_OURS = frozenset(("protocol", "home", "steps"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One difference between a plan and the world.

    Attributes:
        field: `payload.LABEL.PATH`, or the dotted name of a field of the plan.
        planned: What the plan says; None when it says nothing.
        now: What is there; None when nothing is.
        verdict: `refuse` makes the plan stale; `allowed` would, and was asked for; `note` is only
            told.
    """

    field: str
    planned: str | None
    now: str | None
    verdict: Verdict

    @property
    def part(self) -> str:
        """What `--allow` calls it."""
        return self.field.partition(".")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageNow:
    """What a registry says about the plan's image.

    Attributes:
        digest: What the tag points at; None when that is not known.
        why: What the registry answered.
    """

    digest: str | None
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Now:
    """The world that a plan is held against.

    Attributes:
        payload: Staging label to its files as they are.
        tool_version: Ours.
        plan: The job file compiled anew, with the variables the plan was made with; None when
            there is no job file to compile.
        problem: Why the job file, which is there, gives no plan.
        git: The work tree; None outside of one.
        offers: What the catalog says about the plan's candidates; None when nobody was asked.
        image: What the registry says about its image; None when nobody was asked.
    """

    payload: Mapping[str, Sequence[PayloadEntry]]
    tool_version: str
    plan: Plan | None = None
    problem: str | None = None
    git: GitFacts | None = None
    lockfile: LockfileFacts | None = None
    offers: tuple[CandidateOffer, ...] | PricesUnknown | None = None
    image: ImageNow | None = None


def can_apply(plan_file: PlanFile, now: Now, *, allow: Collection[str] = ()) -> tuple[Drift, ...]:
    """Return every difference between the plan and `now`; none of them says `refuse`: it may run.

    Args:
        allow: Parts (`ALLOWABLE`) whose differences were asked for.
    """
    found = (
        *_payloads(plan_file, now),
        *_job(plan_file, now),
        *_prices(plan_file, now),
        *_image(plan_file, now),
        *_source(plan_file, now),
    )
    return tuple(
        replace(drift, verdict="allowed")
        if drift.verdict == "refuse" and drift.part in allow
        else drift
        for drift in found
    )


def check_allowed(names: Collection[str]) -> frozenset[str]:
    """Return `names` as a set.

    Raises:
        InvalidInput: One of them is no part of a plan.
    """
    for name in names:
        if name not in ALLOWABLE:
            raise InvalidInput(
                f"--allow {name}: a plan has no such part",
                help=f"Name what the refusal names. There are: {', '.join(ALLOWABLE)}.",
            )
    return frozenset(names)


def is_stale(drifts: Sequence[Drift]) -> bool:
    """Return whether one of `drifts` forbids to apply the plan."""
    return any(drift.verdict == "refuse" for drift in drifts)


def with_payload(plan_file: PlanFile, payload: Mapping[str, Sequence[PayloadEntry]]) -> PlanFile:
    """Return the plan with the files as they are, under a new hash: for `--allow payload`.

    The bytes that were planned are gone, so this is the only part that cannot be kept as planned.
    """
    staging = tuple(
        replace(
            entry,
            tree_sha256=tree_sha256(payload[entry.label]),
            files=len(payload[entry.label]),
            bytes=total_bytes(payload[entry.label]),
        )
        for entry in plan_file.plan.staging
    )
    plan = replace(plan_file.plan, staging=staging)
    kept = {entry.label: payload[entry.label] for entry in staging}
    return make_plan_file(plan, kept, plan_file.observed, plan_file.plan_id)


def _payloads(plan_file: PlanFile, now: Now) -> Iterator[Drift]:
    # Labels that only the world has are refused as well: the plan does not know them.
    for label in dict.fromkeys([*plan_file.payload, *now.payload]):
        yield from _payload(label, plan_file.payload.get(label, ()), now.payload.get(label, ()))


def _payload(
    label: str, planned: Sequence[PayloadEntry], now: Sequence[PayloadEntry]
) -> Iterator[Drift]:
    if planned == now:
        return
    before = {entry.path: entry for entry in planned}
    after = {entry.path: entry for entry in now}
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            yield Drift(
                field=f"payload.{label}.{path}" if path else f"payload.{label}",
                planned=_told(old),
                now=_told(new),
                verdict="refuse",
            )


def _told(entry: PayloadEntry | None) -> str | None:
    if entry is None:
        return None
    if entry.type == "link":
        return f"link to {entry.target}"
    executable = ", executable" if entry.exec else ""
    return f"{entry.size} bytes{executable}, sha256 {entry.sha256}"


def _job(plan_file: PlanFile, now: Now) -> Iterator[Drift]:
    if now.problem is not None:
        yield Drift(field="job", planned="can be planned", now=now.problem, verdict="refuse")
    elif now.plan is None:
        yield Drift(field="job", planned=plan_file.plan.job.file, now=None, verdict="note")
    else:
        theirs = plan_file.observed.tool_version != now.tool_version
        ours = _OURS | {"scripts." + s.name for s in plan_file.plan.scripts if s.phase == "pod"}
        for one in differences(plan_file.plan, now.plan):
            saved = theirs and (one.field in ours or one.field.startswith(_below(ours)))
            yield Drift(
                field=one.field,
                planned=one.before,
                now=one.after,
                verdict="note" if saved else "refuse",
            )


def _below(names: Collection[str]) -> tuple[str, ...]:
    return tuple(f"{name}." for name in names)


def _prices(plan_file: PlanFile, now: Now) -> Iterator[Drift]:
    seen = plan_file.observed.catalog
    if seen is None or now.offers is None:
        return
    ceiling = plan_file.plan.pod.max_price_per_hour_usd is not None
    if isinstance(now.offers, PricesUnknown):
        # With a ceiling, no pod is created above it or without a price.
        yield Drift(
            field="price",
            planned="as the catalog showed",
            now=f"could not be checked: {now.offers.why}",
            verdict="note" if ceiling else "refuse",
        )
        return
    for field, planned, here, worse in price_changes(seen.candidates, now.offers, ceiling=ceiling):
        yield Drift(field=field, planned=planned, now=here, verdict="refuse" if worse else "note")


def _image(plan_file: PlanFile, now: Now) -> Iterator[Drift]:
    """A tag that was moved, or of which nothing is known any more, is not what was reviewed."""
    seen = plan_file.observed.image
    if seen is None or now.image is None or seen.digest == now.image.digest:
        return
    yield Drift(
        field="image.digest",
        planned=seen.digest,
        now=now.image.digest or f"not known: {now.image.why}",
        verdict="refuse",
    )


def _source(plan_file: PlanFile, now: Now) -> Iterator[Drift]:
    seen = plan_file.observed
    for field, planned, here in (
        ("tool_version", seen.tool_version, now.tool_version),
        ("git.commit", _commit(seen.git), _commit(now.git)),
        ("git.changes", _changes(seen.git), _changes(now.git)),
        ("lockfile", _locked(seen.lockfile), _locked(now.lockfile)),
    ):
        if planned != here:
            yield Drift(field=field, planned=planned, now=here, verdict="note")


def _commit(facts: GitFacts | None) -> str | None:
    return None if facts is None else facts.sha


def _changes(facts: GitFacts | None) -> str | None:
    if facts is None or facts.patch_sha256 is None:
        return None
    return f"not committed, sha256 {facts.patch_sha256}"


def _locked(facts: LockfileFacts | None) -> str | None:
    return None if facts is None else f"{facts.name} sha256 {facts.sha256}"
