"""All of an account's pods, its clusters among them: for whoever has an id and not the run that it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runpod_deploy.errors import AccountError, NotFound
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.executor.runpod.clusters import ClusterCloud

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runpod_deploy.executor.ports import Bill, LogLine, Pod, PodAction


class WholeAccount(RunPodCloud):
    """Pods and clusters alike, each by its id.

    A key may be let see pods alone. It then lists those, and `unseen` says so; of an id that is no
    pod's, nothing is concluded: it may be a cluster's, and that bills. What is known to be no cluster
    needs no right to see one: what was seen as a pod, and what `standing_alone` was told of.

    Attributes:
        unseen: Why clusters were left out of a list; None where none was.
    """

    def _begin(self) -> None:
        self._clusters = ClusterCloud(self)
        self._known: set[str] = set()
        self._alone: set[str] = set()
        self.unseen: str | None = None

    @classmethod
    def over(cls, pods: RunPodCloud) -> WholeAccount:
        """Return the whole account over the connections of `pods`."""
        whole = cls.__new__(cls)
        whole.share(pods)
        return whole

    def standing_alone(self, *pods: str) -> None:
        """Take these ids and names for those of pods that are no cluster, whether they are there or not."""
        self._alone.update(pods)

    async def pods(self) -> list[Pod]:
        """Return every pod of the account that stands alone, and every cluster in a pod's place."""
        alone = await super().pods()
        self._alone.update(one.id for one in alone)
        clusters: list[Pod] = []
        try:
            clusters = await self._clusters.pods()
        except AccountError as error:
            self.unseen = error.message
        except NotFound:
            pass  # an API that knows no clusters has none
        self._known.update(one.id for one in clusters)
        return [*alone, *clusters]

    async def find(self, name: str) -> list[Pod]:
        """Return every pod and every cluster called exactly `name`.

        Raises:
            AccountError: There is no such pod, and clusters cannot be seen.
        """
        if name in self._alone:
            return [pod for pod in await super().pods() if pod.name == name]
        found = [pod for pod in await self.pods() if pod.name == name]
        if not found and self.unseen is not None:
            raise AccountError(self.unseen)
        return found

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod or the cluster, None when the API says that there is neither.

        Raises:
            AccountError: There is no such pod, and clusters cannot be seen.
        """
        if pod_id not in self._known:
            if (pod := await super().get(pod_id)) is not None:
                self._alone.add(pod_id)
                return pod
            if pod_id in self._alone:
                return None
        return await self._clusters.get(pod_id)

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
        try:
            return [*alone, *await self._clusters.billed(since, pod_id)]
        except AccountError as error:
            self.unseen = error.message
        except NotFound:
            pass
        return alone

    async def _is_cluster(self, pod_id: str) -> bool:
        if pod_id in self._known or pod_id in self._alone:
            return pod_id in self._known
        if await self.get(pod_id) is not None and pod_id not in self._alone:
            self._known.add(pod_id)
        return pod_id in self._known
