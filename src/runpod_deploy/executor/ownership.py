"""Whose a pod is, and whether anybody can still want it: told by the pod itself, with no local state."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runpod_deploy.executor.ports import Pod
from runpod_deploy.record import tolerant

META = "RUNPOD_DEPLOY_META"
KEEP_HOURS = 72.0
"""For pods whose own word on it is missing: the default of `lifecycle.keep_hours`."""

_NAME = re.compile(r"rd-([a-z0-9-]{1,8})-.+-\d{8}T\d{6}Z-\d+[0-9a-f]{4}")

Verdict = Literal["foreign", "wanted", "over", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Owned:
    """A pod of the account, and what it says about itself.

    Attributes:
        ours: Whether it is the owner's: by its own word, or by its name where it says nothing.
        run_id: The run that made it.
        dead_after: POSIX seconds after which nobody can want it while it runs.
        keep_hours: How long a stopped pod is kept.
    """

    pod: Pod
    ours: bool
    run_id: str | None = None
    plan_hash: str | None = None
    dead_after: float | None = None
    keep_hours: float = KEEP_HOURS

    @property
    def persistent_gb(self) -> int:
        """Size of the disk that a stop keeps, and bills; 0 without one."""
        mounts = self.pod.raw.get("mounts")
        disk = mounts.get("persistent") if isinstance(mounts, Mapping) else None
        return (tolerant.integer(disk, "size") or 0) if isinstance(disk, Mapping) else 0

    def last_seen_running(self) -> float | None:
        """Return when it was started last, POSIX seconds: it stopped at that moment or later."""
        return tolerant.seconds(tolerant.text(self.pod.raw, "startedAt")) or tolerant.seconds(
            tolerant.text(self.pod.raw, "createdAt")
        )


def look_at(pod: Pod, owner: str) -> Owned:
    """Return what `pod` says about itself, for somebody who is `owner`."""
    meta = _meta(pod)
    said = tolerant.text(meta, "owner")
    named = _NAME.fullmatch(pod.name)
    ours = said == owner if said is not None else bool(named and named[1] == owner[:8])
    keep = tolerant.number(meta, "keep_hours")
    return Owned(
        pod=pod,
        ours=ours,
        run_id=tolerant.text(meta, "run"),
        plan_hash=tolerant.text(meta, "plan_hash"),
        dead_after=tolerant.number(meta, "dead_after"),
        keep_hours=KEEP_HOURS if keep is None else keep,
    )


def judge(owned: Owned, now: float) -> tuple[Verdict, str]:
    """Return whether a pod may be reaped, and why or why not, as the end of a sentence.

    A pod that runs is over once `dead_after` has passed. A stopped one was stopped for its results:
    it must have been stopped before `dead_after`, so it is over `keep_hours` later.
    """
    if not owned.ours:
        return "foreign", "it is not yours"
    if owned.dead_after is None:
        return "unknown", "it does not say until when it may be wanted"
    stopped = owned.pod.status == "EXITED"
    until = owned.dead_after + (owned.keep_hours * 3600 if stopped else 0.0)
    if now <= until:
        kept = "kept for its results" if stopped else "its run may still want it"
        return "wanted", f"{kept}, for {_span(until - now)} more at most"
    if stopped:
        return "over", f"stopped, and kept for more than {owned.keep_hours:g} h"
    return "over", f"its lease was over {_span(now - until)} ago"


def _meta(pod: Pod) -> dict[str, Any]:
    env = pod.raw.get("env")
    text = env.get(META) if isinstance(env, Mapping) else None
    try:
        data = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 72 else f"{round(hours / 24)} days"
