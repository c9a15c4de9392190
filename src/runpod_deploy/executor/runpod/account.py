"""All of an account's pods, its clusters among them: for whoever has an id and not the run that it is of."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from runpod_deploy.errors import AccountError, NotFound
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.clusters import ClusterCloud

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runpod_deploy.executor.ports import Bill, LogLine, Pod, PodAction


class WholeAccount(RunPodCloud):
    """Pods and clusters alike, each by its id; a key that may not see clusters sees none."""

    def _begin(self) -> None:
        self._clusters = ClusterCloud(self)
        self._known: set[str] = set()

    @classmethod
    def over(cls, pods: RunPodCloud) -> WholeAccount:
        """Return the whole account over the connections of `pods`."""
        whole = cls.__new__(cls)
        whole.share(pods)
        return whole

    async def pods(self) -> list[Pod]:
        """Return every pod of the account that stands alone, and every cluster in a pod's place."""
        alone = await super().pods()
        clusters: list[Pod] = []
        with contextlib.suppress(AccountError, NotFound):
            clusters = await self._clusters.pods()
        self._known.update(one.id for one in clusters)
        return [*alone, *clusters]

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod or the cluster, None when the API says that there is neither."""
        if pod_id not in self._known and (pod := await super().get(pod_id)) is not None:
            return pod
        with contextlib.suppress(AccountError):
            return await self._clusters.get(pod_id)
        return None

    async def act(self, pod_id: str, action: PodAction) -> None:
        """Start, stop or restart a pod; a cluster knows none of that.

        Raises:
            Conflict: Not possible in the pod's present state.
            RunpodDeployError: Not possible with a cluster.
            NotFound: There is no such pod.
        """
        if await self._is_cluster(pod_id):
            await self._clusters.act(pod_id, action)
        await super().act(pod_id, action)

    async def delete(self, pod_id: str) -> None:
        """Ask for the end of a pod or a cluster; 404 counts as success."""
        if await self._is_cluster(pod_id):
            await self._clusters.delete(pod_id)
        else:
            await super().delete(pod_id)

    def logs(self, pod_id: str, *, tail: int) -> AsyncGenerator[LogLine, None]:
        """Yield the last lines of a pod's log and then what comes; of a cluster, its first node's."""
        if pod_id in self._known:
            return self._clusters.logs(pod_id, tail=tail)
        return super().logs(pod_id, tail=tail)

    async def billed(self, since: str, pod_id: str | None = None) -> list[Bill]:
        """Return what RunPod billed for pods and clusters, one row for each and day."""
        alone = await super().billed(since, pod_id)
        with contextlib.suppress(AccountError, NotFound):
            return [*alone, *await self._clusters.billed(since, pod_id)]
        return alone

    async def _is_cluster(self, pod_id: str) -> bool:
        if pod_id not in self._known and await super().get(pod_id) is None:
            with contextlib.suppress(AccountError):
                if await self._clusters.get(pod_id) is not None:
                    self._known.add(pod_id)
        return pod_id in self._known
