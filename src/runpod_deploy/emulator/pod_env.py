"""The environment of a pod's first process."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from runpod_deploy.emulator.pod_request import PodRequest
from runpod_deploy.emulator.records import Pod


def injected_env(request: PodRequest, account_keys: Sequence[str]) -> dict[str, str]:
    """Give what `startSsh` and `startJupyter` add once, at create, unless the request has it."""
    added: dict[str, str] = {}
    if request.start_ssh and account_keys and "PUBLIC_KEY" not in request.env:
        added["PUBLIC_KEY"] = "\n".join(account_keys)
    if request.start_jupyter and "JUPYTER_PASSWORD" not in request.env:
        added["JUPYTER_PASSWORD"] = secrets.token_urlsafe(12)
    return added


def process_env(pod: Pod) -> Mapping[str, str]:
    """Give the complete environment; what the request set wins over everything."""
    env = {
        "RUNPOD_POD_ID": pod.id,
        "RUNPOD_POD_HOSTNAME": host_name(pod.id),
        "RUNPOD_DC_ID": pod.datacenter,
        "RUNPOD_API_KEY": pod.api_key,
        "RUNPOD_PUBLIC_IP": "127.0.0.1",
        "RUNPOD_GPU_COUNT": str(pod.gpu_count),
    }
    if pod.cuda:
        env["CUDA_VERSION"] = pod.cuda
    if pod.volume_id:
        env["RUNPOD_VOLUME_ID"] = pod.volume_id
    return env | pod.injected_env | pod.env


def host_name(pod_id: str) -> str:
    """Give the name RunPod's SSH proxy knows a pod by: its id and a short hash."""
    return f"{pod_id}-{hashlib.sha256(pod_id.encode()).hexdigest()[:8]}"
