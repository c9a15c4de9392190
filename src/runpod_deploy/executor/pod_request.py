"""What is asked of RunPod for a pod of a run: the create call, and the environment of each start."""

from __future__ import annotations

import json

from runpod_deploy.compiler.plan import Candidate
from runpod_deploy.executor import lease, pod_secrets
from runpod_deploy.executor.context import RunContext
from runpod_deploy.executor.image_now import image_to_pull
from runpod_deploy.executor.ports import PodRequest, Volume


def pod_request(
    ctx: RunContext, candidate: Candidate, volume: Volume | None, name: str
) -> PodRequest:
    """Return the create call for a candidate."""
    plan = ctx.plan
    persistent = plan.storage.mode == "ephemeral"
    return PodRequest(
        name=name,
        image=image_to_pull(ctx.plan_file),
        template_id=plan.pod.template_id,
        registry_auth=plan.pod.registry_auth,
        gpu=candidate.gpu,
        gpu_count=plan.pod.gpu_count,
        vcpus=None if plan.pod.cpu is None else plan.pod.cpu.vcpus,
        cloud=candidate.cloud,
        datacenter=volume.datacenter if volume else candidate.datacenter,
        container_disk_gb=plan.pod.container_disk_gb,
        ports=plan.pod.ports,
        min_cuda=plan.pod.min_cuda,
        mount=plan.storage.mount if volume or persistent else None,
        network_volume_id=volume.id if volume else None,
        persistent_gb=plan.storage.volume_gb if persistent else None,
        nodes=plan.nodes,
        args=None if plan.pod.args is None else ctx.fill(plan.pod.args),
        env=pod_env(ctx),
    )


def pod_env(ctx: RunContext) -> dict[str, str]:
    """Return the environment of the container: the job's own, the run's key, its mark, its watchdog."""
    plan = ctx.plan
    mark = {
        "run": ctx.run_id,
        "plan_hash": ctx.plan_file.plan_hash,
        "owner": ctx.owner,
        "dead_after": lease.dead_after(ctx),
        "keep_hours": plan.lifecycle.keep_hours,
    }
    return {
        **{key: ctx.fill(value) for key, value in plan.pod.env.items()},
        **pod_secrets.pod_env(plan),
        "PUBLIC_KEY": ctx.public_keys(),
        "RUNPOD_DEPLOY_META": json.dumps(mark, separators=(",", ":")),
        "RUNPOD_DEPLOY_API_URL": ctx.api_url,
        **lease.boot_env(ctx),
    }
