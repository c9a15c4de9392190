"""A pod as the API answers it."""

from typing import Any

from runpod_deploy.emulator.catalog import Catalog
from runpod_deploy.emulator.clock import rfc3339
from runpod_deploy.emulator.container import SSH_PORT, Container
from runpod_deploy.emulator.lifecycle import (
    ACTIONS,
    Boot,
    Observation,
    Readiness,
    observe,
)
from runpod_deploy.emulator.options import EmulatorOptions
from runpod_deploy.emulator.pod_env import host_name
from runpod_deploy.emulator.records import Pod

PROXY_HOST = "ssh.runpod.invalid"
"""RunPod's proxy has a public name; this one can never lead a client out of this machine."""


def observed(pod: Pod, container: Container | None, options: EmulatorOptions) -> Observation:
    """Say which status a pod has now, and whether it can be reached."""
    boot = container.boot() if container else Boot()
    readiness = Readiness(polls=options.ready_polls, seconds=options.ready_seconds)
    return observe(options.profile, pod.power, boot, readiness)


def pod_document(
    pod: Pod, container: Container | None, options: EmulatorOptions, catalog: Catalog
) -> dict[str, Any]:
    """Give the complete Pod object."""
    now = observed(pod, container, options)
    port = container.shown_port(options.ready_polls) if container and now.ready else None
    free = options.profile == "spec" and pod.power == "off"
    document: dict[str, Any] = {
        "id": pod.id,
        "name": pod.name,
        "status": now.status,
        "actions": list(ACTIONS[now.status]),
        "image": pod.image,
        "args": pod.args,
        "disk": pod.disk,
        "ports": list(pod.ports),
        "env": dict(pod.env),
        "registry": pod.registry,
        "mounts": pod.mounts,
        "cloud": pod.cloud,
        "dataCenterId": pod.datacenter,
        "cudaVersion": pod.cuda,
        "ssh": {"proxy": _proxy(pod), "direct": _direct(port)},
        "template": None,
        "cost": 0.0 if free else round(pod.price, 6),
        "locked": pod.locked,
        "globalNetworking": _global_networking(pod),
        "runtime": _runtime(pod, container, port) if container and now.ready else None,
        "createdAt": rfc3339(pod.created_at),
        "startedAt": None if pod.started_at is None else rfc3339(pod.started_at),
    }
    if pod.cluster_id:
        document["cluster"] = _membership(pod)
    if pod.gpu_id is not None:
        document["gpu"] = {"id": pod.gpu_id, "count": pod.gpu_count}
    else:
        flavor = catalog.cpus[pod.cpu_id or ""]
        document["cpu"] = {
            "id": flavor.id,
            "vcpuCount": pod.vcpu_count,
            "memory": flavor.ram_gb_per_vcpu * pod.vcpu_count,
        }
    return document


def _membership(pod: Pod) -> dict[str, Any]:
    known = {"id": pod.cluster_id, "rank": pod.rank, "ip": pod.address}
    return known | ({"role": pod.role} if pod.role else {})


def _proxy(pod: Pod) -> dict[str, Any]:
    user = host_name(pod.id)
    return {
        "host": PROXY_HOST,
        "port": 22,
        "username": user,
        "command": f"ssh {user}@{PROXY_HOST}",
    }


def _direct(port: int | None) -> dict[str, Any] | None:
    if port is None:
        return None
    return {
        "host": "127.0.0.1",
        "port": port,
        "username": "root",
        "command": f"ssh root@127.0.0.1 -p {port}",
    }


def _global_networking(pod: Pod) -> dict[str, Any]:
    if not pod.global_networking:
        return {"enabled": False}
    return {"enabled": True, "ip": "10.65.0.2", "internalDns": f"{pod.id}.runpod.internal"}


def _runtime(pod: Pod, container: Container, port: int | None) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for name in pod.ports:
        number, _, kind = name.partition("/")
        reachable = name == SSH_PORT and port is not None
        rows.append(
            {
                "ip": "127.0.0.1" if reachable else None,
                "private": int(number),
                "public": port if reachable else None,
                "type": kind,
            }
        )
    # RunPod lists a row of its own on an address that only its hosts can reach.
    rows.append({"ip": "100.65.14.155", "private": 19123, "public": 60821, "type": "http"})
    return {
        "uptime": container.uptime(),
        "cpu": {"util": 0},
        "memory": {"util": 0},
        "gpus": [{"util": 0, "memoryUtil": 0} for _ in range(container.launch.spec.gpu.count)],
        "ports": rows,
    }
