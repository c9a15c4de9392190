"""`/v2/pods`: create, read, update, delete, act, and the log stream."""

from collections.abc import AsyncIterator
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runpod_deploy.emulator.api.exchange import (
    answer,
    checked_body,
    choice,
    cloud_of,
    flag,
    json_body,
    no_content,
    whole_number,
)
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.faults import Fault
from runpod_deploy.emulator.fleet import Tenant
from runpod_deploy.emulator.lifecycle import Action
from runpod_deploy.emulator.logs import DEFAULT_TAIL, KEPT_LINES, Cursor, LogLine, parse_cursor
from runpod_deploy.emulator.pod_update import update_pod
from runpod_deploy.emulator.problems import Problem, invalid
from runpod_deploy.emulator.request_schemas import POD_ACTION, UPDATE_POD

KEEP_ALIVE_SECONDS = 15.0
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def list_pods(request: Request) -> Response:
    """GET /v2/pods, newest first."""
    clustered = flag(request, "includeClusterPods")
    fleet = cloud_of(request).fleet
    tenants = [t for t in fleet.tenants.values() if clustered or not t.pod.cluster_id][::-1]
    return answer({"pods": [fleet.document(tenant, polled=True) for tenant in tenants]})


async def create_pod(request: Request) -> Response:
    """POST /v2/pods."""
    fleet = cloud_of(request).fleet
    tenant = await fleet.create(await json_body(request))
    return answer(fleet.document(tenant), 201)


async def get_pod(request: Request) -> Response:
    """GET /v2/pods/{id}."""
    fleet = cloud_of(request).fleet
    return answer(fleet.document(_tenant(request), polled=True))


async def patch_pod(request: Request) -> Response:
    """PATCH /v2/pods/{id}."""
    cloud, tenant = cloud_of(request), _on_its_own(request)
    body = await checked_body(request, UPDATE_POD)
    update_pod(tenant.pod, body, cloud.store.account)
    cloud.fleet.saved(tenant.pod)
    return answer(cloud.fleet.document(tenant))


async def delete_pod(request: Request) -> Response:
    """DELETE /v2/pods/{id}."""
    await cloud_of(request).fleet.delete(_on_its_own(request))
    return no_content()


async def act_on_pod(request: Request) -> Response:
    """POST /v2/pods/{id}/action."""
    fleet, tenant = cloud_of(request).fleet, _on_its_own(request)
    body = await checked_body(request, POD_ACTION)
    action = cast("Action", body["action"])
    await fleet.act(tenant, action)
    return no_content() if action == "terminate" else answer(fleet.document(tenant))


async def stream_logs(request: Request) -> Response:
    """GET /v2/pods/{id}/logs: what was, then what comes, until the pod is gone."""
    cloud, tenant = cloud_of(request), _tenant(request)
    source = choice(request, "source", ("container", "system"))
    tail = whole_number(request, "tail", 0, KEPT_LINES)
    cursor = _cursor(request)
    if cursor is not None:
        backlog = tenant.logs.since(cursor, source)
    else:
        backlog = tenant.logs.last(DEFAULT_TAIL if tail is None else tail, source)
    events = _events(cloud, tenant, source, backlog, tenant.logs.count)
    return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS)


async def _events(
    cloud: EmulatedCloud, tenant: Tenant, source: str | None, backlog: list[LogLine], seen: int
) -> AsyncIterator[str]:
    logs = tenant.logs
    left = _allowed(cloud.board.take("log-drop", name=tenant.pod.name, cloud=tenant.pod.cloud))
    lines = backlog
    # Sent at once, so that the client gets its headers even when no line is there yet.
    yield ": stream\n\n"
    while True:
        for line in lines:
            if left == 0:
                return
            left = None if left is None else left - 1
            yield line.event(suffix=cloud.options.log_suffix)
        if left == 0 or (logs.closed and logs.count == seen):
            return
        if logs.count == seen and not await logs.grown(KEEP_ALIVE_SECONDS):
            yield ": keep-alive\n\n"
        lines, seen = logs.after(seen, source), logs.count


def _allowed(drop: Fault | None) -> int | None:
    return None if drop is None else int(drop.number("events"))


def _cursor(request: Request) -> Cursor | None:
    given: dict[str, Any] = {
        "Last-Event-ID": request.headers.get("last-event-id"),
        "since": request.query_params.get("since"),
    }
    for name, text in given.items():
        if text:
            try:
                return parse_cursor(text.replace(" ", "+"))
            except ValueError as exc:
                raise invalid([f"{name}: '{text}' is not valid date-time"]) from exc
    return None


def _tenant(request: Request) -> Tenant:
    return cloud_of(request).fleet.find(request.path_params["id"])


def _on_its_own(request: Request) -> Tenant:
    """Give a pod that may be changed here: members are their cluster's.

    Raises:
        Problem: 404 or 409.
    """
    tenant = _tenant(request)
    if tenant.pod.cluster_id:
        raise Problem(409, f'Pod "{tenant.pod.id}" belongs to cluster "{tenant.pod.cluster_id}"')
    return tenant
