"""A run's view of the state file: which pod was kept for it, and what it keeps for the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.drift import made_as
from runpod_deploy.executor.untrusted import printable
from runpod_deploy.record import tolerant
from runpod_deploy.record.journal import JOURNAL_NAME, read_events, utc_stamp
from runpod_deploy.record.kept_pods import Binding, KeptPod, KeptPods
from runpod_deploy.record.run import fold
from runpod_deploy.record.run_lock import living_holder

RECYCLED = "recycled"
"""What the reason of a delete call begins with when the pod was an earlier run's."""

_REMEMBERED_KEYS = 20
_UNWRITTEN = "recycle-unwritten"


def in_hand(ctx: RunContext) -> bool:
    """Return whether the pod in hand was kept by an earlier run."""
    return ctx.pod is not None and any(
        event.event == "pod_claimed" and event.fields.get("pod_id") == ctx.pod.id
        for event in ctx.journal.events
    )


def claim(ctx: RunContext) -> KeptPod | None:
    """Take the pod that was kept for this job, so that no other run does; None when there is none.

    A state file that cannot be read is told of; then a pod is rented as without one.
    """
    store, now = _store(ctx), ctx.clock.now()
    if store is None:
        return None
    try:
        entry = store.claim(
            _binding(ctx), str(ctx.folder.path), lambda run: _lets_go(Path(run), now)
        )
        if entry is None:
            _tell_held(ctx, store, now)
    except OSError as error:
        ctx.warn("recycle-unread", f"No pod is used again: {_why(error)}.")
        return None
    return entry


def _lets_go(run: Path, now: float) -> bool:
    """Return whether a run that took a kept pod has no more use for it.

    One whose executor is dead still has it once it may have started it: what that pod's disk holds
    may be all there is of its job.
    """
    if not run.is_dir():
        return True
    if living_holder(run, now) is not None:
        return False
    events = list(read_events(run / JOURNAL_NAME))
    started = fold(events)
    if not started.started:
        return False  # its journal cannot be read, or is not written yet
    return started.state.final or not any(
        event.event == "pod_action_intended" and event.fields.get("action") == "start"
        for event in events
    )


def _tell_held(ctx: RunContext, store: KeptPods, now: float) -> None:
    """Say of a pod that a dead executor's run has how to get it back."""
    binding = _binding(ctx)
    for entry in store.read():
        run = entry.claimed_by
        if entry.binding != binding or run is None or living_holder(Path(run), now) is not None:
            continue
        ctx.warn(
            "recycle-held",
            f"Pod {entry.pod_id}, kept by an earlier run, is held by the run in {printable(run, 300)}, "
            "whose command is gone and whose results may be on it. Another one is rented. To get it "
            f"back, carry that run on (`runpod-deploy resume {printable(run, 300)}`) or end it "
            "(`runpod-deploy cancel` with the same folder).",
        )


def give_back(ctx: RunContext, pod_id: str | None = None) -> None:
    """Let a pod that this run took and did not start wait on; None: every one of them."""
    mine = str(ctx.folder.path)

    def change(store: KeptPods) -> None:
        for entry in store.read():
            if entry.claimed_by == mine and pod_id in (None, entry.pod_id):
                store.leave(entry.pod_id)

    _quietly(ctx, change)


def forget(ctx: RunContext, pod_id: str) -> None:
    """Strike a pod out that no later run is to use; never raises."""
    _quietly(ctx, lambda store: store.forget(pod_id))


def remember(ctx: RunContext) -> bool:
    """Keep the pod in hand for the next run of the job; False, and why is told, when it cannot be.

    It is written down before the pod is stopped: whoever finds it while it runs leaves it alone.
    """
    store, pod = _store(ctx), ctx.need_pod()
    if store is None:
        return False
    try:
        other = store.keep(_entry(ctx))
    except OSError as error:
        ctx.said_once.add(_UNWRITTEN)
        ctx.warn(_UNWRITTEN, f"The pod is deleted and not kept: {_why(error)}.")
        return False
    if other is not None:
        ctx.warn(
            "recycle-second",
            f"Pod {other.pod_id} waits for the next run of this job already: pod {pod.id} is deleted.",
        )
    return other is None


def known_host_keys(ctx: RunContext) -> frozenset[str]:
    """Return the fingerprints that the pod in hand showed to earlier runs; its log still has them."""
    store = _store(ctx)
    if store is None or ctx.pod is None or not in_hand(ctx):
        return frozenset()
    try:
        entries = store.read()
    except OSError:
        return frozenset()
    return frozenset(key for one in entries if one.pod_id == ctx.pod.id for key in one.host_keys)


def _entry(ctx: RunContext) -> KeptPod:
    pod = ctx.need_pod()
    shown = [
        tolerant.text(event.fields, "fingerprint")
        for event in ctx.journal.events
        if event.event == "host_key_enrolled" and event.fields.get("pod_id") == pod.id
    ]
    keys = dict.fromkeys([*sorted(known_host_keys(ctx)), *(key for key in shown if key)])
    return KeptPod(
        binding=_binding(ctx),
        pod_id=pod.id,
        pod_name=pod.name,
        gpu_id=ctx.late_bound.get("gpu_id", ""),
        cloud_type=ctx.candidate.cloud if ctx.candidate else (pod.cloud or ""),
        datacenter_id=ctx.late_bound.get("datacenter_id") or None,
        image=ctx.plan.pod.image,
        made_as=made_as(ctx.plan),
        run_dir=str(ctx.folder.path),
        kept_at=utc_stamp(ctx.clock.now()),
        host_keys=tuple(keys)[-_REMEMBERED_KEYS:],
    )


def _binding(ctx: RunContext) -> Binding:
    matrix = ctx.plan.matrix
    return Binding(
        cloud=ctx.cloud.label,
        api_url=ctx.api_url,
        owner=ctx.owner,
        job=ctx.plan.job.name,
        job_file=ctx.plan.job.file,
        shard=None if matrix is None else matrix.name,
    )


def _store(ctx: RunContext) -> KeptPods | None:
    place = ctx.plan.lifecycle.state_file
    return None if place is None else KeptPods(file=ctx.project_root / place)


def _quietly(ctx: RunContext, change: Callable[[KeptPods], None]) -> None:
    store = _store(ctx)
    if store is None:
        return
    try:
        change(store)
    except OSError as error:
        if _UNWRITTEN not in ctx.said_once:
            ctx.said_once.add(_UNWRITTEN)
            ctx.warn(_UNWRITTEN, f"The state file is not up to date: {_why(error)}.")


def _why(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.strerror else str(error)
