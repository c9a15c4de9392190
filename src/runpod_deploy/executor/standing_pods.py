"""Pods that belong to no run: made once, reachable or given back, found again by their name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runpod_deploy.errors import (
    CandidateRefused,
    EffectUnknown,
    HostUnusable,
    Leaked,
    RateLimited,
    StockOut,
)
from runpod_deploy.executor.lost_answers import look_for
from runpod_deploy.executor.ports import Clock, Cloud, Pod, PodRequest
from runpod_deploy.executor.readiness import reachable
from runpod_deploy.executor.releasing import end_pod

_RATE_LIMIT_PATIENCE_SEC = 300.0
_PAUSE_SEC = 5.0
_STANDING = frozenset({"PROVISIONING", "STARTING", "RUNNING", "UNKNOWN"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What makes a pod good enough.

    Attributes:
        ceiling: Highest rate of the whole pod, USD per hour; None allows any.
        ready_within_sec: How long it may take until its SSH port is there; None does not wait.
        fits: Whether a pod that an interrupted call left is the one that is wanted now.
    """

    ceiling: float | None = None
    ready_within_sec: float | None = 600.0
    fits: Callable[[Pod], bool] = lambda _pod: True


async def stand_up(
    cloud: Cloud, clock: Clock, name: str, requests: Sequence[PodRequest], wanted: Wanted
) -> Pod:
    """Return the pod of the first request that is granted; exactly one pod of that name is left.

    A pod of that name that runs already was made by a call that was interrupted: it is taken up when
    it fits, else ended.

    Args:
        name: Of all requests, and of nothing else in the account.

    Raises:
        StockOut: Every request was refused; the message lists each refusal.
        Leaked: A pod that will not do could not be confirmed gone.
        CloudError: The API failed. No pod is known to be there.
        AccountError: Key or balance.
    """
    refusals: list[str] = []
    for found in await _left_over(cloud, clock, name, wanted):
        try:
            return await _checked(cloud, clock, found, wanted)
        except HostUnusable as problem:
            refusals.append(f"pod {found.id} of an earlier attempt: {problem.message}")
    for request in requests:
        try:
            pod = await _granted(cloud, clock, request)
            return await _checked(cloud, clock, pod, wanted)
        except (CandidateRefused, HostUnusable) as problem:
            place = f"{request.gpu} · {request.datacenter or 'any datacenter'} · {request.cloud}"
            refusals.append(f"{place}: {problem.message}")
    listed = "\n  ".join(refusals)
    raise StockOut(
        f"No pod could be had for {name}:\n  {listed}",
        help="Allow more GPUs, data centers or clouds, or try again later.",
    )


async def give_back(cloud: Cloud, clock: Clock, pod_id: str) -> None:
    """Delete a pod and ask until the API no longer knows it.

    Raises:
        Leaked: It could not be confirmed gone.
    """
    problem = await end_pod(cloud, clock, pod_id, "delete")
    if problem is not None:
        raise Leaked(
            f"Pod {pod_id} could not be confirmed gone: {problem}",
            help="It may go on costing money: look for it in the RunPod console.",
        )


async def _left_over(cloud: Cloud, clock: Clock, name: str, wanted: Wanted) -> list[Pod]:
    """Return at most one pod of that name that runs and fits; all others of that name are ended."""
    found = await cloud.find(name)
    running = [pod for pod in found if pod.status in _STANDING and wanted.fits(pod)][:1]
    for pod in found:
        if pod not in running and pod.status != "TERMINATED":
            await give_back(cloud, clock, pod.id)
    return running


async def _granted(cloud: Cloud, clock: Clock, request: PodRequest) -> Pod:
    patience = clock.monotonic() + _RATE_LIMIT_PATIENCE_SEC
    while True:
        try:
            return await cloud.create(request)
        except RateLimited as error:
            # The next place would hear the same: the limit is waited out.
            if clock.monotonic() > patience:
                raise
            await clock.sleep(error.retry_after or _PAUSE_SEC)
        except EffectUnknown as error:
            found = await look_for(lambda: cloud.find(request.name), clock)
            if not found:
                raise EffectUnknown(
                    f"{error.message}. Whether a pod called {request.name} exists is not known",
                    help="Run this again: a pod of that name is then found and taken up.",
                ) from error
            for extra in found[1:]:
                await give_back(cloud, clock, extra.id)
            return found[0]


async def _checked(cloud: Cloud, clock: Clock, pod: Pod, wanted: Wanted) -> Pod:
    """Return the pod once it is ready; one that will not do is given back.

    Raises:
        HostUnusable: It is too dear, or never got ready; it is gone.
    """
    try:
        if wanted.ceiling is not None and (pod.cost is None or pod.cost > wanted.ceiling + 1e-9):
            rate = "has no known price" if pod.cost is None else f"costs ${pod.cost:.4g}/h"
            raise HostUnusable(
                f"pod {pod.id} {rate}, and ${wanted.ceiling:g}/h is the most allowed",
                cause="drift",
            )
        if wanted.ready_within_sec is None:
            return pod
        return await reachable(cloud, clock, pod, wanted.ready_within_sec)
    except HostUnusable:
        await give_back(cloud, clock, pod.id)
        raise
