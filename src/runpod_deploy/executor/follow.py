"""Follows the run on the pod: its log by byte offset as it grows, its end, and losses of the connection."""

from __future__ import annotations

import asyncio
import shlex

from runpod_deploy.errors import (
    HostKeyChanged,
    HostUnusable,
    RunpodDeployError,
    StepFailed,
    TransportError,
)
from runpod_deploy.executor import supervision, telemetry
from runpod_deploy.executor.artifacts import bring_now_and_then
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.log_mirror import LogMirror
from runpod_deploy.executor.ports import LOST, Pod
from runpod_deploy.executor.steps import connect
from runpod_deploy.executor.supervision import Report

NEXT_BYTES_WITHIN_SEC = 60.0
_DEAD = LOST | {"gone"}


async def follow(ctx: RunContext, mirror: LogMirror) -> Report:
    """Mirror the log until the run has ended and every byte of its log is here.

    A lost connection is made again, from the byte where it broke; a pod that is gone ends the run.

    Raises:
        StepFailed: The pod died under the run (cause `pod_killed`).
        HostKeyChanged: Another machine answers at the pod's address.
    """
    watch = asyncio.create_task(_watch_pod(ctx))
    samples = asyncio.create_task(telemetry.follow_samples(ctx))
    results = asyncio.create_task(bring_now_and_then(ctx))
    try:
        while True:
            try:
                return await _session(ctx, mirror, watch)
            except HostKeyChanged:
                raise
            except TransportError as error:
                await reconnect(ctx, error)
    finally:
        for task in (watch, samples, results):
            task.cancel()
        await asyncio.gather(watch, samples, results, return_exceptions=True)


async def _session(ctx: RunContext, mirror: LogMirror, watch: asyncio.Task[None]) -> Report:
    session = asyncio.create_task(_follow_once(ctx, mirror))
    try:
        await asyncio.wait({session, watch}, return_when=asyncio.FIRST_COMPLETED)
        if watch.done() and not session.done():
            watch.result()
        return await session
    finally:
        # It must not go on feeding the mirror while somebody else drains the log.
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)


async def drain(ctx: RunContext, mirror: LogMirror, size: int) -> None:
    """Fetch the rest of a log that no longer grows, up to `size` bytes.

    Raises:
        TransportError: The connection broke.
        TimeoutError: Nothing came for a minute.
    """
    missing = size - mirror.received
    if missing <= 0:
        return
    path = shlex.quote(ctx.fill(ctx.plan.run.log_path))
    command = f"tail -c +{mirror.received + 1} {path} | head -c {missing}"
    now = asyncio.get_running_loop().time
    async with asyncio.timeout(NEXT_BYTES_WITHIN_SEC) as timer:
        async for piece in ctx.need_transport().stream(command):
            mirror.feed(piece)
            timer.reschedule(now() + NEXT_BYTES_WITHIN_SEC)


async def _follow_once(ctx: RunContext, mirror: LogMirror) -> Report:
    tail = asyncio.create_task(_tail(ctx, mirror))
    end = asyncio.create_task(supervision.wait(ctx))
    try:
        await asyncio.wait({tail, end}, return_when=asyncio.FIRST_COMPLETED)
        if tail.done() and not end.done():
            # A journal that cannot be written ends the run at once, not at its end.
            tail.result()
        report = await end
    finally:
        for task in (tail, end):
            task.cancel()
        await asyncio.gather(tail, end, return_exceptions=True)
    try:
        await drain(ctx, mirror, report.log_bytes)
    except TimeoutError as error:
        raise StepFailed(
            f"The run ended, but the last {report.log_bytes - mirror.received} bytes of its log did "
            "not come.",
            cause="log_incomplete",
        ) from error
    return report


async def _tail(ctx: RunContext, mirror: LogMirror) -> None:
    path = shlex.quote(ctx.fill(ctx.plan.run.log_path))
    command = f"exec tail -c +{mirror.received + 1} -F {path} 2>/dev/null"
    try:
        async for piece in ctx.need_transport().stream(command):
            mirror.feed(piece)
    except (TransportError, StepFailed, TimeoutError):
        # Whoever waits for the run's end sees the broken connection too, and what is missing is drained.
        return
    except OSError as error:
        # A paid run goes on without its log here: what is missing is drained at its end.
        ctx.warn(
            "log-unwritten",
            f"{mirror.path} cannot be written: {error.strerror or error}. The run goes on; make room "
            "before it ends, and its log is brought home then.",
        )


async def _watch_pod(ctx: RunContext) -> None:
    """Ask the API for the pod now and then; one failed look is no verdict."""
    pod = ctx.need_pod()
    while True:
        await ctx.clock.sleep(ctx.plan.budget.poll_interval_sec)
        ctx.progress.spent(ctx.spent(), ctx.limit())
        try:
            seen = await ctx.cloud.get(pod.id)
        except RunpodDeployError:
            continue
        _dead_pod_ends_run(ctx, seen.status if seen else "gone", seen)


def _dead_pod_ends_run(ctx: RunContext, status: str, seen: Pod | None) -> None:
    if status in _DEAD:
        note = "the pod ended while the run was in progress"
        ctx.journal.write("pod_killed_unexpected", state=status, note=note)
        told = f"The pod is {status}: {note}."
        if ctx.plan.cluster is not None and ctx.leader is None:
            told = f"{_lost_nodes(ctx.plan.nodes, seen)} The cluster is of no use without."
        raise StepFailed(told, cause="pod_killed")


def _lost_nodes(nodes: int, seen: Pod | None) -> str:
    """Return which nodes of a cluster are lost, as a sentence."""
    if seen is None:
        return "The cluster is gone."
    there = {one.rank: one.status for one in seen.members}
    states = [(rank, there.get(rank, "gone")) for rank in range(nodes)]
    lost = [f"node {rank} is {status}" for rank, status in states if status in _DEAD]
    return f"The cluster lost nodes: {', '.join(lost) or 'which is not told'}."


async def reconnect(ctx: RunContext, error: TransportError) -> None:
    """Replace a lost connection, however long it takes: see `reach`."""
    ctx.journal.write("connection_lost", error=error.message)
    began = ctx.clock.monotonic()
    await reach(ctx)
    ctx.journal.write("connection_restored", duration_sec=round(ctx.clock.monotonic() - began, 3))


async def reach(ctx: RunContext) -> None:
    """Log in, however long it takes: the run goes on meanwhile, and its supervisor ends it.

    Raises:
        StepFailed: The pod is gone, or nobody answered although the run must have ended by now.
        AuthRejected: The pod no longer knows the key.
    """
    while True:
        try:
            seen = await ctx.cloud.get(ctx.need_pod().id)
        except RunpodDeployError:
            seen = ctx.pod
        _dead_pod_ends_run(ctx, seen.status if seen else "gone", seen)
        ctx.pod = seen
        try:
            await connect.again(ctx)
        except HostUnusable as problem:
            if problem.cause == "pod_gone":
                _dead_pod_ends_run(ctx, "gone", seen)
            if ctx.clock.now() > ctx.run_ends_by:
                raise StepFailed(
                    f"The connection to the pod was lost and could not be made again: {problem.message}",
                    cause="connection_lost",
                ) from problem
        else:
            return
