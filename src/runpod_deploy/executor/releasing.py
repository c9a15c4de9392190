"""Ends pods outside of a run: asked until the API says so, never taken for done by its word."""

from __future__ import annotations

from typing import Literal

from runpod_deploy.errors import CloudError, RunpodDeployError
from runpod_deploy.executor.ports import Account, Clock

CONFIRM_WITHIN_SEC = 120.0
FIRST_PAUSE_SEC = 0.2
LONGEST_PAUSE_SEC = 10.0

Ending = Literal["delete", "stop"]


async def end_pod(account: Account, clock: Clock, pod_id: str, how: Ending) -> str | None:
    """Delete or stop a pod and wait until that is confirmed.

    Returns:
        None when it is confirmed, else what stood in the way.
    """
    give_up = clock.monotonic() + CONFIRM_WITHIN_SEC
    pause = FIRST_PAUSE_SEC
    while True:
        problem = "the API still shows the pod"
        try:
            if await _asked(account, pod_id, how):
                return None
        except CloudError as error:
            problem = error.message
        except RunpodDeployError as error:
            return error.message  # the key was refused: asking again cannot help
        if clock.monotonic() >= give_up:
            return problem
        await clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SEC)


async def _asked(account: Account, pod_id: str, how: Ending) -> bool:
    at_rest = {"TERMINATED"} if how == "delete" else {"TERMINATED", "EXITED"}
    if how == "delete":
        await account.delete(pod_id)
    else:
        pod = await account.get(pod_id)
        if pod is None or pod.status in at_rest:
            return True
        await account.act(pod_id, "stop")
    pod = await account.get(pod_id)
    return pod is None or pod.status in at_rest
