"""`/_emulator/`: what RunPod does not have. The switches and windows of the emulator itself."""

import os
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runpod_deploy.emulator.api.exchange import answer, cloud_of, json_body, no_content
from runpod_deploy.emulator.clock import rfc3339
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.faults import FaultSyntaxError, fault_from, parse_fault
from runpod_deploy.emulator.problems import bad_request
from runpod_deploy.emulator.records import Pod
from runpod_deploy.emulator.request_log import redacted
from runpod_deploy.emulator.version import emulator_version

BANNER = "This is the runpod-deploy emulator. Nothing here is RunPod, nothing here costs money."


async def get_status(request: Request) -> Response:
    """GET /_emulator/status."""
    return answer(status_document(cloud_of(request)))


def status_document(cloud: EmulatedCloud) -> dict[str, Any]:
    """Say what this emulator is and how it is set."""
    return {
        "banner": BANNER,
        "pid": os.getpid(),
        "version": emulator_version(),
        "started_at": rfc3339(cloud.started_at),
        "uptime": round(time.time() - cloud.started_at, 3),
        "state_dir": str(cloud.state_dir),
        "pods": len(cloud.fleet.tenants),
        "pod_host": cloud.host.kind,
        "profile": cloud.options.profile,
        "billing_speed": cloud.clock.speed,
        "idle_seconds": cloud.options.idle_seconds,
        "faults": cloud.board.documents(),
    }


async def list_pods(request: Request) -> Response:
    """GET /_emulator/pods: the API's pods, values of `env` hidden, without counting as a poll."""
    fleet = cloud_of(request).fleet
    pods = [fleet.document(tenant) for tenant in fleet.tenants.values()]
    return answer({"pods": redacted(pods)})


async def post_faults(request: Request) -> Response:
    """POST /_emulator/faults: one fault or `{"faults": […]}`, as objects or as text."""
    body = await json_body(request)
    entries = body["faults"] if isinstance(body, dict) and "faults" in body else [body]
    try:
        faults = [_fault(entry) for entry in entries]
    except FaultSyntaxError as exc:
        raise bad_request(str(exc)) from exc
    board = cloud_of(request).board
    for fault in faults:
        board.add(fault)
    return answer({"faults": board.documents()}, 201)


async def delete_faults(request: Request) -> Response:
    """DELETE /_emulator/faults[?kind=…]."""
    board = cloud_of(request).board
    board.clear(request.query_params.get("kind"))
    return answer({"faults": board.documents()})


async def list_requests(request: Request) -> Response:
    """GET /_emulator/requests: the last 1,000, oldest first, this one not among them."""
    return answer({"requests": cloud_of(request).requests.documents()})


async def get_history(request: Request) -> Response:
    """GET /_emulator/history: every pod there ever was, and how many there were at most."""
    cloud = cloud_of(request)
    return answer(
        {
            "pods": [_past(cloud, pod) for pod in cloud.fleet.history.values()],
            "max_simultaneous": cloud.fleet.max_simultaneous,
        }
    )


async def kill_pod(request: Request) -> Response:
    """POST /_emulator/pods/{id}/kill[?then=exited|error|gone]."""
    fleet = cloud_of(request).fleet
    how = request.query_params.get("then", "exited")
    if how not in {"exited", "error", "gone"}:
        raise bad_request("then must be exited, error or gone")
    await fleet.end(fleet.find(request.path_params["id"]), how)
    return no_content()


async def drop_ssh(request: Request) -> Response:
    """POST /_emulator/pods/{id}/drop-ssh."""
    tenant = cloud_of(request).fleet.find(request.path_params["id"])
    if tenant.container is not None and tenant.container.process is not None:
        await tenant.container.process.drop_connections()
    return no_content()


async def shut_down(request: Request) -> Response:
    """POST /_emulator/shutdown: ends as on SIGTERM, after this answer."""
    request.app.state.shut_down()
    return answer({"pid": os.getpid()}, 202)


def _fault(entry: Any) -> Any:
    if isinstance(entry, str):
        return parse_fault(entry)
    if not isinstance(entry, dict):
        raise FaultSyntaxError(f"a fault is an object or a text, not {entry!r}")
    return fault_from(entry)


def _past(cloud: EmulatedCloud, pod: Pod) -> dict[str, Any]:
    spent = pod.meter.between(0, float("inf"), cloud.clock.now())
    return {
        "id": pod.id,
        "name": pod.name,
        "gpu": pod.gpu_id,
        "gpu_count": pod.gpu_count,
        "datacenter": pod.datacenter,
        "cloud": pod.cloud,
        "created_at": rfc3339(pod.created_at, micros=True),
        "ended_at": None if pod.ended_at is None else rfc3339(pod.ended_at, micros=True),
        "ended_by": pod.ended_by or None,
        "spent_usd": spent.gpu + spent.cpu + spent.disk,
    }
