"""Whether a plan still means what it says here: asked before anything is claimed or created."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runpod_deploy.compiler.freshness import (
    Drift,
    ImageNow,
    can_apply,
    check_allowed,
    is_stale,
    with_payload,
)
from runpod_deploy.compiler.plan import PlanFile
from runpod_deploy.errors import PlanRefused
from runpod_deploy.executor.price_now import Offers
from runpod_deploy.facts.payload_now import Read
from runpod_deploy.facts.replan import world_of

SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Fresh:
    """A plan that may be applied.

    Attributes:
        plan_file: As it was saved; with `--allow payload` it has the files as they are, and another
            hash; with `--allow image`, no digest of an image that was moved.
        drifts: What differs all the same: allowed, or worth no more than a note.
    """

    plan_file: PlanFile
    drifts: tuple[Drift, ...]


def fresh(  # noqa: PLR0913 - each is something else that only the caller knows
    plan_file: PlanFile,
    project_root: Path,
    *,
    allow: Collection[str] = (),
    allow_paths: Sequence[Path] = (),
    environ: Mapping[str, str],
    offers: Offers = None,
    image: ImageNow | None = None,
    growing: bool = False,
    read: Read | None = None,
    file: str | None = None,
) -> Fresh:
    """Hold the plan against the project as it is now: every file read, the job compiled anew.

    Args:
        project_root: Absolute, links resolved.
        allow: Parts of the plan that may differ.
        allow_paths: Folders outside of the repository that the plan's paths may lead into.
        offers: What the catalog says now; None when it was not asked.
        image: What the registry says now about the image; None when it was not asked.
        growing: Whether a file that only grew since is sent as it was planned: so does a log in the
            project that this very command is piped into.
        read: As of `payload_now`.
        file: How the plan's file was named, for messages.

    Raises:
        PlanRefused: Something else differs, or a path leads out of the project.
        InvalidInput: `allow` names no part of a plan.
    """
    allowed = check_allowed(allow)
    world = world_of(
        plan_file,
        project_root,
        allow_paths=allow_paths,
        environ=environ,
        growing=growing,
        read=read,
    )
    now = replace(world, offers=offers, image=image)
    drifts = can_apply(plan_file, now, allow=allowed)
    if is_stale(drifts):
        raise _refusal(plan_file, drifts, file or "plan.json")
    if any(drift.part == "payload" for drift in drifts):
        plan_file = with_payload(plan_file, now.payload)
    if any(drift.field == "image.digest" for drift in drifts):
        # Whoever allows it wants what the tag means by the time it is pulled.
        plan_file = replace(plan_file, observed=replace(plan_file.observed, image=None))
    return Fresh(plan_file=plan_file, drifts=drifts)


def _refusal(plan_file: PlanFile, drifts: Sequence[Drift], file: str) -> PlanRefused:
    refused = [drift for drift in drifts if drift.verdict == "refuse"]
    allowed = [drift for drift in drifts if drift.verdict == "allowed"]
    parts = ",".join(dict.fromkeys(drift.part for drift in (*allowed, *refused)))
    return PlanRefused(
        "The plan is stale: the project changed since it was made, and nothing was created.\n"
        + table([*refused, *(drift for drift in drifts if drift.verdict != "refuse")]),
        help="Look at the change, then make a new plan:\n"
        f"  runpod-deploy plan {shlex.quote(plan_file.plan.job.file)} -o {shlex.quote(file)}\n"
        f"If the change is meant and the plan is to run all the same:\n"
        f"  runpod-deploy apply {shlex.quote(file)} --allow {parts}",
    )


def table(drifts: Sequence[Drift]) -> str:
    """Return drifts one below the other: field and verdict, what was planned, what is now."""
    rows = [
        f"  {drift.field}  ({drift.verdict})\n    planned  {drift.planned or 'not there'}\n"
        f"    now      {drift.now or 'not there'}"
        for drift in drifts[:SHOWN]
    ]
    if len(drifts) > SHOWN:
        rows.append(f"  and {len(drifts) - SHOWN} more")
    return "\n".join(rows)
