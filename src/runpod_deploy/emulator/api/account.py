"""`/v2/account/ssh-keys`, `/v2/registries` and `/v2/templates`."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runpod_deploy.emulator.api.exchange import answer, checked_body, cloud_of, no_content
from runpod_deploy.emulator.identifiers import new_id
from runpod_deploy.emulator.pod_request import DEFAULT_DISK_GB, check_image
from runpod_deploy.emulator.problems import bad_request, not_found
from runpod_deploy.emulator.records import Account, Registry
from runpod_deploy.emulator.request_schemas import (
    CREATE_REGISTRY,
    CREATE_TEMPLATE,
    UPDATE_SSH_KEYS,
    UPDATE_TEMPLATE,
)

_TEMPLATE_DEFAULTS: dict[str, Any] = {
    "args": "",
    "disk": DEFAULT_DISK_GB,
    "ports": [],
    "env": {},
    "registry": None,
    "mounts": {},
    "serverless": False,
    "public": False,
    "category": "NVIDIA",
    "startSsh": True,
    "startJupyter": True,
    "allowedCudaVersions": [],
}


async def get_ssh_keys(request: Request) -> Response:
    """GET /v2/account/ssh-keys."""
    return answer({"keys": _account(request).ssh_keys})


async def put_ssh_keys(request: Request) -> Response:
    """PUT /v2/account/ssh-keys: replaces all."""
    body = await checked_body(request, UPDATE_SSH_KEYS)
    _account(request).ssh_keys = body["keys"]
    cloud_of(request).store.save_account()
    return answer({"keys": body["keys"]})


async def list_registries(request: Request) -> Response:
    """GET /v2/registries."""
    registries = _account(request).registries.values()
    return answer({"registries": [{"id": r.id, "name": r.name} for r in registries]})


async def create_registry(request: Request) -> Response:
    """POST /v2/registries."""
    body = await checked_body(request, CREATE_REGISTRY)
    registry = Registry(id=new_id(), name=body["name"])
    _account(request).registries[registry.id] = registry
    cloud_of(request).store.save_account()
    return answer({"id": registry.id, "name": registry.name}, 201)


async def get_registry(request: Request) -> Response:
    """GET /v2/registries/{id}."""
    registry = _registry(request)
    return answer({"id": registry.id, "name": registry.name})


async def delete_registry(request: Request) -> Response:
    """DELETE /v2/registries/{id}; not while a pod or template uses it."""
    cloud, registry = cloud_of(request), _registry(request)
    pods = [tenant.pod.registry for tenant in cloud.fleet.tenants.values()]
    templates = [template["registry"] for template in cloud.store.account.templates.values()]
    if registry.id in {*pods, *templates}:
        raise bad_request(f'Registry "{registry.id}" is in use')
    del cloud.store.account.registries[registry.id]
    cloud.store.save_account()
    return no_content()


async def list_templates(request: Request) -> Response:
    """GET /v2/templates."""
    return answer({"templates": list(_account(request).templates.values())})


async def create_template(request: Request) -> Response:
    """POST /v2/templates."""
    body = await checked_body(request, CREATE_TEMPLATE)
    check_image(body["image"])
    template = {"id": new_id(), **_TEMPLATE_DEFAULTS, **body}
    _account(request).templates[str(template["id"])] = template
    cloud_of(request).store.save_account()
    return answer(template, 201)


async def get_template(request: Request) -> Response:
    """GET /v2/templates/{id}."""
    return answer(_template(request))


async def patch_template(request: Request) -> Response:
    """PATCH /v2/templates/{id}."""
    template = _template(request)
    body = await checked_body(request, UPDATE_TEMPLATE)
    if "image" in body:
        check_image(body["image"])
    template.update(body)
    cloud_of(request).store.save_account()
    return answer(template)


async def delete_template(request: Request) -> Response:
    """DELETE /v2/templates/{id}; pods keep no link to it, so it is never in use."""
    template = _template(request)
    del _account(request).templates[template["id"]]
    cloud_of(request).store.save_account()
    return no_content()


def _account(request: Request) -> Account:
    return cloud_of(request).store.account


def _registry(request: Request) -> Registry:
    registry = _account(request).registries.get(request.path_params["id"])
    if registry is None:
        raise not_found("registry not found")
    return registry


def _template(request: Request) -> dict[str, Any]:
    template = _account(request).templates.get(request.path_params["id"])
    if template is None:
        raise not_found("template not found")
    return template
