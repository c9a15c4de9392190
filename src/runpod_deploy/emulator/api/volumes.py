"""`/v2/network-volumes`."""

from starlette.requests import Request
from starlette.responses import Response

from runpod_deploy.emulator.api.exchange import answer, checked_body, cloud_of, no_content
from runpod_deploy.emulator.billing import volume_rate
from runpod_deploy.emulator.cloud import EmulatedCloud
from runpod_deploy.emulator.identifiers import new_id
from runpod_deploy.emulator.problems import Problem, bad_request, not_found
from runpod_deploy.emulator.records import Volume
from runpod_deploy.emulator.request_schemas import CREATE_VOLUME, UPDATE_VOLUME


async def list_volumes(request: Request) -> Response:
    """GET /v2/network-volumes."""
    volumes = cloud_of(request).store.account.volumes.values()
    return answer({"networkVolumes": [_document(v) for v in volumes if not v.deleted]})


async def create_volume(request: Request) -> Response:
    """POST /v2/network-volumes."""
    cloud = cloud_of(request)
    body = await checked_body(request, CREATE_VOLUME)
    types = _volume_types(cloud, body["dataCenter"])
    kind = body.get("type", types[0])
    if kind not in types:
        raise bad_request(
            f'Data center "{body["dataCenter"]}" does not support {kind} network volumes'
        )
    volume = Volume(
        id=new_id(),
        name=body["name"],
        size=int(body["size"]),
        datacenter=body["dataCenter"],
        type=kind,
    )
    volume.meter.switch(cloud.clock.now(), volume_rate(volume.size))
    cloud.store.account.volumes[volume.id] = volume
    cloud.store.save_account()
    return answer(_document(volume), 201)


async def get_volume(request: Request) -> Response:
    """GET /v2/network-volumes/{id}."""
    return answer(_document(_volume(request)))


async def patch_volume(request: Request) -> Response:
    """PATCH /v2/network-volumes/{id}: rename, or grow."""
    cloud, volume = cloud_of(request), _volume(request)
    body = await checked_body(request, UPDATE_VOLUME)
    size = int(body.get("size", volume.size))
    if size < volume.size:
        raise bad_request("Network volume size can only be increased")
    volume.name = body.get("name", volume.name)
    if size > volume.size:
        volume.size = size
        volume.meter.switch(cloud.clock.now(), volume_rate(size))
    cloud.store.save_account()
    return answer(_document(volume))


async def delete_volume(request: Request) -> Response:
    """DELETE /v2/network-volumes/{id}; not while a pod has it."""
    cloud, volume = cloud_of(request), _volume(request)
    for tenant in cloud.fleet.tenants.values():
        if tenant.pod.volume_id == volume.id:
            raise Problem(409, f'Network volume is attached to pod "{tenant.pod.id}"')
    volume.deleted = True
    volume.meter.close(cloud.clock.now())
    cloud.store.save_account()
    cloud.store.remove_volume_folder(volume.id)
    return no_content()


def _volume_types(cloud: EmulatedCloud, name: str) -> tuple[str, ...]:
    centers = cloud.catalog.data_centers
    if name not in centers or not centers[name].volume_types:
        able = ", ".join(center.id for center in centers.values() if center.volume_types)
        raise bad_request(
            f'Data center "{name}" not found or does not support network volumes. '
            f"Supported data centers: {able}"
        )
    return centers[name].volume_types


def _volume(request: Request) -> Volume:
    volume = cloud_of(request).store.account.volumes.get(request.path_params["id"])
    if volume is None or volume.deleted:
        raise not_found("network volume not found")
    return volume


def _document(volume: Volume) -> dict[str, object]:
    return {
        "id": volume.id,
        "name": volume.name,
        "size": volume.size,
        "dataCenter": volume.datacenter,
        "type": volume.type,
    }
