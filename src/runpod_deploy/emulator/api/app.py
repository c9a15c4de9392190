"""The application: which handler answers which path, and what answers the rest."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpod_deploy.emulator.api import account, admin, billing, catalog, clusters, pods, volumes
from runpod_deploy.emulator.api.gate import Gate
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.problems import MEDIA_TYPE, TRANSIENT, Problem

Handler = Callable[[Request], Awaitable[Response]]

TABLE: dict[str, dict[str, Handler]] = {
    "/v2/pods": {"GET": pods.list_pods, "POST": pods.create_pod},
    "/v2/pods/{id}": {
        "GET": pods.get_pod,
        "PATCH": pods.patch_pod,
        "DELETE": pods.delete_pod,
    },
    "/v2/pods/{id}/action": {"POST": pods.act_on_pod},
    "/v2/pods/{id}/logs": {"GET": pods.stream_logs},
    "/v2/clusters": {"GET": clusters.list_clusters, "POST": clusters.create_cluster},
    "/v2/clusters/{id}": {
        "GET": clusters.get_cluster,
        "PATCH": clusters.patch_cluster,
        "DELETE": clusters.delete_cluster,
    },
    "/v2/clusters/{id}/pods": {"GET": clusters.list_cluster_pods},
    "/v2/network-volumes": {"GET": volumes.list_volumes, "POST": volumes.create_volume},
    "/v2/network-volumes/{id}": {
        "GET": volumes.get_volume,
        "PATCH": volumes.patch_volume,
        "DELETE": volumes.delete_volume,
    },
    "/v2/catalog/gpus": {"GET": catalog.list_gpus},
    "/v2/catalog/gpus/{id}": {"GET": catalog.get_gpu},
    "/v2/catalog/cpus": {"GET": catalog.list_cpus},
    "/v2/catalog/cpus/{id}": {"GET": catalog.get_cpu},
    "/v2/catalog/datacenters": {"GET": catalog.list_datacenters},
    "/v2/catalog/datacenters/{id}": {"GET": catalog.get_datacenter},
    "/v2/account/ssh-keys": {"GET": account.get_ssh_keys, "PUT": account.put_ssh_keys},
    "/v2/registries": {"GET": account.list_registries, "POST": account.create_registry},
    "/v2/registries/{id}": {"GET": account.get_registry, "DELETE": account.delete_registry},
    "/v2/templates": {"GET": account.list_templates, "POST": account.create_template},
    "/v2/templates/{id}": {
        "GET": account.get_template,
        "PATCH": account.patch_template,
        "DELETE": account.delete_template,
    },
    "/v2/billing": {"GET": billing.total_billing},
    "/v2/billing/pods": {"GET": billing.pod_billing},
    "/v2/billing/clusters": {"GET": billing.cluster_billing},
    "/_emulator/status": {"GET": admin.get_status},
    "/_emulator/pods": {"GET": admin.list_pods},
    "/_emulator/pods/{id}/kill": {"POST": admin.kill_pod},
    "/_emulator/pods/{id}/drop-ssh": {"POST": admin.drop_ssh},
    "/_emulator/faults": {"POST": admin.post_faults, "DELETE": admin.delete_faults},
    "/_emulator/requests": {"GET": admin.list_requests},
    "/_emulator/history": {"GET": admin.get_history},
    "/_emulator/shutdown": {"POST": admin.shut_down},
}


def build_app(cloud: EmulatedCloud, shut_down: Callable[[], None]) -> Starlette:
    """Put the HTTP side together.

    Args:
        cloud: What it answers for.
        shut_down: Called when a client asks for the end.
    """
    app = Starlette(
        routes=[_route(path, handlers) for path, handlers in TABLE.items()],
        middleware=[Middleware(Gate, cloud=cloud)],
        exception_handlers={
            Problem: _answer_problem,
            HTTPException: _answer_http,
            Exception: _answer_bug,
        },
    )
    app.state.cloud = cloud
    app.state.shut_down = shut_down
    return app


def _route(path: str, handlers: dict[str, Handler]) -> Route:
    async def endpoint(request: Request) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            raise Problem(
                405,
                "The requested method is not allowed for this path.",
                headers={"Allow": ", ".join(sorted(handlers))},
            )
        return await handler(request)

    # All methods come here, so that HEAD and OPTIONS are refused like any other.
    return Route(path, endpoint, methods=_EVERY_METHOD)


_EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def _answer_problem(_request: Request, exc: Exception) -> Response:
    problem = exc if isinstance(exc, Problem) else Problem(500, TRANSIENT)
    return Response(
        problem.encode(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def _answer_http(request: Request, exc: Exception) -> Response:
    path = request.url.path
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    if status == 404 and path.startswith("/v2/"):
        return _answer_problem(request, Problem(501, f"{path} is not emulated"))
    return _answer_problem(request, Problem(status, "resource not found"))


def _answer_bug(request: Request, exc: Exception) -> Response:
    detail = f"the emulator failed: {type(exc).__name__}: {exc}"
    return _answer_problem(request, Problem(500, detail))
