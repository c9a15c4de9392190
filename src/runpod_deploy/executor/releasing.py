"""Ends pods: asked until the API says so, never taken for done by its word."""

from __future__ import annotations

from typing import Literal, Protocol

from runpod_deploy.errors import CloudError, RunpodDeployError
from runpod_deploy.executor.ports import AT_REST, Clock, Pod, PodAction

CONFIRM_WITHIN_SEC = 180.0
FIRST_PAUSE_SEC = 0.2
LONGEST_PAUSE_SEC = 10.0

Ending = Literal["delete", "stop"]


class Pods(Protocol):
    """As much of a cloud as it takes to end a pod."""

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod, None when the API says that it is not there."""

    async def act(self, pod_id: str, action: PodAction) -> None:
        """Start, stop or restart a pod."""

    async def delete(self, pod_id: str) -> None:
        """Ask for the pod's end; 404 counts as success."""


async def end_pod(cloud: Pods, clock: Clock, pod_id: str, how: Ending) -> str | None:
    """Delete or stop a pod, asking again until that is confirmed or time is up; never raises.

    Returns:
        None when it is confirmed, else what stood in the way.
    """
    give_up = clock.monotonic() + CONFIRM_WITHIN_SEC
    pause = FIRST_PAUSE_SEC
    attempt = _deleted if how == "delete" else _stopped
    while True:
        problem = "the API still shows the pod"
        try:
            if await attempt(cloud, pod_id):
                return None
        except CloudError as error:
            problem = error.message
        except RunpodDeployError as error:
            # The key was refused: asking again with the same key cannot help.
            return error.message
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read confirms nothing
            problem = repr(error)
        if clock.monotonic() >= give_up:
            return problem
        await clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SEC)


async def _deleted(cloud: Pods, pod_id: str) -> bool:
    await cloud.delete(pod_id)
    pod = await cloud.get(pod_id)
    return pod is None or pod.status == "TERMINATED"


async def _stopped(cloud: Pods, pod_id: str) -> bool:
    pod = await cloud.get(pod_id)
    if pod is None or pod.status in AT_REST:
        return True
    await cloud.act(pod_id, "stop")
    pod = await cloud.get(pod_id)
    return pod is None or pod.status in AT_REST
