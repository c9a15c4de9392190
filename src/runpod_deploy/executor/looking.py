"""Asks the cloud how the pods of a run are, and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from runpod_deploy.errors import Unavailable
from runpod_deploy.executor.ports import Pod
from runpod_deploy.record.records import PodRecord

ANSWER_WITHIN_SEC = 20.0


class Seen(Protocol):
    """As much of a cloud as it takes to look."""

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod, None when the API says that it is not there."""

    async def find(self, name: str) -> list[Pod]:
        """Return every pod called exactly `name`."""


async def look_for(cloud: Seen, pods: Iterable[PodRecord]) -> dict[str, Pod | None]:
    """Return the name of each pod with what the cloud says of it; None for one that is not there.

    Raises:
        CloudError: The API failed, or did not answer in time.
        AccountError: It refused the key.
    """
    wanted = list(pods)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SEC):
            found = await asyncio.gather(*(_look(cloud, pod) for pod in wanted))
    except TimeoutError as error:
        raise Unavailable(f"the API did not answer within {ANSWER_WITHIN_SEC:g} s") from error
    return {pod.name: seen for pod, seen in zip(wanted, found, strict=True)}


async def _look(cloud: Seen, pod: PodRecord) -> Pod | None:
    if pod.pod_id is not None:
        return await cloud.get(pod.pod_id)
    # A create call whose answer was lost: the name is all there is.
    return next(iter(await cloud.find(pod.name)), None)
