"""Brings back into a run context what its journal and its folder tell; nothing here asks the cloud."""

from __future__ import annotations

import math
from pathlib import Path

from runpod_deploy.executor import kept, pulled, retrying, uploading
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.money import deadline
from runpod_deploy.executor.ring import Refusal, Ring
from runpod_deploy.executor.standing import Standing, on_this_pod
from runpod_deploy.executor.steps import provision
from runpod_deploy.record import tolerant
from runpod_deploy.record.events import Event
from runpod_deploy.record.run import fold

KILLED = "the executor ended before the answer came"


def recall_ring(ctx: RunContext) -> None:
    """Go on with the candidate ring where it stood."""
    events = retrying.of_this_attempt(ctx.journal.events)
    began = next(
        (e for e in events if e["event"] == "step_started" and e["step"] == "provision"), None
    )
    if began is None:
        return
    ctx.ring = provision.new_ring(ctx)
    if ctx.ring.until is not None:
        spent = ctx.clock.now() - (tolerant.seconds(began.ts_utc) or ctx.clock.now())
        ctx.ring.until -= max(0.0, spent)
    for event in events:
        if event.event == "candidate_refused":
            _recall_refusal(ctx.ring, event)
    if ctx.candidate is not None and not kept.in_hand(ctx):
        ctx.ring.pass_over(ctx.candidate)


def _recall_refusal(ring: Ring, event: Event) -> None:
    named = (
        event.fields.get("gpu_id"),
        event.fields.get("datacenter_id"),
        event.fields.get("cloud_type"),
    )
    for candidate in ring.candidates:
        if (candidate.gpu, candidate.datacenter, candidate.cloud) == named:
            reason = tolerant.text(event.fields, "reason") or ""
            ring.recall(Refusal(candidate, reason, tolerant.integer(event.fields, "status") or 0))
            return


def recall_results(ctx: RunContext) -> None:
    """Take up how the job ended, and what was brought home and is still here."""
    if job_ended(ctx):
        ctx.job_end = fold(ctx.journal.events).job_end
    for artifact in ctx.plan.artifacts:
        found = pulled.recall(ctx, artifact.label)
        if found is None:
            continue
        # As long as there is a pod, what was taken away here can be brought home once more.
        if ctx.pod is None or pulled.still_here(found, Path(ctx.fill(artifact.local_path))):
            ctx.artifact_files[artifact.label] = found.entries
            ctx.refused_files[artifact.label] = found.refused
            if found.sha256 is not None:
                ctx.tree_sha256[artifact.label] = found.sha256
                ctx.verified.add(artifact.label)


def recall_deadline(ctx: RunContext) -> None:
    """Work out again when the supervisor will have ended the run."""
    if ctx.earlier.intended_at is None:
        ctx.run_ends_by = math.inf
        return
    ctx.run_ends_by = deadline(
        billed_since=ctx.billed_since,
        started=ctx.earlier.intended_at,
        rate_usd_per_hour=ctx.rate(),
        cost_cap_usd=ctx.job_limit_usd(),
        max_runtime_minutes=ctx.plan.budget.max_runtime_minutes,
    ).at


def settle_the_rest(ctx: RunContext, where: Standing) -> None:
    """Settle what asks for no more than a look at what is known by now."""
    for event in open_intents(ctx, "pull_intended"):
        label = str(event.fields.get("label"))
        verified = label in ctx.verified
        ctx.journal.write(
            "pull_settled",
            op_id=event["op_id"],
            outcome="verified" if verified else "failed",
            label=label,
            error=None if verified else KILLED,
        )
    for event in open_intents(ctx, "upload_intended"):
        uploading.cut_off(ctx, event["op_id"], str(event.fields.get("label")), KILLED)
    if where.failure is not None or where.over or ctx.pod is None:
        # Where the run goes on, its supervisor is asked instead, who begins it once.
        for event in open_intents(ctx, "exec_start_intended"):
            ctx.journal.write(
                "exec_start_settled", op_id=event["op_id"], outcome="unknown", error=KILLED
            )


def job_ended(ctx: RunContext) -> bool:
    """Return whether somebody saw the end of the job on the pod in hand."""
    return any(event.event == "job_ended" for event in on_this_pod(ctx.journal.events))


def open_intents(ctx: RunContext, name: str) -> list[Event]:
    """Return the effects of a kind that were begun and never settled."""
    run = fold(ctx.journal.events)
    return [event for event in run.open_intents.values() if event.event == name]
