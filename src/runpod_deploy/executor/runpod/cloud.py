"""RunPod as the executor sees it: the port `Cloud` over REST v2."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from urllib.parse import quote

import httpx

from runpod_deploy.errors import CloudError, EffectUnknown, NotFound
from runpod_deploy.executor.clock import SystemClock
from runpod_deploy.executor.ports import (
    Bill,
    Clock,
    GpuOffer,
    LogLine,
    Pod,
    PodAction,
    PodRequest,
    StockQuery,
    Volume,
)
from runpod_deploy.executor.runpod.answers import (
    bill_from,
    flavor_from,
    merged_offers,
    offer_from,
    pod_from,
    volume_from,
)
from runpod_deploy.executor.runpod.api import Api
from runpod_deploy.executor.runpod.backoff import Backoff
from runpod_deploy.executor.runpod.body import create_body
from runpod_deploy.executor.runpod.calls import Calls
from runpod_deploy.executor.runpod.log_stream import log_lines
from runpod_deploy.executor.runpod.problems import PODS
from runpod_deploy.executor.runpod.resources import VOLUMES, Resources

_SHORTEST_SECRET = 6


class RunPodCloud:
    """RunPod's REST v2, or an emulator that speaks it.

    Args:
        base_url: `https://api.runpod.io`; plain http only for this machine.
        api_key: Goes into one header and nowhere else.
        label: `runpod` or `emulator`, for the manifest.
        transport: Carries the HTTP; None opens connections.
        clock: Waits between repeated calls.
        jitter: Numbers from 0 to 1 that spread the waits.
        backoff: How long reads and deletes are repeated.

    Raises:
        InvalidInput: The base URL is not one a key may be sent to.
        AccountError: There is no key, or it cannot be one.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        label: str = "runpod",
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        backoff: Backoff | None = None,
    ) -> None:
        self._api = Api(base_url, api_key, transport=transport)
        self._label = label
        self._clock = clock or SystemClock()
        self._calls = Calls(
            self._api, clock=self._clock, jitter=jitter, backoff=backoff or Backoff()
        )
        self._begin()

    def _begin(self) -> None:
        """Make ready what is kept beside the connections."""

    def share(self, other: RunPodCloud) -> None:
        """Use the connections of `other`, which goes on owning them."""
        self._api, self._label = other._api, other._label
        self._clock, self._calls = other._clock, other._calls
        self._begin()

    def __repr__(self) -> str:
        return f"RunPodCloud({self._api.base_url!r}, label={self._label!r})"

    @property
    def label(self) -> str:
        """`runpod` or `emulator`, as it is written into the manifest."""
        return self._label

    @property
    def calls(self) -> Calls:
        """The calls beneath, for what else is asked over the same connections."""
        return self._calls

    async def create(self, request: PodRequest) -> Pod:
        """Create a pod; sent exactly once, whatever happens.

        Raises:
            CandidateRefused: No capacity, or a rule against this candidate.
            RequestInvalid: The body or the template is wrong.
            RateLimited: Nothing was created; wait.
            Unavailable: Nothing was sent.
            EffectUnknown: A pod may exist; ask `find`.
            AccountError: Key or balance.
        """
        answer = await self._api.send(
            "POST", PODS, json=create_body(request), secrets=secrets_among(request.env)
        )
        try:
            pod = pod_from(answer)
        except CloudError as exc:
            raise EffectUnknown(exc.message) from exc
        if pod is None:
            msg = f"POST {PODS} succeeded without describing the pod"
            raise EffectUnknown(msg)
        return pod

    async def get(self, pod_id: str) -> Pod | None:
        """Return the pod, None when the API says that it is not there."""
        try:
            answer = await self._calls.again("GET", _pod(pod_id))
        except NotFound:
            return None
        pod = pod_from(answer)
        if pod is None:
            msg = f"GET {_pod(pod_id)} succeeded without describing the pod"
            raise CloudError(msg)
        return pod

    async def find(self, name: str) -> list[Pod]:
        """Return every pod called exactly `name`; the API cannot filter, so all are read."""
        return [pod for pod in await self.pods() if pod.name == name]

    async def pods(self) -> list[Pod]:
        """Return every pod of the account."""
        return await self._calls.rows(PODS, "pods", pod_from)

    async def nodes(self) -> list[Pod]:
        """Return every node of every cluster of the account."""
        asked = {"includeClusterPods": "true"}
        rows = await self._calls.rows(PODS, "pods", pod_from, asked)
        return [pod for pod in rows if pod.cluster_id is not None]

    async def nodes_at(self, path: str) -> list[Pod]:
        """Return the pods that the API lists at a path.

        Raises:
            NotFound: There is nothing at it.
        """
        return await self._calls.rows(path, "pods", pod_from)

    async def billed(self, since: str, pod_id: str | None = None) -> list[Bill]:
        """Return what RunPod billed for pods, one row for each pod and day.

        Args:
            since: RFC 3339; days count whole, from the one it falls into.
            pod_id: Only this pod.
        """
        asked = {"startTime": since, "bucketSize": "day"}
        if pod_id is not None:
            asked["podId"] = pod_id
        return await self._calls.rows("/v2/billing/pods", "records", bill_from, asked)

    async def act(self, pod_id: str, action: PodAction) -> None:
        """Start, stop or restart a pod; sent once.

        Raises:
            Conflict: Not possible in the pod's present state.
            NotFound: There is no such pod.
        """
        await self._api.send("POST", f"{_pod(pod_id)}/action", json={"action": action})

    async def set_env(self, pod_id: str, env: Mapping[str, str]) -> Pod:
        """Replace the environment that the pod's next start has, and return the pod.

        Raises:
            NotFound: There is no such pod.
            RequestInvalid: The API does not take it.
        """
        answer = await self._calls.again(
            "PATCH", _pod(pod_id), json={"env": dict(env)}, secrets=secrets_among(env)
        )
        pod = pod_from(answer)
        if pod is None:
            msg = f"PATCH {_pod(pod_id)} succeeded without describing the pod"
            raise CloudError(msg)
        return pod

    async def delete(self, pod_id: str) -> None:
        """Ask for the pod's end; 404 counts as success. Proof is only `get` returning None."""
        try:
            await self._calls.again("DELETE", _pod(pod_id))
        except NotFound:
            return

    def logs(self, pod_id: str, *, tail: int) -> AsyncGenerator[LogLine, None]:
        """Yield the last `tail` lines of the pod's log and then what comes, until the pod is gone."""
        return log_lines(self._api, f"{_pod(pod_id)}/logs", self._clock, tail)

    async def volumes(self) -> list[Volume]:
        """Return the account's network volumes."""
        return await self._calls.rows("/v2/network-volumes", "networkVolumes", volume_from)

    async def create_volume(
        self, name: str, size_gb: int, datacenter: str, kind: str | None = None
    ) -> Volume:
        """Make a network volume, exactly one; `kind` as of `Volume.type`."""
        body: dict[str, object] = {"name": name, "size": size_gb, "dataCenter": datacenter}
        return await self.resources.create(VOLUMES, body | ({"type": kind} if kind else {}))

    async def catalog(self, query: StockQuery) -> list[GpuOffer]:
        """Return every GPU of the catalog with its prices and the stock that was asked for.

        With `vcpus` every processor that can be had with so many.
        """
        if query.vcpus is not None:
            return await self._calls.rows(
                "/v2/catalog/cpus",
                "cpus",
                partial(flavor_from, query.vcpus),
                {"include": "AVAILABILITY", "product": "POD", "vcpuCount": str(query.vcpus)},
            )
        asked = {
            "include": "AVAILABILITY",
            "product": query.product,
            "count": str(query.gpu_count),
        }
        if query.min_cuda is not None:
            asked["minCudaVersion"] = query.min_cuda
        # The API tells the stock of one cloud at a time.
        answers = [
            await self._calls.rows(
                "/v2/catalog/gpus", "gpus", partial(offer_from, cloud), {**asked, "cloud": cloud}
            )
            for cloud in query.clouds
        ]
        return merged_offers(answers)

    @property
    def resources(self) -> Resources:
        """What else the account can own, over the same connections."""
        return Resources(self._calls)

    async def close(self) -> None:
        """Close connections; idempotent."""
        await self._api.close()


def _pod(pod_id: str) -> str:
    return f"{PODS}/{quote(pod_id, safe='')}"


def secrets_among(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of an environment that no message may show."""
    return tuple(value for value in env.values() if len(value) >= _SHORTEST_SECRET)
